// Which content the database says there is, for copies and checks of a whole data directory. Any thread; only reads.

import type { Database } from './database.ts'

export type BlobRow = Readonly<{ sha256: string; size: number }>

/** Behind one of them ('': from the first), ascending by hash. */
function blobsAfter(db: Database, sha256: string, limit: number): BlobRow[] {
  const sql = 'SELECT sha256, size FROM blobs WHERE sha256 > ? ORDER BY sha256 LIMIT ?'
  return db.all<BlobRow>(sql, sha256, limit)
}

const SLICE = 500

export function* allBlobs(db: Database): Generator<BlobRow> {
  for (let rows = blobsAfter(db, '', SLICE); rows.length > 0; ) {
    yield* rows
    rows = blobsAfter(db, rows.at(-1)!.sha256, SLICE)
  }
}
