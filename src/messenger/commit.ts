// The group commit: what came in during one turn of the loop is written in one transaction, and answered when that is
// durable. The messenger's thread, the only one that writes. Invariants: a call that is refused leaves nothing behind
// and does not touch its neighbours; when the transaction fails, nobody of it is told that anything was stored.

import { reasonOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { MessengerOptions } from '../config/schema.ts'
import { observe, slots } from '../metrics/slots.ts'
import { type Effect, Effects } from './effects.ts'
import { CallError } from './failures.ts'
import type { WriteContext } from './method.ts'
import type { Database } from './store/database.ts'
import { storageFailure } from './store/storage-failure.ts'

/** Beyond so many calls that wait for their transaction the next are refused: some seconds of work. */
const WAITING_MAX = 10_000
/** Of one transaction: what is acknowledged last waits for all before it. */
const BATCH_MAX = 1_000

export type Outcome<T> = Readonly<{ ok: true; value: T } | { ok: false; error: CallError }>

type Entry = {
  work: (context: WriteContext) => unknown
  done: (outcome: Outcome<unknown>) => void
  effects: Effects
  outcome: Outcome<unknown> | undefined
}

export type GroupCommitOptions = Readonly<{
  db: Database
  options: MessengerOptions
  nowMs: () => number
  row: Float64Array
  log: Log
  /** What durable calls cause, in their order. */
  carryOut: (effects: readonly Effect[]) => void
  /** An error that is a fault of the program; the caller gets `internal`. */
  onFault: (error: unknown) => void
}>

export class GroupCommit {
  readonly #o: GroupCommitOptions
  #waiting: Entry[] = []
  #isScheduled = false
  #isBroken = false
  /** Of the last transaction; '' when it became durable. */
  #failure = ''
  #idle: (() => void)[] = []

  constructor(options: GroupCommitOptions) {
    this.#o = options
  }

  /** `done` comes exactly once, when the work is durable or was refused. */
  write<T>(work: (context: WriteContext) => T, done: (outcome: Outcome<T>) => void): void {
    if (this.#waiting.length >= WAITING_MAX) return done({ ok: false, error: new CallError('busy') })
    this.#waiting.push({
      work,
      done: done as (outcome: Outcome<unknown>) => void,
      effects: new Effects(),
      outcome: undefined,
    })
    this.#schedule()
  }

  /** Rejects with CallError. */
  writeAsync<T>(work: (context: WriteContext) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.write(work, outcome => (outcome.ok ? resolve(outcome.value) : reject(outcome.error)))
    })
  }

  /** Resolves when nothing waits. */
  whenIdle(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve()
    return new Promise(resolve => this.#idle.push(resolve))
  }

  #schedule(): void {
    this.#o.row[slots.messengerWaitingCalls] = this.#waiting.length
    if (this.#isScheduled) return
    this.#isScheduled = true
    // Behind all that this turn of the loop still brings in.
    setImmediate(() => this.#turn())
  }

  #turn(): void {
    this.#isScheduled = false
    const batch = this.#waiting.splice(0, BATCH_MAX)
    const failure = this.#commit(batch)
    for (const entry of batch)
      entry.done(failure === undefined ? entry.outcome! : { ok: false, error: failure })
    if (failure === undefined) for (const entry of batch) this.#o.carryOut(entry.effects.list)
    if (this.#waiting.length > 0) return this.#schedule()
    this.#o.row[slots.messengerWaitingCalls] = 0
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** Returns why the whole batch failed. */
  #commit(batch: readonly Entry[]): CallError | undefined {
    const { db, row, log } = this.#o
    const beganMs = performance.now()
    try {
      if (this.#isBroken) db.reopen()
      this.#isBroken = false
      db.run('BEGIN IMMEDIATE')
      for (const entry of batch) this.#carryOutOne(entry)
      for (const { effects } of batch) for (const work of effects.last) work(db)
      db.run('COMMIT')
    } catch (error) {
      const reason = storageFailure(error) ?? reasonOf(error)
      if (reason !== this.#failure) log.error({ reason }, 'calls can not be stored')
      this.#failure = reason
      this.#rollBack()
      return new CallError('storage', reason)
    }
    if (this.#failure !== '') log.info({}, 'calls can be stored again')
    this.#failure = ''
    row[slots.messengerCommits]! += 1
    observe(row, slots.messengerCommitSeconds, (performance.now() - beganMs) / 1_000)
    return undefined
  }

  #carryOutOne(entry: Entry): void {
    const { db, options, nowMs, onFault } = this.#o
    const effects = new Effects()
    db.run('SAVEPOINT call')
    try {
      const value = entry.work({ db, options, nowMs: nowMs(), effects })
      db.run('RELEASE call')
      entry.effects = effects
      entry.outcome = { ok: true, value }
    } catch (error) {
      const isRefusal = error instanceof CallError
      // SQLite itself rolls back the whole transaction for some failures.
      if (!isRefusal && (storageFailure(error) !== undefined || !db.isInTransaction)) throw error
      db.run('ROLLBACK TO call')
      db.run('RELEASE call')
      if (!isRefusal) onFault(error)
      entry.outcome = { ok: false, error: isRefusal ? error : new CallError('internal') }
    }
  }

  /**
   * The connection is kept where it can be rolled back: opened anew after a failed sync, it might find in the log what
   * was refused. Where it can't, only opening it anew helps, and that is safe too: SQLite reads the log from the start.
   */
  #rollBack(): void {
    const { db } = this.#o
    try {
      if (db.isInTransaction) db.run('ROLLBACK')
      db.get('SELECT 1 FROM settings LIMIT 1')
    } catch {
      this.#isBroken = true
    }
  }
}
