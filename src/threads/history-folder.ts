// The folder in which histories outlast a planned restart (shutdown.history_path). Main thread.
// Invariants: one relay at a time; files without the marker, which is written last, are never used; and none is there
// any more when the first connection is accepted, for positions that were given once must not be given again.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { syncFolder, writeDurably } from '../base/durable-files.ts'
import { reasonOf, StartError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { lockFolder } from './folder-lock.ts'
import type { KeptFile } from './topology.ts'

const MARKER = 'complete.json'
const MARKER_VERSION = 1
/** What we ever write here; anything else in the folder is not ours. */
const OURS = /^(?:shard-\d+\.history|complete\.json|probe)(?:\.new)?$/
const SHARD_FILE = /^shard-\d+\.history$/

export type HistoryFolder = Readonly<{
  path: string
  /** What the last run kept, if it ended in order. */
  files: readonly KeptFile[]
  /** Removes what was kept: it was taken over, or is of no use. */
  clear(): Promise<void>
  /** All files are written: from now on they count. */
  complete(files: readonly KeptFile[]): void
  /** Another relay may have it. */
  release(): void
}>

/** Throws a StartError if the folder can't be used: the operator asked for it. */
export async function openHistoryFolder(path: string, log: Log): Promise<HistoryFolder> {
  const lock = await explained(path, () => {
    // Not its parents: Node's recursive mkdir never ends where a directory can't be made in an existing one (/proc).
    if (!existsSync(path)) mkdirSync(path, { mode: 0o700 })
    return lockFolder(path)
  })
  try {
    await explained(path, async () => {
      writeDurably(path, 'probe', '')
      rmSync(join(path, 'probe'))
    })
  } catch (error) {
    lock.release()
    throw error
  }
  return {
    path,
    files: readMarker(path, log),
    clear: () =>
      explained(path, async () => {
        lock.check()
        // The marker first: whatever comes between, files without it are not used.
        rmSync(join(path, MARKER), { force: true })
        syncFolder(path)
        for (const name of readdirSync(path)) if (OURS.test(name)) rmSync(join(path, name), { force: true })
        syncFolder(path)
      }),
    complete(files) {
      lock.check()
      syncFolder(path)
      writeDurably(path, MARKER, `${JSON.stringify({ version: MARKER_VERSION, files })}\n`)
      syncFolder(path)
    },
    release: lock.release,
  }
}

async function explained<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new StartError(`shutdown.history_path ${path}: ${reasonOf(error)}`)
  }
}

function readMarker(folder: string, log: Log): readonly KeptFile[] {
  const path = join(folder, MARKER)
  try {
    const files = filesOf(JSON.parse(readFileSync(path, 'utf8')))
    if (files !== undefined) return files
    log.error({ file: path }, 'the list of the kept histories is damaged: all channels start new')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.error(
        { file: path, reason: reasonOf(error) },
        'the list of the kept histories is damaged: all channels start new',
      )
    else if (readdirSync(folder).some(name => OURS.test(name)))
      log.warn({ folder }, 'the last run did not end before its histories were kept: all channels start new')
  }
  return []
}

function filesOf(marker: unknown): readonly KeptFile[] | undefined {
  const { version, files } = (marker ?? {}) as { version?: unknown; files?: unknown }
  const isWhole = version === MARKER_VERSION && Array.isArray(files) && files.every(isKeptFile)
  return isWhole ? files : undefined
}

function isKeptFile(value: unknown): value is KeptFile {
  const { name, ...numbers } = (value ?? {}) as Partial<KeptFile>
  const counts = [numbers.bytes, numbers.crc32, numbers.channels, numbers.publications, numbers.keys]
  return (
    typeof name === 'string' &&
    SHARD_FILE.test(name) &&
    counts.every(count => Number.isSafeInteger(count) && count! >= 0)
  )
}
