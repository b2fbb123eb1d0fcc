// A connection to the database: statements prepared once, and the settings that durability hangs on. The messenger's
// thread has the only one that writes; threads of the pool read. Invariant: only bound parameters reach SQL.

import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'

/** Statements that a connection keeps prepared: more than the program has. */
const STATEMENTS_MAX = 500
/** A reader waits so long for a moment without a checkpoint or a schema change. */
const BUSY_MS = 5_000
const PAGE_CACHE_KIB = 32 * 1_024
/** After a checkpoint the log file is cut to this. */
const WAL_BYTES_MAX = 64 * 1_024 * 1_024

export type Value = SQLInputValue

export class Database {
  #db: DatabaseSync
  readonly #open: () => DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  private constructor(open: () => DatabaseSync) {
    this.#open = open
    this.#db = open()
  }

  static openWriter(path: string): Database {
    return new Database(() => {
      const db = new DatabaseSync(path, { timeout: BUSY_MS, enableForeignKeyConstraints: true })
      db.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${WAL_BYTES_MAX}`,
      )
      db.exec(`PRAGMA cache_size = -${PAGE_CACHE_KIB}; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY`)
      return db
    })
  }

  static openReader(path: string): Database {
    return new Database(() => {
      const db = new DatabaseSync(path, { timeout: BUSY_MS, readOnly: true })
      db.exec(`PRAGMA query_only = ON; PRAGMA cache_size = -${PAGE_CACHE_KIB}; PRAGMA temp_store = MEMORY`)
      return db
    })
  }

  get<T>(sql: string, ...values: readonly Value[]): T | undefined {
    return this.#prepare(sql).get(...values) as T | undefined
  }

  all<T>(sql: string, ...values: readonly Value[]): T[] {
    return this.#prepare(sql).all(...values) as T[]
  }

  run(sql: string, ...values: readonly Value[]): { changes: number; lastId: number } {
    const { changes, lastInsertRowid } = this.#prepare(sql).run(...values)
    return { changes: Number(changes), lastId: Number(lastInsertRowid) }
  }

  /** Several statements without parameters. */
  exec(sql: string): void {
    this.#db.exec(sql)
  }

  get isInTransaction(): boolean {
    return this.#db.isTransaction
  }

  /** For `backup` of node:sqlite. */
  get raw(): DatabaseSync {
    return this.#db
  }

  /** After a failure of the disk that has left the connection unusable. Throws while it can't be opened. */
  reopen(): void {
    this.#statements.clear()
    if (this.#db.isOpen) this.#db.close()
    this.#db = this.#open()
  }

  close(): void {
    this.#statements.clear()
    this.#db.close()
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    // Texts of SQL are constants of the program; those that are put together (a list of filters) have few forms.
    if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear()
    const statement = this.#db.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}
