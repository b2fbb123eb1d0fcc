// Lists of files and of their downloads, in SQL, in pages. Any thread; only reads. Invariant: a list of others' files has
// only what the asker may read, and its work ends at a limit.

import type { Database } from './database.ts'
import { FILE_COLUMNS, type FileRow, filesOf, MAY_READ, readerValues } from './files.ts'

/** Where a page begins: below this id; 0: at the newest. */
export type At = Readonly<{ cursor: number; limit: number }>
export type Page<T> = Readonly<{ rows: T[]; next: number }>

/** Of the most downloaded files so many are looked at for those that the asker may read. */
const RANKED_MAX = 2_000

function below(cursor: number): number {
  return cursor === 0 ? Number.MAX_SAFE_INTEGER : cursor
}

function pageOf<T extends { id: number }>(rows: T[], limit: number): Page<T> {
  return { rows, next: rows.length < limit ? 0 : rows.at(-1)!.id }
}

export function ownFiles(db: Database, user: number, { cursor, limit }: At): Page<FileRow> {
  return pageOf(filesOf(db, user, cursor, limit), limit)
}

/**
 * Files of others that are shared with all or with this user, whoever sent them where. `owner` 0: of anybody. Two lists
 * that each have an index, as one.
 */
export function sharedFiles(db: Database, user: number, owner: number, { cursor, limit }: At): Page<FileRow> {
  const sql = `
    SELECT * FROM (
      SELECT * FROM (
        SELECT ${FILE_COLUMNS} FROM files f
        WHERE f.visibility = 'public' AND f.owner_id <> ?1 AND (?2 = 0 OR f.owner_id = ?2) AND f.id < ?3
        ORDER BY f.id DESC LIMIT ?4)
      UNION ALL
      SELECT * FROM (
        SELECT ${FILE_COLUMNS} FROM file_users u JOIN files f ON f.id = u.file_id
        WHERE u.user_id = ?1 AND f.visibility = 'users' AND f.owner_id <> ?1 AND (?2 = 0 OR f.owner_id = ?2)
          AND u.file_id < ?3
        ORDER BY u.file_id DESC LIMIT ?4))
    ORDER BY id DESC LIMIT ?4`
  return pageOf(db.all<FileRow>(sql, user, owner, below(cursor), limit), limit)
}

export type DownloadRow = Readonly<{ id: number; user_id: number; bytes: number; at_ms: number }>

/** The newest first. */
export function downloadsOf(db: Database, file: number, { cursor, limit }: At): Page<DownloadRow> {
  const sql = `
    SELECT id, user_id, bytes, at_ms FROM downloads WHERE file_id = ? AND id < ? ORDER BY id DESC LIMIT ?`
  return pageOf(db.all<DownloadRow>(sql, file, below(cursor), limit), limit)
}

/** Of those that the user may read. */
export function mostDownloaded(
  db: Database,
  user: number,
  options: Parameters<typeof readerValues>[1],
  limit: number,
): FileRow[] {
  const sql = `
    SELECT ${FILE_COLUMNS} FROM (SELECT * FROM files WHERE downloads > 0 ORDER BY downloads DESC, id DESC LIMIT ${RANKED_MAX}) f
    WHERE ${MAY_READ} ORDER BY f.downloads DESC, f.id DESC LIMIT ?`
  return db.all<FileRow>(sql, ...readerValues(user, options), limit)
}

/** Those of the files that the user may read, the newest first. */
export function readableAmong(
  db: Database,
  user: number,
  options: Parameters<typeof readerValues>[1],
  ids: readonly number[],
): FileRow[] {
  const sql = `
    SELECT ${FILE_COLUMNS} FROM files f WHERE f.id IN (SELECT value FROM json_each(?)) AND ${MAY_READ}
    ORDER BY f.id DESC`
  return db.all<FileRow>(sql, JSON.stringify(ids), ...readerValues(user, options))
}
