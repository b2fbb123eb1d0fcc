// A conversation as a file for a reader: JSON lines, or a page with its attachments in a ZIP archive. A thread of the
// pool. Invariants: memory is bounded however long the conversation is; a file that stands at the returned path is whole.

import { createWriteStream } from 'node:fs'
import { rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { MessengerOptions } from '../../config/schema.ts'
import { CallError } from '../failures.ts'
import type { Message } from '../model.ts'
import { attachedBytes, messagesFrom, newestSeq } from '../store/archive.ts'
import type { Database } from '../store/database.ts'
import type { Tasks } from '../tasks.ts'
import { writeArchive } from './archive.ts'
import { newExportPath } from './paths.ts'

/** Messages that are read at once; between two reads the database is let go, so that its log can be cut. */
const SLICE_MESSAGES = 200
/** Attachments of one archive, by count and size: whoever has more takes the JSON lines and fetches them. */
const FILES_MAX = 20_000
const FILES_BYTES_MAX = 16 * 1_024 ** 3
/** An export leaves so much of the disk to everything else. */
const RESERVE_BYTES = 256 * 1_024 ** 2

export async function exportConversation(
  db: Database,
  options: Pick<MessengerOptions, 'path'>,
  { conversation, format }: Tasks['exportConversation']['input'],
): Promise<Tasks['exportConversation']['output']> {
  const attached = format === 'html' ? attachedBytes(db, conversation) : { files: 0, bytes: 0 }
  if (attached.files > FILES_MAX || attached.bytes > FILES_BYTES_MAX) {
    const what = `${attached.files} attachments of ${attached.bytes} bytes`
    throw new CallError('too_large', `${what}; at most ${FILES_MAX} of ${FILES_BYTES_MAX}: take format jsonl`)
  }
  await mustHaveRoom(options.path, attached.bytes)
  const path = newExportPath()
  const whole = join(options.path, path)
  const partial = `${whole}.part`
  try {
    const messages = slices(db, conversation)
    const content =
      format === 'jsonl'
        ? Readable.from(lines(messages), { objectMode: false })
        : writeArchive(db, options, conversation, messages)
    await pipeline(content, createWriteStream(partial, { flags: 'wx', mode: 0o600 }))
    await rename(partial, whole)
  } catch (error) {
    await rm(partial, { force: true })
    throw isDiskFull(error) ? new CallError('storage', 'the disk is full') : error
  }
  return { path, bytes: (await stat(whole)).size }
}

/** All that there was at the start, each message in the form that it has when its turn comes. */
function* slices(db: Database, conversation: number): Generator<Message[]> {
  const last = newestSeq(db, conversation)
  for (let after = 0; after < last; ) {
    const messages = messagesFrom(db, conversation, after, last, SLICE_MESSAGES)
    if (messages.length === 0) return
    yield messages
    after = messages.at(-1)!.seq
  }
}

function* lines(messages: Iterable<Message[]>): Generator<Buffer> {
  for (const slice of messages)
    yield Buffer.from(slice.map(message => `${JSON.stringify(message)}\n`).join(''))
}

async function mustHaveRoom(dataPath: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dataPath)
  if (bavail * bsize < bytes + RESERVE_BYTES) throw new CallError('storage', 'the disk is nearly full')
}

function isDiskFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
}
