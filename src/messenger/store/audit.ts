// The audit log in SQL: who did what to whom, for administrators. Written in the transaction of what it tells of, so that
// neither is there without the other. Invariant: no secret and no content of a message gets into it.

import type { Database } from './database.ts'

/** Some 200 MB. Whoever guesses passwords for a year writes no more than that. */
export const AUDIT_ROWS_MAX = 1_000_000

export type AuditAction =
  | 'signup'
  | 'login'
  | 'login_failed'
  | 'password_refused'
  | 'logout'
  | 'logout_everywhere'
  | 'session_revoked'
  | 'password_changed'
  | 'account_deleted'
  | 'user_added'
  | 'user_blocked'
  | 'user_unblocked'
  | 'role_set'
  | 'quota_set'
  | 'password_reset'
  | 'conversation_deleted'
  | 'retention_set'

export type AuditEntry = Readonly<{
  nowMs: number
  /** 0: nobody who is logged in. */
  actor: number
  action: AuditAction
  /** 'user:7', 'conversation:3', 'session:…'; '' = nothing that is known. */
  target: string
  detail: string
  address: string
}>

export type AuditRow = Readonly<{
  id: number
  at_ms: number
  actor_id: number
  action: string
  target: string
  detail: string
  address: string
}>

/** Past a number of entries the oldest goes. */
export function addAudit(db: Database, entry: AuditEntry): void {
  const { lastId } = db.run(
    'INSERT INTO audit (at_ms, actor_id, action, target, detail, address) VALUES (?, ?, ?, ?, ?, ?)',
    entry.nowMs,
    entry.actor,
    entry.action,
    entry.target,
    entry.detail,
    entry.address,
  )
  db.run('DELETE FROM audit WHERE id <= ?', lastId - AUDIT_ROWS_MAX)
}

/** Newest first, before one of them (0: from the newest). `actor` 0 and `action` '': any. */
export function listAudit(
  db: Database,
  asked: Readonly<{ before: number; actor: number; action: string; limit: number }>,
): AuditRow[] {
  return db.all<AuditRow>(
    `SELECT id, at_ms, actor_id, action, target, detail, address FROM audit
     WHERE (?1 = 0 OR id < ?1) AND (?2 = 0 OR actor_id = ?2) AND (?3 = '' OR action = ?3)
     ORDER BY id DESC LIMIT ?4`,
    asked.before,
    asked.actor,
    asked.action,
    asked.limit,
  )
}
