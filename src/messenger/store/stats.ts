// What administrators see of the whole: users, conversations, storage and use, in SQL. Threads of the pool; reads only.
// Invariant: sizes, times and counts, but nothing that was said in a conversation and no name of a file that is not public.

import type { UserRole } from '../model.ts'
import type { Database } from './database.ts'
import type { UserRow, UserState } from './users.ts'

export type AdministeredUser = Omit<UserRow, 'password_hash' | 'nickname_key'> & Readonly<{ logins: number }>

/** Users with what only administrators see, by id. `state` '': any; `folded`: how the nickname begins. */
export function administeredUsers(
  db: Database,
  asked: Readonly<{
    after: number
    limit: number
    state: UserState | ''
    role: UserRole | ''
    folded: string
  }>,
): AdministeredUser[] {
  return db.all<AdministeredUser>(
    `SELECT id, nickname, display_name, role, state, created_ms, last_seen_ms, quota_bytes, used_bytes,
       (SELECT count(*) FROM sessions s WHERE s.user_id = u.id) AS logins
     FROM users u
     WHERE id > ?1 AND (?2 = '' OR state = ?2) AND (?3 = '' OR role = ?3)
       AND (?4 = '' OR nickname_key BETWEEN ?4 AND ?4 || char(1114111))
     ORDER BY id LIMIT ?5`,
    asked.after,
    asked.state,
    asked.role,
    asked.folded,
    asked.limit,
  )
}

export type ConversationFigures = Readonly<{
  id: number
  kind: 'direct' | 'group' | 'everyone'
  name: string
  created_by: number
  created_ms: number
  members: number
  /** Kept ones; deleted ones among them keep their place. */
  messages: number
  last_message_ms: number
  /** Null: what the configuration says. */
  retention_days: number | null
}>

/** By id; without those that have ended and are being deleted. */
export function conversationFigures(db: Database, after: number, limit: number): ConversationFigures[] {
  return db.all<ConversationFigures>(
    `SELECT id, kind, name, created_by, created_ms, member_count AS members, seq - first_seq + 1 AS messages,
       coalesce((SELECT created_ms FROM messages m WHERE m.conversation_id = c.id AND m.seq = c.seq), 0)
         AS last_message_ms,
       retention_days
     FROM conversations c WHERE id > ? AND (member_count > 0 OR kind = 'everyone') ORDER BY id LIMIT ?`,
    after,
    limit,
  )
}

export type StorageFigures = Readonly<{
  database_bytes: number
  files: number
  /** What users see: a content that several files have counts for each. */
  file_bytes: number
  blobs: number
  /** What is on the disk. */
  blob_bytes: number
  /** Kept free for unfinished uploads. */
  upload_bytes: number
}>

export function storageFigures(db: Database): StorageFigures {
  const pages = db.get<{ page_count: number }>('PRAGMA page_count')!.page_count
  const pageBytes = db.get<{ page_size: number }>('PRAGMA page_size')!.page_size
  const figures = db.get<Omit<StorageFigures, 'database_bytes'>>(
    `SELECT f.n AS files, f.bytes AS file_bytes, b.n AS blobs, b.bytes AS blob_bytes, u.bytes AS upload_bytes
     FROM (SELECT count(*) AS n, coalesce(sum(size), 0) AS bytes FROM files) f,
       (SELECT count(*) AS n, coalesce(sum(size), 0) AS bytes FROM blobs) b,
       (SELECT coalesce(sum(size), 0) AS bytes FROM uploads) u`,
  )!
  return { database_bytes: pages * pageBytes, ...figures }
}

/** Who takes the most room. */
export function largestUsers(
  db: Database,
  limit: number,
): { id: number; nickname: string; used_bytes: number }[] {
  return db.all(
    'SELECT id, nickname, used_bytes FROM users WHERE used_bytes > 0 ORDER BY used_bytes DESC, id LIMIT ?',
    limit,
  )
}

export type Counts = Readonly<{
  active: number
  blocked: number
  admins: number
  conversations: number
  /** Ever sent. */
  messages: number
}>

export function counts(db: Database): Counts {
  return db.get<Counts>(
    `SELECT
       (SELECT count(*) FROM users WHERE state = 'active') AS active,
       (SELECT count(*) FROM users WHERE state = 'blocked') AS blocked,
       (SELECT count(*) FROM users WHERE state = 'active' AND role = 'admin') AS admins,
       (SELECT count(*) FROM conversations WHERE member_count > 0) AS conversations,
       (SELECT coalesce(sum(seq), 0) FROM conversations) AS messages`,
  )!
}

export type Volume = Readonly<{ messages: number; bytes_up: number; bytes_down: number; downloads: number }>

const SUMS = `sum(messages) AS messages, sum(bytes_up) AS bytes_up, sum(bytes_down) AS bytes_down,
  sum(downloads) AS downloads`

/**
 * Periods of so many hours since 1970 (UTC) in which anything happened, oldest first; `period` counts them. (A number is
 * bound as a float, and would divide as one.)
 */
export function volumes(db: Database, fromHour: number, hoursEach: number): (Volume & { period: number })[] {
  return db.all<Volume & { period: number }>(
    `SELECT hour / CAST(?2 AS INTEGER) AS period, ${SUMS} FROM hours WHERE hour >= ?1 GROUP BY period ORDER BY period`,
    fromHour,
    hoursEach,
  )
}

export type DownloadedFile = Readonly<{
  id: string
  owner: number
  /** '' unless the file is public. */
  name: string
  type: string
  size: number
  downloads: number
  downloaded_bytes: number
}>

export function mostDownloaded(db: Database, limit: number): DownloadedFile[] {
  return db.all<DownloadedFile>(
    `SELECT public_id AS id, owner_id AS owner, CASE visibility WHEN 'public' THEN name ELSE '' END AS name, type,
       size, downloads, downloaded_bytes
     FROM files WHERE downloads > 0 ORDER BY downloads DESC, id LIMIT ?`,
    limit,
  )
}
