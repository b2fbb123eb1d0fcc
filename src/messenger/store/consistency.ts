// Whether the database agrees with itself: each rule as a query that finds who breaks it. Any thread; only reads.

import type { Database } from './database.ts'

export type Rule = Readonly<{
  name: string
  /** Its first column names who breaks it. */
  sql: string
}>

/** What SQLite knows to check by itself is not among them. */
export const rules: readonly Rule[] = [
  {
    name: 'messages of a conversation are numbered without gaps from first_seq to seq',
    sql: `
      SELECT 'conversation ' || c.id FROM conversations c LEFT JOIN (
        SELECT conversation_id, count(*) AS n, min(seq) AS low, max(seq) AS high FROM messages GROUP BY conversation_id
      ) m ON m.conversation_id = c.id
      WHERE coalesce(m.n, 0) <> c.seq - c.first_seq + 1 OR (m.n > 0 AND (m.low <> c.first_seq OR m.high <> c.seq))`,
  },
  {
    name: 'no change is newer than the rev of its conversation',
    sql: `
      SELECT 'conversation ' || c.id FROM conversations c
      WHERE c.rev < (SELECT coalesce(max(rev), 0) FROM messages WHERE conversation_id = c.id)
        OR c.rev < (SELECT coalesce(max(rev), 0) FROM changes WHERE conversation_id = c.id)`,
  },
  {
    name: 'member_count is the number of members',
    sql: `
      SELECT 'conversation ' || c.id FROM conversations c
      WHERE c.member_count <> (SELECT count(*) FROM members WHERE conversation_id = c.id)`,
  },
  {
    name: 'a deleted message has kept nothing',
    sql: `
      SELECT 'message ' || id FROM messages WHERE deleted_ms > 0 AND (text <> '' OR extras <> 0
        OR EXISTS (SELECT 1 FROM edits WHERE message_id = id) OR EXISTS (SELECT 1 FROM attachments WHERE message_id = id))`,
  },
  {
    name: 'each message is in the index of words, unless it was deleted',
    sql: indexed('message_words', 'messages WHERE deleted_ms = 0'),
  },
  {
    name: 'each message is in the index of parts, unless it was deleted',
    sql: indexed('message_parts', 'messages WHERE deleted_ms = 0'),
  },
  { name: 'each file is in the index of names', sql: indexed('file_words', 'files') },
  {
    name: 'blobs know how many files have them, and are as large',
    sql: `
      SELECT 'blob ' || b.sha256 FROM blobs b
      WHERE b.files <> (SELECT count(*) FROM files WHERE sha256 = b.sha256)
        OR EXISTS (SELECT 1 FROM files f WHERE f.sha256 = b.sha256 AND f.size <> b.size)`,
  },
  {
    name: 'used_bytes is the size of the files of a user',
    sql: `
      SELECT 'user ' || u.id FROM users u
      WHERE u.used_bytes <> (SELECT coalesce(sum(size), 0) FROM files WHERE owner_id = u.id)`,
  },
  {
    name: 'stored_bytes is the size of all blobs',
    sql: `
      SELECT stored_bytes || ' bytes' FROM storage WHERE stored_bytes <> (SELECT coalesce(sum(size), 0) FROM blobs)`,
  },
]

/** Rows of an index are those of a table: neither fewer nor others. */
function indexed(index: string, rows: string): string {
  return `
    SELECT 'row ' || id FROM (SELECT id FROM ${rows} EXCEPT SELECT id FROM ${index}_docsize)
    UNION ALL SELECT 'row ' || id FROM (SELECT id FROM ${index}_docsize EXCEPT SELECT id FROM ${rows})`
}

/** Who breaks a rule, up to a limit. */
export function breakers(db: Database, { sql }: Rule, limit: number): string[] {
  return db
    .all<Record<string, unknown>>(`SELECT * FROM (${sql}) LIMIT ?`, limit)
    .map(row => String(Object.values(row)[0]))
}

/** What SQLite itself finds, indexes for full-text search included. */
export function damages(db: Database, limit: number): string[] {
  const rows = db.all<{ integrity_check: string }>(`PRAGMA integrity_check(${limit})`)
  const found = rows.map(row => row.integrity_check).filter(text => text !== 'ok')
  const lost = db.all<{ table: string; rowid: number | null; parent: string }>('PRAGMA foreign_key_check')
  return [
    ...found,
    ...lost
      .slice(0, limit)
      .map(({ table, rowid, parent }) => `${table}, row ${rowid}: its row of ${parent} is missing`),
  ]
}

export type Sample = Readonly<{ id: number; conversation: number; author: number; text: string }>

/** Messages spread over the whole archive. */
export function sampleMessages(db: Database, count: number): Sample[] {
  const { low, high } = db.get<{ low: number | null; high: number | null }>(
    'SELECT min(id) AS low, max(id) AS high FROM messages',
  )!
  if (low === null || high === null) return []
  const step = Math.max(1, Math.floor((high - low + 1) / count))
  const sql = `
    SELECT id, conversation_id AS conversation, author_id AS author, text FROM messages
    WHERE id >= ? AND deleted_ms = 0 AND text <> '' ORDER BY id LIMIT 1`
  const found = new Map<number, Sample>()
  for (let at = low; at <= high; at += step) {
    const row = db.get<Sample>(sql, at)
    if (row !== undefined) found.set(row.id, row)
  }
  return [...found.values()]
}
