// Logins in SQL. What changes runs in the messenger's thread inside the transaction that is being gathered; what reads
// runs in any thread. Invariant: of a login's token only the SHA-256 is stored.

import type { UserRole } from '../model.ts'
import type { Database } from './database.ts'
import type { UserState } from './users.ts'

export type SessionRow = Readonly<{
  id: string
  user_id: number
  created_ms: number
  used_ms: number
  expires_ms: number
  address: string
  device: string
}>

/** A login with what is asked of its user at each call. */
export type SessionOfUser = Readonly<{
  id: string
  user_id: number
  token_hash: Uint8Array
  used_ms: number
  expires_ms: number
  role: UserRole
  state: UserState
}>

const WITH_USER = `
  SELECT s.id, s.user_id, s.token_hash, s.used_ms, s.expires_ms, u.role, u.state
  FROM sessions s CROSS JOIN users u ON u.id = s.user_id`

export function sessionById(db: Database, id: string): SessionOfUser | undefined {
  return db.get<SessionOfUser>(`${WITH_USER} WHERE s.id = ?`, id)
}

export function sessionByTokenHash(db: Database, hash: Uint8Array): SessionOfUser | undefined {
  return db.get<SessionOfUser>(`${WITH_USER} WHERE s.token_hash = ?`, hash)
}

/** The last used first. */
export function sessionsOf(db: Database, user: number): SessionRow[] {
  return db.all<SessionRow>(
    `SELECT id, user_id, created_ms, used_ms, expires_ms, address, device FROM sessions
     WHERE user_id = ? ORDER BY used_ms DESC, id`,
    user,
  )
}

export function insertSession(db: Database, session: SessionRow, tokenHash: Uint8Array): void {
  db.run(
    `INSERT INTO sessions (id, token_hash, user_id, created_ms, used_ms, expires_ms, address, device)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    session.id,
    tokenHash,
    session.user_id,
    session.created_ms,
    session.used_ms,
    session.expires_ms,
    session.address,
    session.device,
  )
}

export function setSessionUsed(db: Database, id: string, nowMs: number): void {
  db.run('UPDATE sessions SET used_ms = ? WHERE id = ? AND used_ms < ?', nowMs, id, nowMs)
}

/** Answers whether it was there and this user's. */
export function deleteSession(db: Database, user: number, id: string): boolean {
  return db.run('DELETE FROM sessions WHERE id = ? AND user_id = ?', id, user).changes === 1
}

/** All of a user but one ('': all). Answers how many there were. */
export function deleteSessions(db: Database, user: number, except: string): number {
  return db.run('DELETE FROM sessions WHERE user_id = ? AND id <> ?', user, except).changes
}

/** The longest unused of a user, besides a new one, past a number of them; they are deleted. */
export function deleteSessionsPast(db: Database, user: number, newest: string, max: number): string[] {
  const rows = db.all<{ id: string }>(
    `DELETE FROM sessions WHERE id IN (
       SELECT id FROM sessions WHERE user_id = ? AND id <> ? ORDER BY used_ms DESC LIMIT -1 OFFSET ?)
     RETURNING id`,
    user,
    newest,
    max - 1,
  )
  return rows.map(({ id }) => id)
}

/** Some that expired or were last used before these times, which are deleted. */
export function deleteSessionsBefore(
  db: Database,
  before: Readonly<{ expiresMs: number; usedMs: number }>,
  limit: number,
): { id: string; user_id: number }[] {
  return db.all<{ id: string; user_id: number }>(
    `DELETE FROM sessions WHERE id IN (
       SELECT id FROM sessions WHERE expires_ms < ? OR used_ms < ? LIMIT ?)
     RETURNING id, user_id`,
    before.expiresMs,
    before.usedMs,
    limit,
  )
}
