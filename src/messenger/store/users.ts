// Users in SQL. What changes runs in the messenger's thread inside the transaction that is being gathered; what reads runs
// in any thread. Invariant: the row of a user is never deleted, so that an id never comes to mean somebody else.

import type { User, UserRole } from '../model.ts'
import type { Database } from './database.ts'

export type UserState = User['state']

export type UserRow = Readonly<{
  id: number
  nickname: string
  nickname_key: string
  display_name: string
  password_hash: string
  role: UserRole
  state: UserState
  created_ms: number
  last_seen_ms: number
  /** Null: what the configuration says. */
  quota_bytes: number | null
  used_bytes: number
}>

const COLUMNS = `id, nickname, nickname_key, display_name, password_hash, role, state, created_ms, last_seen_ms,
  quota_bytes, used_bytes`
/** Sorts after all that begins with a text. */
const LAST = '\u{10ffff}'

/** What other users see. */
export function userRecord(row: Omit<UserRow, 'password_hash' | 'nickname_key'>): User {
  const { id, nickname, display_name, role, state, last_seen_ms } = row
  return { id, nickname, display_name, role, state, last_seen_ms }
}

export function userById(db: Database, id: number): UserRow | undefined {
  return db.get<UserRow>(`SELECT ${COLUMNS} FROM users WHERE id = ?`, id)
}

export function userByKey(db: Database, key: string): UserRow | undefined {
  return db.get<UserRow>(`SELECT ${COLUMNS} FROM users WHERE nickname_key = ?`, key)
}

/** Those that there are, ascending. */
export function usersByIds(db: Database, ids: readonly number[]): UserRow[] {
  const sql = `SELECT ${COLUMNS} FROM users WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id`
  return db.all<UserRow>(sql, JSON.stringify(ids))
}

/** Active users whose nickname, or a word of whose display name, begins with a folded text; best first. */
export function findUsers(db: Database, folded: string, limit: number): UserRow[] {
  return db.all<UserRow>(
    `SELECT ${COLUMNS} FROM users
     WHERE state = 'active' AND (
       nickname_key BETWEEN ?1 AND ?2 OR display_key BETWEEN ?1 AND ?2 OR instr(display_key, ' ' || ?1) > 0)
     ORDER BY nickname_key = ?1 DESC, nickname_key BETWEEN ?1 AND ?2 DESC, nickname_key LIMIT ?3`,
    folded,
    folded + LAST,
    limit,
  )
}

/** Users who are not deleted, after one of them, ascending. */
export function listUsers(db: Database, after: number, limit: number): UserRow[] {
  const sql = `SELECT ${COLUMNS} FROM users WHERE id > ? AND state <> 'deleted' ORDER BY id LIMIT ?`
  return db.all<UserRow>(sql, after, limit)
}

export function hasUsers(db: Database): boolean {
  return db.get('SELECT 1 FROM users LIMIT 1') !== undefined
}

/** Users who may administrate, besides one of them. */
export function otherAdmins(db: Database, user: number): number {
  const sql = "SELECT count(*) AS n FROM users WHERE role = 'admin' AND state = 'active' AND id <> ?"
  return db.get<{ n: number }>(sql, user)!.n
}

export function insertUser(
  db: Database,
  user: Readonly<{
    nickname: string
    nicknameKey: string
    displayName: string
    displayKey: string
    passwordHash: string
    role: UserRole
    nowMs: number
  }>,
): number {
  return db.run(
    `INSERT INTO users (nickname, nickname_key, display_name, display_key, password_hash, role, state, created_ms)
     VALUES (?, ?, ?, ?, ?, ?, 'active', ?)`,
    user.nickname,
    user.nicknameKey,
    user.displayName,
    user.displayKey,
    user.passwordHash,
    user.role,
    user.nowMs,
  ).lastId
}

export function setDisplayName(db: Database, user: number, name: string, key: string): void {
  db.run('UPDATE users SET display_name = ?, display_key = ? WHERE id = ?', name, key, user)
}

/** Only where the hash is still the one that was looked at; answers whether it was. */
export function replacePasswordHash(db: Database, user: number, before: string, after: string): boolean {
  const sql = "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ? AND state <> 'deleted'"
  return db.run(sql, after, user, before).changes === 1
}

export function setUserState(db: Database, user: number, state: 'active' | 'blocked'): void {
  db.run('UPDATE users SET state = ? WHERE id = ?', state, user)
}

export function setUserRole(db: Database, user: number, role: UserRole): void {
  db.run('UPDATE users SET role = ? WHERE id = ?', role, user)
}

/** Null: what the configuration says. */
export function setUserQuota(db: Database, user: number, bytes: number | null): void {
  db.run('UPDATE users SET quota_bytes = ? WHERE id = ?', bytes, user)
}

/**
 * The row stays for what the user wrote; nothing personal stays in it, and the nickname can be had by others. Nor does what
 * others have shared with the user.
 */
export function eraseUser(db: Database, user: number): void {
  db.run('DELETE FROM file_users WHERE user_id = ?', user)
  // No nickname can have a '#'.
  db.run(
    `UPDATE users SET state = 'deleted', role = 'user', nickname = 'deleted#' || id, nickname_key = 'deleted#' || id,
       display_name = '', display_key = '', password_hash = '', last_seen_ms = 0, quota_bytes = NULL
     WHERE id = ?`,
    user,
  )
}
