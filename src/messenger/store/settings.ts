// What the messenger notes for itself, by name. What changes runs inside the transaction that is being gathered.

import type { Database } from './database.ts'

/** The messenger has ended in order, with nothing left to tell. */
export const ALL_TOLD = 'all_told'

/**
 * Which life of the archive this is. A copy that may one day be restored gets another one, for its revs will then be given
 * a second time: clients see by it that what they know is of another life.
 */
export function archiveId(db: Database): string {
  return db.get<{ value: string }>("SELECT value FROM settings WHERE key = 'archive'")!.value
}

export function renewArchive(db: Database): void {
  db.run("UPDATE settings SET value = lower(hex(randomblob(8))) WHERE key = 'archive'")
}

export function hasNote(db: Database, key: string): boolean {
  return db.get('SELECT 1 FROM settings WHERE key = ?', key) !== undefined
}

export function addNote(db: Database, key: string): void {
  db.run("INSERT INTO settings (key, value) VALUES (?, '') ON CONFLICT DO NOTHING", key)
}

export function dropNote(db: Database, key: string): void {
  db.run('DELETE FROM settings WHERE key = ?', key)
}
