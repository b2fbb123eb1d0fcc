// Brings a database to the newest form. The messenger's thread, at start, before anything else uses it. Invariant: a
// migration and its number become durable together, so a start that was cut short goes on where it stopped.

import { StartError } from '../../base/errors.ts'
import type { Database } from './database.ts'
import { migrations } from './schema.ts'

/** Throws StartError for a database that a newer version has written. Returns how many migrations ran. */
export function migrate(db: Database): number {
  const before = versionOf(db)
  if (before > migrations.length) {
    throw new StartError(
      `the database has version ${before}, and this program knows ${migrations.length}: a newer one has written it`,
    )
  }
  for (const [index, statements] of migrations.entries()) {
    const version = index + 1
    if (version <= before) continue
    db.exec('BEGIN IMMEDIATE')
    try {
      db.exec(`${statements}; PRAGMA user_version = ${version}`)
      db.exec('COMMIT')
    } catch (error) {
      if (db.isInTransaction) db.exec('ROLLBACK')
      throw error
    }
  }
  return migrations.length - before
}

/** Migrations that a database has been through; 0: it is empty. */
export function versionOf(db: Database): number {
  return db.get<{ user_version: number }>('PRAGMA user_version')!.user_version
}
