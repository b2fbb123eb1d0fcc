// Asking the full-text indexes, in SQL. Any thread; only reads. Invariant: MATCH gets only what search/match.ts made; the
// work of a query ends at its limit.

import type { Database } from './database.ts'
import { HAS } from './schema.ts'

/** `parts`: pieces of words. */
export type Index = 'words' | 'parts'

const IDS: Readonly<Record<Index, string>> = {
  words: idsFrom('message_words'),
  parts: idsFrom('message_parts'),
}

/** The index walks from the newest on and stops at the limit. */
function idsFrom(table: string): string {
  return `
    SELECT rowid AS id FROM ${table} WHERE ${table} MATCH ? AND rowid <= ? AND rowid >= ?
    ORDER BY rowid DESC LIMIT ?`
}

/** Ids of messages, newest first, both bounds included. */
export function matchingIds(
  db: Database,
  index: Index,
  match: string,
  bounds: Readonly<{ top: number; bottom: number }>,
  limit: number,
): number[] {
  return db.all<{ id: number }>(IDS[index], match, bounds.top, bounds.bottom, limit).map(({ id }) => id)
}

/** Those of some messages that are in one of the conversations, in their order. */
export function idsWithin(
  db: Database,
  ids: readonly number[],
  conversations: ReadonlySet<number>,
): number[] {
  const sql = 'SELECT id, conversation_id FROM messages WHERE id IN (SELECT value FROM json_each(?))'
  const rows = db.all<{ id: number; conversation_id: number }>(sql, JSON.stringify(ids))
  const within = new Set(rows.filter(row => conversations.has(row.conversation_id)).map(({ id }) => id))
  return ids.filter(id => within.has(id))
}

export type Candidate = Readonly<{
  id: number
  conversation: number
  seq: number
  author: number
  created_ms: number
  text: string
  /** Names of its files. */
  names: readonly string[]
}>

/** In the order of the ids. */
export function candidates(db: Database, ids: readonly number[]): Candidate[] {
  const sql = `
    SELECT id, conversation_id AS conversation, seq, author_id AS author, created_ms, text, extras FROM messages
    WHERE id IN (SELECT value FROM json_each(?))`
  const rows = db.all<Omit<Candidate, 'names'> & { extras: number }>(sql, JSON.stringify(ids))
  const names = namesOf(
    db,
    rows.filter(({ extras }) => (extras & HAS.attachments) !== 0).map(({ id }) => id),
  )
  const byId = new Map(
    rows.map(({ extras: _, ...row }) => [row.id, { ...row, names: names.get(row.id) ?? [] }]),
  )
  return ids.map(id => byId.get(id)).filter(row => row !== undefined)
}

function namesOf(db: Database, ids: readonly number[]): Map<number, string[]> {
  const names = new Map<number, string[]>()
  if (ids.length === 0) return names
  const sql = `
    SELECT a.message_id, f.name FROM attachments a JOIN files f ON f.id = a.file_id
    WHERE a.message_id IN (SELECT value FROM json_each(?)) ORDER BY a.message_id, a.position`
  for (const { message_id, name } of db.all<{ message_id: number; name: string }>(sql, JSON.stringify(ids))) {
    const known = names.get(message_id)
    if (known === undefined) names.set(message_id, [name])
    else known.push(name)
  }
  return names
}

export function newestId(db: Database): number {
  return db.get<{ id: number }>('SELECT coalesce(max(id), 0) AS id FROM messages')!.id
}

/** The last message before a time; 0: none. Ids rise with time, but for a clock that was set back. */
export function lastIdBefore(db: Database, timeMs: number): number {
  const sql = 'SELECT id FROM messages WHERE created_ms < ? ORDER BY created_ms DESC, id DESC LIMIT 1'
  return db.get<{ id: number }>(sql, timeMs)?.id ?? 0
}

/** The first message since a time; undefined: none. */
export function firstIdSince(db: Database, timeMs: number): number | undefined {
  const sql = 'SELECT id FROM messages WHERE created_ms >= ? ORDER BY created_ms, id LIMIT 1'
  return db.get<{ id: number }>(sql, timeMs)?.id
}

/** Those among some conversations that have a name. */
export function namedConversations(db: Database, ids: readonly number[]): { id: number; name: string }[] {
  const sql = `
    SELECT id, name FROM conversations WHERE name <> '' AND id IN (SELECT value FROM json_each(?))`
  return db.all<{ id: number; name: string }>(sql, JSON.stringify(ids))
}

export function conversationByDirectKey(db: Database, key: string): number | undefined {
  return db.get<{ id: number }>('SELECT id FROM conversations WHERE direct_key = ?', key)?.id
}

/** Files whose names match, newest first, with an id below `before`. */
export function matchingFiles(
  db: Database,
  match: string,
  before: number,
  limit: number,
): { id: number; name: string }[] {
  const sql = `
    SELECT f.id, f.name FROM file_words w JOIN files f ON f.id = w.rowid
    WHERE file_words MATCH ? AND w.rowid < ? ORDER BY w.rowid DESC LIMIT ?`
  return db.all<{ id: number; name: string }>(sql, match, before, limit)
}

export function newestFiles(db: Database, before: number, limit: number): { id: number; name: string }[] {
  const sql = 'SELECT id, name FROM files WHERE id < ? ORDER BY id DESC LIMIT ?'
  return db.all<{ id: number; name: string }>(sql, before, limit)
}
