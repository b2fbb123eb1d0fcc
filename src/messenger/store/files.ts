// Files and blobs in SQL, and who may read them. What changes runs in the messenger's thread inside the transaction that is
// being gathered; what reads runs in any thread. Invariants: a file's row refers to a blob that is on the disk; who may
// not read a file learns nothing of it.

import type { MessengerOptions } from '../../config/schema.ts'
import { CallError } from '../failures.ts'
import type { FileRecord, Visibility } from '../model.ts'
import type { Database } from './database.ts'
import { EVERYONE } from './schema.ts'
import { indexFile, unindexFile } from './search-index.ts'

/** A row of files. */
export type FileRow = Readonly<{
  id: number
  public_id: string
  owner_id: number
  sha256: string
  size: number
  name: string
  type: string
  /** Of what has a preview. */
  width: number | null
  height: number | null
  blur: string | null
  visibility: Visibility
  created_ms: number
  downloads: number
  downloaded_bytes: number
}>

/** What a query has to select of `files f` to get FileRow. */
export const FILE_COLUMNS =
  'f.id, f.public_id, f.owner_id, f.sha256, f.size, f.name, f.type, f.width, f.height, f.blur, f.visibility, ' +
  'f.created_ms, f.downloads, f.downloaded_bytes'

type OptionsOfEveryone = Pick<MessengerOptions, 'everyone'>

/**
 * The one decision on who may read a file, as a condition on `files f`; takes the reader's id four times (see
 * `readerValues`). Members of a conversation read what its messages have; an administrator of the server is no exception.
 */
export const MAY_READ = `(f.owner_id = ? OR f.visibility = 'public'
  OR (f.visibility = 'users' AND EXISTS (SELECT 1 FROM file_users u WHERE u.file_id = f.id AND u.user_id = ?))
  OR EXISTS (
    SELECT 1 FROM attachments a JOIN members m ON m.conversation_id = a.conversation_id AND m.user_id = ?
    WHERE a.file_id = f.id AND a.conversation_id <> ?))`

/** What MAY_READ is given. */
export function readerValues(user: number, options: OptionsOfEveryone): readonly number[] {
  return [user, user, user, options.everyone ? 0 : EVERYONE]
}

export function fileRecord(row: FileRow): FileRecord {
  const { width, height, blur } = row
  return {
    id: row.public_id,
    owner: row.owner_id,
    name: row.name,
    size: row.size,
    type: row.type,
    sha256: row.sha256,
    created_ms: row.created_ms,
    visibility: row.visibility,
    ...(width !== null && { width }),
    ...(height !== null && { height }),
    ...(blur !== null && { blur }),
  }
}

/** For who may read it; throws `not_found` for everybody else, as for a file that does not exist. */
export function readableFile(
  db: Database,
  publicId: string,
  user: number,
  options: OptionsOfEveryone,
): FileRow {
  const sql = `SELECT ${FILE_COLUMNS} FROM files f WHERE f.public_id = ? AND ${MAY_READ}`
  const row = db.get<FileRow>(sql, publicId, ...readerValues(user, options))
  if (row === undefined) throw new CallError('not_found', 'file')
  return row
}

/** The same for what only its owner may do; who may only read it gets `forbidden`. */
export function ownFile(db: Database, publicId: string, user: number, options: OptionsOfEveryone): FileRow {
  const row = readableFile(db, publicId, user, options)
  if (row.owner_id !== user) throw new CallError('forbidden', 'the file is not yours')
  return row
}

export function fileById(db: Database, id: number): FileRow | undefined {
  return db.get<FileRow>(`SELECT ${FILE_COLUMNS} FROM files f WHERE f.id = ?`, id)
}

export function fileOfOwner(db: Database, publicId: string, owner: number): FileRow | undefined {
  const sql = `SELECT ${FILE_COLUMNS} FROM files f WHERE f.public_id = ? AND f.owner_id = ?`
  return db.get<FileRow>(sql, publicId, owner)
}

export type NewFile = Readonly<{
  publicId: string
  owner: number
  sha256: string
  size: number
  name: string
  type: string
  image: Readonly<{ width: number; height: number; blur: string }> | undefined
  visibility: Visibility
  nowMs: number
}>

/** The blob is on the disk already. */
export function addFile(db: Database, file: NewFile): FileRow {
  const { owner, sha256, size, name, image, nowMs } = file
  db.run(
    'INSERT INTO blobs (sha256, size, files, created_ms) VALUES (?, ?, 0, ?) ON CONFLICT DO NOTHING',
    sha256,
    size,
    nowMs,
  )
  const { lastId } = db.run(
    `INSERT INTO files (public_id, owner_id, sha256, size, name, type, width, height, blur, visibility, created_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    file.publicId,
    owner,
    sha256,
    size,
    name,
    file.type,
    image?.width ?? null,
    image?.height ?? null,
    image?.blur ?? null,
    file.visibility,
    nowMs,
  )
  indexFile(db, { id: lastId, owner, name })
  countUp(db, size, nowMs)
  return fileById(db, lastId)!
}

const HOUR_MS = 3_600_000

function countUp(db: Database, bytes: number, nowMs: number): void {
  const sql =
    'INSERT INTO hours (hour, bytes_up) VALUES (?, ?) ON CONFLICT DO UPDATE SET bytes_up = bytes_up + excluded.bytes_up'
  db.run(sql, Math.floor(nowMs / HOUR_MS), bytes)
}

/** Single downloads that are kept, of all files: some 100 MB. Their counts stay. */
export const DOWNLOAD_ROWS_MAX = 1_000_000

/** A download that came to its end. */
export function countDownload(db: Database, file: number, user: number, bytes: number, nowMs: number): void {
  db.run(
    'UPDATE files SET downloads = downloads + 1, downloaded_bytes = downloaded_bytes + ? WHERE id = ?',
    bytes,
    file,
  )
  const { lastId } = db.run(
    'INSERT INTO downloads (file_id, user_id, bytes, at_ms) VALUES (?, ?, ?, ?)',
    file,
    user,
    bytes,
    nowMs,
  )
  db.run('DELETE FROM downloads WHERE id <= ?', lastId - DOWNLOAD_ROWS_MAX)
  const sql =
    'INSERT INTO hours (hour, bytes_down, downloads) VALUES (?, ?, 1) ' +
    'ON CONFLICT DO UPDATE SET bytes_down = bytes_down + excluded.bytes_down, downloads = downloads + 1'
  db.run(sql, Math.floor(nowMs / HOUR_MS), bytes)
}

export function renameFile(db: Database, { id, owner_id }: FileRow, name: string): void {
  db.run('UPDATE files SET name = ? WHERE id = ?', name, id)
  unindexFile(db, id)
  indexFile(db, { id, owner: owner_id, name })
}

/** `users`: who may read it when it is for chosen users; nobody otherwise. */
export function setVisibility(db: Database, file: number, to: Visibility, users: readonly number[]): void {
  db.run('UPDATE files SET visibility = ? WHERE id = ?', to, file)
  db.run('DELETE FROM file_users WHERE file_id = ?', file)
  for (const user of new Set(users))
    db.run('INSERT INTO file_users (file_id, user_id) VALUES (?, ?)', file, user)
}

export function usersOf(db: Database, file: number): number[] {
  const sql = 'SELECT user_id AS id FROM file_users WHERE file_id = ? ORDER BY user_id'
  return db.all<{ id: number }>(sql, file).map(({ id }) => id)
}

/** The file, wherever it is attached. Its blob goes by the sweep when no other file has it. */
export function deleteFile(db: Database, file: number): void {
  unindexFile(db, file)
  db.run('DELETE FROM attachments WHERE file_id = ?', file)
  db.run('DELETE FROM files WHERE id = ?', file)
}

/** Newest first; `before`: an id of files, 0 = from the newest. */
export function filesOf(db: Database, owner: number, before: number, limit: number): FileRow[] {
  const sql = `
    SELECT ${FILE_COLUMNS} FROM files f WHERE f.owner_id = ? AND f.id < ? ORDER BY f.id DESC LIMIT ?`
  return db.all<FileRow>(sql, owner, before === 0 ? Number.MAX_SAFE_INTEGER : before, limit)
}

export function unusedBlobs(db: Database, limit: number): string[] {
  const sql = 'SELECT sha256 FROM blobs WHERE files = 0 LIMIT ?'
  return db.all<{ sha256: string }>(sql, limit).map(({ sha256 }) => sha256)
}

/** Answers whether it is gone: no file has it. */
export function dropBlob(db: Database, sha256: string): boolean {
  return db.run('DELETE FROM blobs WHERE sha256 = ? AND files = 0', sha256).changes === 1
}

export function hasBlob(db: Database, sha256: string): boolean {
  return db.get('SELECT 1 FROM blobs WHERE sha256 = ?', sha256) !== undefined
}
