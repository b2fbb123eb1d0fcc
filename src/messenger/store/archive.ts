// Reading the archive: pages of messages, what changed, and what an export needs. Any thread; only reads.
// Invariant: each query reads a bounded stretch of an index, however long the conversation is.

import type { ConversationEvent, Message } from '../model.ts'
import type { Database } from './database.ts'
import { fitting } from './fitting.ts'
import { MESSAGE_COLUMNS, type MessageRow, messageRecords } from './messages.ts'
import { usersByIds } from './users.ts'

/** `hasMore`: there are others beyond the page, in the direction in which it was read. */
export type Page = Readonly<{ messages: Message[]; hasMore: boolean }>

/** The messages next to a place: behind `seq`, or before it. Ascending both. */
export function pageAfter(db: Database, conversation: number, seq: number, limit: number): Page {
  const sql = `
    SELECT ${MESSAGE_COLUMNS} FROM messages WHERE conversation_id = ? AND seq > ? ORDER BY seq LIMIT ?`
  return page(db, db.all<MessageRow>(sql, conversation, seq, limit + 1), limit)
}

export function pageBefore(db: Database, conversation: number, seq: number, limit: number): Page {
  const sql = `
    SELECT ${MESSAGE_COLUMNS} FROM messages WHERE conversation_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?`
  const { messages, hasMore } = page(db, db.all<MessageRow>(sql, conversation, seq, limit + 1), limit)
  return { messages: messages.reverse(), hasMore }
}

function page(db: Database, rows: readonly MessageRow[], limit: number): Page {
  const messages = fitting(messageRecords(db, rows.slice(0, limit)))
  return { messages, hasMore: messages.length < rows.length }
}

/** Place of the first message that is not older; undefined: all are. */
export function seqAt(db: Database, conversation: number, timeMs: number): number | undefined {
  const newest = edge(db, conversation, 'DESC')
  const oldest = edge(db, conversation, 'ASC')
  if (newest === undefined || oldest === undefined || newest.created_ms < timeMs) return undefined
  // Places without a row (there are none but by a fault) would only make the answer less exact.
  let low = oldest.seq
  let high = newest.seq
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const sql =
      'SELECT seq, created_ms FROM messages WHERE conversation_id = ? AND seq <= ? ORDER BY seq DESC LIMIT 1'
    const row = db.get<{ seq: number; created_ms: number }>(sql, conversation, middle)
    if (row === undefined || row.created_ms < timeMs) low = middle + 1
    else high = Math.min(row.seq, middle)
  }
  return low
}

function edge(db: Database, conversation: number, order: 'ASC' | 'DESC') {
  const sql = `SELECT seq, created_ms FROM messages WHERE conversation_id = ? ORDER BY seq ${order} LIMIT 1`
  return db.get<{ seq: number; created_ms: number }>(sql, conversation)
}

export type Changes = Readonly<{
  /** Messages as they are now, and other events, ascending by rev. */
  changes: (Readonly<{ rev: number }> &
    (Readonly<{ message: Message }> | Readonly<{ event: ConversationEvent }>))[]
  hasMore: boolean
}>

/** What changed behind a rev. A message that changed several times is there once, at its latest rev. */
export function changesAfter(db: Database, conversation: number, rev: number, limit: number): Changes {
  const sql = `
    SELECT ${MESSAGE_COLUMNS} FROM messages WHERE conversation_id = ? AND rev > ? ORDER BY rev LIMIT ?`
  const rows = db.all<MessageRow>(sql, conversation, rev, limit + 1)
  const ofEvents = 'SELECT rev, event FROM changes WHERE conversation_id = ? AND rev > ? ORDER BY rev LIMIT ?'
  const events = db.all<{ rev: number; event: string }>(ofEvents, conversation, rev, limit + 1)
  const records = fitting(messageRecords(db, rows))
  const messages = records.map(message => ({ rev: message.rev, message }))
  const others = events.map(row => ({ rev: row.rev, event: JSON.parse(row.event) as ConversationEvent }))
  const merged = [...messages, ...others].sort((a, b) => a.rev - b.rev)
  // What was cut off from the messages has higher revs than those that are left: events beyond must wait for it.
  const end = records.length < rows.length ? records.at(-1)!.rev : Number.POSITIVE_INFINITY
  const changes = merged.filter(change => change.rev <= end).slice(0, limit)
  return { changes, hasMore: changes.length < rows.length + others.length }
}

/** The last pinned first. */
export function pinnedMessages(db: Database, conversation: number, offset: number, limit: number): Page {
  const columns = MESSAGE_COLUMNS.replaceAll(/\w+/g, 'm.$&')
  const sql = `
    SELECT ${columns} FROM pins p JOIN messages m ON m.conversation_id = p.conversation_id AND m.seq = p.seq
    WHERE p.conversation_id = ? ORDER BY p.pinned_ms DESC, p.seq DESC LIMIT ? OFFSET ?`
  return page(db, db.all<MessageRow>(sql, conversation, limit + 1, offset), limit)
}

/** From behind `after` up to `last`, for an export. */
export function messagesFrom(
  db: Database,
  conversation: number,
  after: number,
  last: number,
  limit: number,
): Message[] {
  const sql = `
    SELECT ${MESSAGE_COLUMNS} FROM messages WHERE conversation_id = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?`
  return messageRecords(db, db.all<MessageRow>(sql, conversation, after, last, limit))
}

export function newestSeq(db: Database, conversation: number): number {
  const sql = 'SELECT seq FROM conversations WHERE id = ?'
  return db.get<{ seq: number }>(sql, conversation)?.seq ?? 0
}

/** What all attachments of a conversation are, each file once. */
export function attachedBytes(db: Database, conversation: number): { files: number; bytes: number } {
  const sql = `
    SELECT count(*) AS files, coalesce(sum(size), 0) AS bytes FROM files
    WHERE id IN (SELECT file_id FROM attachments WHERE conversation_id = ?)`
  return db.get<{ files: number; bytes: number }>(sql, conversation)!
}

/** Names as a page shows them, by id. */
export function namesOf(db: Database, ids: readonly number[]): Map<number, string> {
  return new Map(
    usersByIds(db, ids).map(({ id, state, display_name, nickname }) => [
      id,
      state === 'deleted' ? 'deleted user' : `${display_name} (${nickname})`,
    ]),
  )
}

/** What a reader calls it. */
export function conversationTitle(db: Database, conversation: number): string {
  const sql = 'SELECT kind, name, direct_key FROM conversations WHERE id = ?'
  const row = db.get<{ kind: string; name: string; direct_key: string | null }>(sql, conversation)
  if (row === undefined) return 'Conversation'
  if (row.kind === 'everyone') return 'Everyone'
  if (row.direct_key === null) return row.name
  return [...namesOf(db, row.direct_key.split(':').map(Number)).values()].join(', ')
}
