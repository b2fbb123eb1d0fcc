// A conversation as a ZIP archive: index.html and the attachments that it shows. A thread of the pool. Invariant: what lies
// in memory is one slice of messages, one piece of a file, and a short entry for each attachment.

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { ZipFile } from 'yazl'
import type { MessengerOptions } from '../../config/schema.ts'
import { contentPath } from '../files/paths.ts'
import type { FileRecord, Message } from '../model.ts'
import { conversationTitle, namesOf } from '../store/archive.ts'
import type { Database } from '../store/database.ts'
import { pageEnd, pageMessage, pageStart } from './page.ts'

/** Authors whose names are kept while the page is written. */
const NAMES_MAX = 10_000

export function writeArchive(
  db: Database,
  options: Pick<MessengerOptions, 'path'>,
  conversation: number,
  slices: Iterable<Message[]>,
): Readable {
  const zip = new ZipFile()
  const output = zip.outputStream as Readable
  const attached = new Map<string, FileRecord>()
  // The archive says 'error' on itself only.
  zip.on('error', error => output.destroy(error instanceof Error ? error : new Error(String(error))))
  // What is read when nobody writes it any more (the disk is full, say) is closed.
  let reading: Readable | undefined
  output.once('close', () => reading?.destroy())
  const read = (file: FileRecord) => async () => {
    const path = contentPath(options.path, file.sha256, 'original')
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    reading = handle.createReadStream()
    return reading
  }
  const page = Readable.from(pageOf(db, conversation, slices, attached), { objectMode: false })
  // Only when the page was read to its end is it known what is attached.
  page.once('end', () => {
    for (const file of attached.values()) addFile(zip, file, read(file))
    zip.end()
  })
  zip.addReadStream(page, 'index.html', { mode: 0o600 })
  return output
}

function* pageOf(
  db: Database,
  conversation: number,
  slices: Iterable<Message[]>,
  attached: Map<string, FileRecord>,
): Generator<Buffer> {
  const names = new Map<number, string>()
  yield Buffer.from(pageStart(conversationTitle(db, conversation)))
  for (const messages of slices) {
    learnNames(db, names, messages)
    for (const { attachments } of messages) for (const file of attachments) attached.set(file.id, file)
    const parts = messages.map(message => pageMessage(message, id => names.get(id) ?? `user ${id}`))
    yield Buffer.from(parts.join(''))
  }
  yield Buffer.from(pageEnd())
}

function learnNames(db: Database, names: Map<number, string>, messages: readonly Message[]): void {
  if (names.size > NAMES_MAX) names.clear()
  const ids = new Set(messages.flatMap(({ author, mentions }) => [author, ...mentions]))
  const unknown = [...ids].filter(id => !names.has(id))
  for (const [id, name] of namesOf(db, unknown)) names.set(id, name)
}

/** Opened when its turn comes. Not compressed: images and archives, which most of them are, already are. */
function addFile(zip: ZipFile, file: FileRecord, read: () => Promise<Readable>): void {
  const options = { size: file.size, compress: false, mtime: new Date(file.created_ms), mode: 0o600 }
  zip.addReadStreamLazy(pathInArchive(file), options, done => {
    read().then(
      stream => done(null, stream),
      error => done(error, Readable.from([])),
    )
  })
}

/** Names of files were made harmless when they came; the id keeps two of one name apart. */
function pathInArchive({ id, name }: Pick<FileRecord, 'id' | 'name'>): string {
  return `files/${id}/${name}`
}
