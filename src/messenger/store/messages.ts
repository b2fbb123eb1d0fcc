// Messages as their readers see them, in SQL. Any thread; only reads. Invariant: `extras` says what else a message has, so
// that what most messages don't have costs no query.

import type { FileRecord, Message } from '../model.ts'
import type { Database } from './database.ts'
import { FILE_COLUMNS, type FileRow, fileRecord } from './files.ts'
import { HAS } from './schema.ts'

/** A row of messages. */
export type MessageRow = Readonly<{
  id: number
  conversation_id: number
  seq: number
  rev: number
  author_id: number
  client_id: string
  text: string
  reply_to: number
  created_ms: number
  edited_ms: number
  deleted_ms: number
  /** Bits of HAS. */
  extras: number
}>

/** What a query has to select of messages to get MessageRow. */
export const MESSAGE_COLUMNS =
  'id, conversation_id, seq, rev, author_id, client_id, text, reply_to, created_ms, edited_ms, deleted_ms, extras'

/** Undefined: there is none at this place, or retention has taken it. A deleted one has a row. */
export function messageRow(db: Database, conversation: number, seq: number): MessageRow | undefined {
  const sql = `SELECT ${MESSAGE_COLUMNS} FROM messages WHERE conversation_id = ? AND seq = ?`
  return db.get<MessageRow>(sql, conversation, seq)
}

export function messageRecord(db: Database, conversation: number, seq: number): Message | undefined {
  const row = messageRow(db, conversation, seq)
  return row === undefined ? undefined : messageRecords(db, [row])[0]
}

/** In the order of the rows. At most three queries, however many they are. */
export function messageRecords(db: Database, rows: readonly MessageRow[]): Message[] {
  const idsWith = (bit: number) => rows.filter(row => (row.extras & bit) !== 0).map(row => row.id)
  const mentions = mentionsOf(db, idsWith(HAS.mentions))
  const attachments = attachmentsOf(db, idsWith(HAS.attachments))
  const reactions = reactionsOf(db, idsWith(HAS.reactions))
  return rows.map(row => ({
    conversation: row.conversation_id,
    seq: row.seq,
    rev: row.rev,
    author: row.author_id,
    client_id: row.client_id,
    created_ms: row.created_ms,
    text: row.text,
    reply_to: row.reply_to,
    mentions: mentions.get(row.id) ?? [],
    attachments: attachments.get(row.id) ?? [],
    reactions: reactions.get(row.id) ?? [],
    edited_ms: row.edited_ms,
    deleted_ms: row.deleted_ms,
    pinned: (row.extras & HAS.pin) !== 0,
  }))
}

export type Changed = Readonly<{ id: number; rev: number; name: string; retention_days: number | null }>

/** Of the newest messages, up to `messagesMax` since a time: the conversations that they are in, as these stand now. */
export function changedSince(db: Database, timeMs: number, messagesMax: number): Changed[] {
  const sql = `
    SELECT id, rev, name, retention_days FROM conversations WHERE id IN (
      SELECT conversation_id FROM messages WHERE created_ms >= ? ORDER BY created_ms DESC LIMIT ?)`
  return db.all<Changed>(sql, timeMs, messagesMax)
}

type ById<T> = ReadonlyMap<number, T[]>

function mentionsOf(db: Database, ids: readonly number[]): ById<number> {
  if (ids.length === 0) return new Map()
  const sql = `
    SELECT message_id, user_id FROM mentions WHERE message_id IN (SELECT value FROM json_each(?))
    ORDER BY message_id, user_id`
  const found = db.all<{ message_id: number; user_id: number }>(sql, JSON.stringify(ids))
  return grouped(found.map(({ message_id, user_id }) => [message_id, user_id]))
}

/** Files in the order in which they were attached. */
function attachmentsOf(db: Database, ids: readonly number[]): ById<FileRecord> {
  if (ids.length === 0) return new Map()
  const sql = `
    SELECT a.message_id, ${FILE_COLUMNS} FROM attachments a JOIN files f ON f.id = a.file_id
    WHERE a.message_id IN (SELECT value FROM json_each(?)) ORDER BY a.message_id, a.position`
  const found = db.all<FileRow & { message_id: number }>(sql, JSON.stringify(ids))
  return grouped(found.map(row => [row.message_id, fileRecord(row)]))
}

type ReactionRow = { message_id: number; emoji: string; user_id: number }

/** Emoji in the order in which they first came, users in that in which they reacted. */
function reactionsOf(db: Database, ids: readonly number[]): ById<Message['reactions'][number]> {
  if (ids.length === 0) return new Map()
  const sql = `
    SELECT message_id, emoji, user_id FROM reactions WHERE message_id IN (SELECT value FROM json_each(?))
    ORDER BY message_id, created_ms, user_id`
  const reactions = new Map<number, Map<string, number[]>>()
  for (const { message_id, emoji, user_id } of db.all<ReactionRow>(sql, JSON.stringify(ids))) {
    const ofMessage = entryOf(reactions, message_id, () => new Map<string, number[]>())
    entryOf(ofMessage, emoji, () => []).push(user_id)
  }
  return new Map(
    [...reactions].map(([message, ofMessage]) => [
      message,
      [...ofMessage].map(([emoji, users]) => ({ emoji, users })),
    ]),
  )
}

function grouped<T>(pairs: readonly (readonly [number, T])[]): ById<T> {
  const groups = new Map<number, T[]>()
  for (const [id, value] of pairs) entryOf(groups, id, () => []).push(value)
  return groups
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}
