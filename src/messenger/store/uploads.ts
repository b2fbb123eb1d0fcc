// Unfinished uploads in SQL: room reserved before the first byte, and one writer at a time. The messenger's thread, inside
// the transaction that is being gathered. Invariants: what is stored and what is reserved never exceed the quotas
// together; an upload has at most one holder, over all shards.

import type { MessengerOptions } from '../../config/schema.ts'
import { CallError } from '../failures.ts'
import type { Visibility } from '../model.ts'
import type { Database } from './database.ts'

export type UploadRow = Readonly<{
  id: string
  owner_id: number
  size: number
  name: string
  visibility: Visibility
  holder: string
  /** 1, or 0: it came in one request, and ends with it. */
  resumable: number
  used_ms: number
}>

/** Holder of an upload that is complete and being stored: nobody writes to it any more. */
export const FINISHING = 'finishing'

/** For who has as many uploads as are allowed. */
const RETRY_AFTER_MS = 2_000

/** In one request each, at least so many at once: what a message may have, sent together. */
const REQUESTS_MIN = 10

/** Each file takes rows and names on the disk, even an empty one. */
export const FILES_MAX = 100_000

type Limits = Pick<MessengerOptions, 'file_size' | 'user_quota' | 'total_quota' | 'uploads_per_user'>

/** Throws too_large, rate or quota. */
export function reserveUpload(db: Database, upload: UploadRow, limits: Limits): void {
  const { owner_id, size } = upload
  if (size > limits.file_size)
    throw new CallError('too_large', `${size} bytes, of at most ${limits.file_size}`)
  const { used, quota } = roomOf(db, owner_id, limits)
  const most =
    upload.resumable === 1 ? limits.uploads_per_user : Math.max(REQUESTS_MIN, limits.uploads_per_user)
  const sql = 'SELECT count(*) AS uploads FROM uploads WHERE owner_id = ? AND resumable = ?'
  const { uploads } = db.get<{ uploads: number }>(sql, owner_id, upload.resumable)!
  if (uploads >= most) throw new CallError('rate', `${uploads} unfinished uploads`, RETRY_AFTER_MS)
  if (hasFiles(db, owner_id, FILES_MAX)) throw new CallError('quota', `you have ${FILES_MAX} files`)
  if (used + size > quota) throw new CallError('quota', `${used} of your ${quota} bytes are taken`)
  const { stored_bytes, reserved_bytes } = storageTotals(db)
  if (stored_bytes + reserved_bytes + size > limits.total_quota)
    throw new CallError('quota', 'all files together take what they may')
  db.run(
    'INSERT INTO uploads (id, owner_id, size, name, visibility, holder, resumable, used_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    upload.id,
    owner_id,
    size,
    upload.name,
    upload.visibility,
    upload.holder,
    upload.resumable,
    upload.used_ms,
  )
}

function hasFiles(db: Database, owner: number, atLeast: number): boolean {
  const sql = 'SELECT 1 FROM files WHERE owner_id = ? LIMIT 1 OFFSET ?'
  return db.get(sql, owner, atLeast - 1) !== undefined
}

/** `used`: with what is reserved. */
export function roomOf(
  db: Database,
  user: number,
  { user_quota }: Pick<Limits, 'user_quota'>,
): { uploads: number; used: number; quota: number } {
  const { uploads, reserved } = db.get<{ uploads: number; reserved: number }>(
    'SELECT count(*) AS uploads, coalesce(sum(size), 0) AS reserved FROM uploads WHERE owner_id = ?',
    user,
  )!
  const row = db.get<{ used_bytes: number; quota_bytes: number | null }>(
    'SELECT used_bytes, quota_bytes FROM users WHERE id = ?',
    user,
  )
  if (row === undefined) throw new CallError('not_found', `user ${user}`)
  return { uploads, used: row.used_bytes + reserved, quota: row.quota_bytes ?? user_quota }
}

export function storageTotals(db: Database): { stored_bytes: number; reserved_bytes: number } {
  return db.get('SELECT stored_bytes, reserved_bytes FROM storage')!
}

/** Undefined: there is none of this owner. */
export function uploadOf(db: Database, id: string, owner: number): UploadRow | undefined {
  return db.get<UploadRow>('SELECT * FROM uploads WHERE id = ? AND owner_id = ?', id, owner)
}

export function holdUpload(db: Database, id: string, holder: string, nowMs: number): void {
  db.run('UPDATE uploads SET holder = ?, used_ms = ? WHERE id = ?', holder, nowMs, id)
}

/** Nothing happens when another one holds it meanwhile. */
export function releaseUpload(db: Database, id: string, holder: string, nowMs: number): void {
  db.run("UPDATE uploads SET holder = '', used_ms = ? WHERE id = ? AND holder = ?", nowMs, id, holder)
}

/** Gives back what was reserved. */
export function dropUpload(db: Database, id: string): void {
  db.run('DELETE FROM uploads WHERE id = ?', id)
}

/** After a start: who was finishing is no more, and what came in one request can't go on. */
export function forgetRequests(db: Database): void {
  db.run('DELETE FROM uploads WHERE resumable = 0')
  db.run("UPDATE uploads SET holder = '' WHERE holder = ?", FINISHING)
}

/** Those that nothing came for since `beforeMs`, or that are being stored since `stuckMs`; oldest first. */
export function expiredUploads(db: Database, beforeMs: number, stuckMs: number, limit: number): UploadRow[] {
  const sql = `
    SELECT * FROM uploads WHERE used_ms < max(?1, ?2) AND used_ms < iif(holder = '${FINISHING}', ?2, ?1)
    ORDER BY used_ms LIMIT ?3`
  return db.all<UploadRow>(sql, beforeMs, stuckMs, limit)
}

export function uploadIds(db: Database): Set<string> {
  return new Set(db.all<{ id: string }>('SELECT id FROM uploads').map(({ id }) => id))
}
