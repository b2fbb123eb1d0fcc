// What is written to the full-text indexes. The messenger's thread, inside the transaction that is being gathered.
// Invariant: an index has a row exactly for each message that is not deleted, and for each file.
//
// The column `tags` of a row says where it belongs. A search asks for tags in its MATCH, so the index itself leaves out
// what the asker may not read, and what is common elsewhere costs nothing.

import type { Database } from './database.ts'

export type IndexedMessage = Readonly<{
  /** messages.id */
  id: number
  conversation: number
  author: number
  text: string
  /** Names of attached files. */
  names: readonly string[]
  has: Readonly<Record<Has, boolean>>
}>

/** `file`: any attachment. */
export const HAS_KINDS = ['image', 'file', 'link'] as const
export type Has = (typeof HAS_KINDS)[number]

/** A row has one tag of each kind, or none; `has` any number. */
export type Tag =
  | Readonly<{ kind: 'conversation' | 'author' | 'owner'; id: number }>
  | Readonly<{ kind: 'has'; what: Has }>

const HAS_NUMBER: Readonly<Record<Has, number>> = { image: 0, file: 1, link: 2 }

export function indexMessage(db: Database, message: IndexedMessage): void {
  const { id, text, has } = message
  const names = message.names.join('\n')
  const tags: Tag[] = [
    { kind: 'conversation', id: message.conversation },
    { kind: 'author', id: message.author },
  ]
  for (const what of HAS_KINDS) if (has[what]) tags.push({ kind: 'has', what })
  db.run(
    'INSERT INTO message_words (rowid, text, names, tags) VALUES (?, ?, ?, ?)',
    id,
    text,
    names,
    tags.map(wordTag).join(' '),
  )
  db.run(
    'INSERT INTO message_parts (rowid, text, names, tags) VALUES (?, ?, ?, ?)',
    id,
    text,
    names,
    tags.map(partTag).join(''),
  )
}

/** Before a message is indexed anew, or deleted; nothing happens to one that is not indexed. */
export function unindexMessage(db: Database, id: number): void {
  db.run('DELETE FROM message_words WHERE rowid = ?', id)
  db.run('DELETE FROM message_parts WHERE rowid = ?', id)
}

/** `id`: files.id */
export function indexFile(db: Database, file: Readonly<{ id: number; owner: number; name: string }>): void {
  db.run(
    'INSERT INTO file_words (rowid, name, tags) VALUES (?, ?, ?)',
    file.id,
    file.name,
    partTag({ kind: 'owner', id: file.owner }),
  )
}

export function unindexFile(db: Database, id: number): void {
  db.run('DELETE FROM file_words WHERE rowid = ?', id)
}

/** Whether a text has a link that a client would show as one. */
export function hasLink(text: string): boolean {
  return /\bhttps?:\/\/[^\s/$.?#]/i.test(text)
}

/** A tag as the tokenizer of words keeps it whole. */
export function wordTag(tag: Tag): string {
  switch (tag.kind) {
    case 'conversation':
      return `c${tag.id}`
    case 'author':
    case 'owner':
      return `u${tag.id}`
    case 'has':
      return `h${tag.what}`
  }
}

const KINDS = 3
/** A place of a tag's three characters counts to this. */
const PLACE_BITS = 11
const PLACE_MASK = (1 << PLACE_BITS) - 1
const FIRST_PLACE = 0xe000
const SECOND_PLACE = 0xe800
const THIRD_PLACE = 0xf000

/**
 * A tag as the tokenizer of pieces keeps it whole: one piece of three characters for private use (U+E000–U+F7FF), which
 * no folding changes. Each place has a range of its own, so no piece across two tags looks like a third.
 */
export function partTag(tag: Tag): string {
  const value = partValue(tag)
  return String.fromCharCode(
    FIRST_PLACE + Math.floor(value / 2 ** (2 * PLACE_BITS)),
    SECOND_PLACE + (Math.floor(value / 2 ** PLACE_BITS) & PLACE_MASK),
    THIRD_PLACE + (value % 2 ** PLACE_BITS),
  )
}

/** Ids up to 2.8 thousand million. */
function partValue(tag: Tag): number {
  switch (tag.kind) {
    case 'conversation':
      return tag.id * KINDS
    case 'author':
    case 'owner':
      return tag.id * KINDS + 1
    case 'has':
      return HAS_NUMBER[tag.what] * KINDS + 2
  }
}
