// Takes the words of deleted messages out of the full-text indexes. An index only marks a row as deleted; its words stay
// in the file until what holds them is written anew, and from words and places a text could be put together again. The
// messenger's thread, inside the transaction that is being gathered. Source: SQLite, FTS5, 'The merge Command'.

import type { Database } from './database.ts'

export type SearchTable = 'message_words' | 'message_parts' | 'file_words'

export const SEARCH_TABLES: readonly SearchTable[] = ['message_words', 'message_parts', 'file_words']

/** Marks of deleted rows have numbers from here on (fts5_index.c, FTS5_TOMBSTONE_ROWID). */
const MARKS_FROM = 2 ** 53

/** Whether the words of something that was deleted may still be there. */
export function hasDeletedWords(db: Database, table: SearchTable): boolean {
  return db.get(`SELECT 1 FROM ${table}_data WHERE id >= ${MARKS_FROM} LIMIT 1`) !== undefined
}

/**
 * Writes some pages of an index anew; the first step takes in all that there is, the others go on with it. Returns false
 * when nothing is left to do.
 */
export function purgeStep(db: Database, table: SearchTable, pages: number, isFirst: boolean): boolean {
  const before = totalChanges(db)
  db.run(`INSERT INTO ${table} (${table}, rank) VALUES ('merge', ?)`, isFirst ? -pages : pages)
  return totalChanges(db) - before >= 2
}

function totalChanges(db: Database): number {
  return db.get<{ n: number }>('SELECT total_changes() AS n')!.n
}
