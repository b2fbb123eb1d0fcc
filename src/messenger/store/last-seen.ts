// When users were last online, in SQL. `sawUser` runs in the messenger's thread, inside a transaction.

import type { Database } from './database.ts'

/** Never goes back. Of who has deleted the account nothing is noted: the last connections end after it. */
export function sawUser(db: Database, user: number, ms: number): void {
  const sql = "UPDATE users SET last_seen_ms = max(last_seen_ms, ?) WHERE id = ? AND state <> 'deleted'"
  db.run(sql, ms, user)
}

/** 0: never. Undefined: there is no such user. */
export function lastSeenOf(db: Database, user: number): number | undefined {
  const sql = "SELECT last_seen_ms AS ms FROM users WHERE id = ? AND state <> 'deleted'"
  return db.get<{ ms: number }>(sql, user)?.ms
}

/** Ids after one of them, ascending. */
export function activeUsers(db: Database, after: number, limit: number): number[] {
  const sql = "SELECT id FROM users WHERE id > ? AND state = 'active' ORDER BY id LIMIT ?"
  return db.all<{ id: number }>(sql, after, limit).map(({ id }) => id)
}
