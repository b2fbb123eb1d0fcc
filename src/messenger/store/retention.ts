// What goes by itself: messages past their time, conversations without members, old rows that only tell what was. The
// messenger's thread, inside the transaction that is being gathered. Invariant: messages go from the oldest on, so those
// that are left are numbered without gaps from first_seq.

import type { Database } from './database.ts'
import { emptyMessage } from './message-changes.ts'

export type Retained = Readonly<{ id: number; days: number }>

/** Conversations behind one of them, ascending, with the days for which their messages are kept; 0: for ever. */
export function retentionOf(db: Database, after: number, limit: number, daysByDefault: number): Retained[] {
  const sql = `
    SELECT id, coalesce(retention_days, ?) AS days FROM conversations WHERE id > ? ORDER BY id LIMIT ?`
  return db.all<Retained>(sql, daysByDefault, after, limit)
}

/** Whether the oldest message of a conversation is older than a time. */
export function hasOlder(db: Database, conversation: number, timeMs: number): boolean {
  const sql = 'SELECT created_ms FROM messages WHERE conversation_id = ? ORDER BY seq LIMIT 1'
  const oldest = db.get<{ created_ms: number }>(sql, conversation)
  return oldest !== undefined && oldest.created_ms < timeMs
}

type Row = Readonly<{ id: number; conversation_id: number; seq: number; extras: number; created_ms: number }>

/** Deletes the oldest messages with all that hangs on them, up to the first that is not older. Returns how many. */
export function deleteOlder(db: Database, conversation: number, timeMs: number, limit: number): number {
  const sql = `
    SELECT id, conversation_id, seq, extras, created_ms FROM messages WHERE conversation_id = ? ORDER BY seq LIMIT ?`
  const rows = db.all<Row>(sql, conversation, limit)
  const end = rows.findIndex(({ created_ms }) => created_ms >= timeMs)
  const old = end === -1 ? rows : rows.slice(0, end)
  for (const row of old) {
    emptyMessage(db, row)
    db.run('DELETE FROM messages WHERE id = ?', row.id)
  }
  const last = old.at(-1)
  if (last !== undefined) {
    db.run('UPDATE conversations SET first_seq = ? WHERE id = ?', last.seq + 1, conversation)
  }
  return old.length
}

/** A conversation that nobody is in; undefined: none. That of all users waits for its first one. */
export function abandonedConversation(db: Database): number | undefined {
  const sql = "SELECT id FROM conversations WHERE member_count = 0 AND kind <> 'everyone' LIMIT 1"
  return db.get<{ id: number }>(sql)?.id
}

/** When it has no messages any more. */
export function dropConversation(db: Database, conversation: number): void {
  db.run('DELETE FROM conversations WHERE id = ?', conversation)
}

export function deleteDownloads(db: Database, beforeMs: number, limit: number): void {
  const sql =
    'DELETE FROM downloads WHERE id IN (SELECT id FROM downloads WHERE at_ms < ? ORDER BY at_ms LIMIT ?)'
  db.run(sql, beforeMs, limit)
}

export function deleteAudit(db: Database, beforeMs: number, limit: number): void {
  const sql = 'DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at_ms < ? ORDER BY at_ms LIMIT ?)'
  db.run(sql, beforeMs, limit)
}
