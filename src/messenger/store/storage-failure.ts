// Which errors of SQLite are failures of the storage beneath it, and what they are called. Any thread; pure.

/** Primary result codes of SQLite: https://www.sqlite.org/rescode.html */
const REASONS: Readonly<Record<number, string>> = {
  5: 'the database is locked by another program',
  7: 'out of memory',
  8: 'the database is read-only',
  10: 'i/o error',
  11: 'the database is damaged',
  13: 'the disk is full',
  14: 'the database can not be opened',
  15: 'the database is locked by another program',
  26: 'the file is no database',
}

/** Undefined: the error has another cause (a constraint, a statement that is wrong). */
export function storageFailure(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number')
    return undefined
  // The rest of an extended code says where it happened.
  return REASONS[error.errcode & 0xff]
}
