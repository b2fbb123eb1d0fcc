// What the messenger notes for itself, by name. What changes runs inside the transaction that is being gathered.

import type { Database } from './database.ts'

/** The messenger has ended in order, with nothing left to tell. */
export const ALL_TOLD = 'all_told'

export function hasNote(db: Database, key: string): boolean {
  return db.get('SELECT 1 FROM settings WHERE key = ?', key) !== undefined
}

export function addNote(db: Database, key: string): void {
  db.run("INSERT INTO settings (key, value) VALUES (?, '') ON CONFLICT DO NOTHING", key)
}

export function dropNote(db: Database, key: string): void {
  db.run('DELETE FROM settings WHERE key = ?', key)
}
