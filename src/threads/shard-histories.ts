// The histories of a shard's channels on their way over a planned restart: into a file at its end, out of all files
// before it takes connections. Runs on the shard.
// Invariant: a channel whose file is damaged starts new, with another epoch; nothing of such a file is used.

import { join } from 'node:path'
import { monotonicMs, wallMs } from '../base/clock.ts'
import { reasonOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Home } from '../channel/home.ts'
import {
  channelLine,
  HEAD_LINE,
  type KeptKey,
  KeptReader,
  keyLine,
  publicationLine,
} from '../history/kept.ts'
import { DamagedFileError, readLines, writeLines } from './history-files.ts'
import type { KeptFile } from './topology.ts'

/** Writes what the home holds. */
export async function keepHistories(folder: string, shard: number, home: Home): Promise<KeptFile> {
  const name = `shard-${shard}.history`
  const counts = { channels: 0, publications: 0, keys: 0 }
  const written = await writeLines(join(folder, name), linesOf(home, counts))
  return { name, ...written, ...counts }
}

function* linesOf(home: Home, counts: { channels: number; publications: number; keys: number }) {
  const toWallMs = wallMs() - monotonicMs()
  yield HEAD_LINE
  for (const held of home.held()) {
    counts.channels++
    yield channelLine({ ...held, usedMs: Math.max(0, held.usedMs + toWallMs) })
    for (const { json, atMs } of held.entries) {
      counts.publications++
      yield publicationLine(Math.max(0, atMs + toWallMs), json)
    }
  }
  for (const held of home.heldKeys()) {
    counts.keys++
    yield keyLine({ ...held, untilMs: Math.max(0, held.untilMs + toWallMs) })
  }
}

/** Takes over those channels of all files whose home this shard is. Returns what it has now. */
export async function takeOverHistories(options: {
  folder: string
  files: readonly KeptFile[]
  home: Home
  isHomeHere: (channel: string) => boolean
  log: Log
}): Promise<{ channels: number; publications: number }> {
  const { folder, files, home, log } = options
  const keys: KeptKey[] = []
  for (const file of files) {
    const path = join(folder, file.name)
    const taken: string[] = []
    const keysBefore = keys.length
    try {
      await readOne(path, file, options, taken, keys)
    } catch (error) {
      home.abandon(taken)
      keys.length = keysBefore
      const line = error instanceof DamagedFileError ? error.line : undefined
      log.error(
        { file: path, line, reason: reasonOf(error) },
        'a file of histories is damaged: its channels start new',
      )
    }
  }
  return home.settle(keys)
}

async function readOne(
  path: string,
  file: KeptFile,
  { home, isHomeHere }: { home: Home; isHomeHere: (channel: string) => boolean },
  taken: string[],
  keys: KeptKey[],
): Promise<void> {
  const nowMs = monotonicMs()
  const nowWallMs = wallMs()
  // A wall clock that was set back makes nothing younger than now.
  const pastMs = (atWallMs: number) => nowMs - Math.max(0, nowWallMs - atWallMs)
  const reader = new KeptReader({
    channel(kept) {
      if (!isHomeHere(kept.name)) return undefined
      const take = home.takeOver({ ...kept, usedMs: pastMs(kept.usedMs) })
      if (take === undefined) return undefined
      taken.push(kept.name)
      return (text, textBytes, atWallMs) => take(text, textBytes, pastMs(atWallMs))
    },
    key(kept) {
      const untilMs = nowMs + kept.untilMs - nowWallMs
      if (untilMs > nowMs && isHomeHere(kept.channel)) keys.push({ ...kept, untilMs })
    },
  })
  await readLines(path, file, reader)
}
