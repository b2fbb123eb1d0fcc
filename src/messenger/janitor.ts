// Deletes what has had its time: messages past the retention of their conversation, what is left of conversations without
// members, logins that have ended, old rows of logs, exports that nobody fetched. The messenger's thread, each second.
// Invariant: each transaction deletes a bounded slice, so calls get their turn in between.

import { readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { MessengerOptions } from '../config/schema.ts'
import { endExpiredSessions } from './accounts/sessions.ts'
import { EXPORT_PREFIX } from './export/paths.ts'
import { DIRECTORIES } from './files/paths.ts'
import type { WriteContext } from './method.ts'
import type { Database } from './store/database.ts'
import {
  abandonedConversation,
  deleteAudit,
  deleteDownloads,
  deleteOlder,
  dropConversation,
  hasOlder,
  retentionOf,
} from './store/retention.ts'
import { hasDeletedWords, purgeStep, SEARCH_TABLES, type SearchTable } from './store/search-purge.ts'

const DAY_MS = 24 * 3_600_000
/** A slice of messages takes some ten milliseconds of the thread. */
const SLICE = 100
/** So a sweep deletes up to 2,000 messages, more than a busy conversation gets in a second. */
const SLICES_PER_SWEEP = 20
const CONVERSATIONS_PER_SWEEP = 100
/** A round over all conversations begins so often at most. */
const ROUND_INTERVAL_MS = 60_000
const SESSIONS_PER_SWEEP = 100
const ROWS_PER_SWEEP = 500
/** Single downloads are kept so long; their counts stay. */
const DOWNLOADS_MS = 90 * DAY_MS
const AUDIT_MS = 365 * DAY_MS
/** What takes more than a look is done so often. */
const SLOW_INTERVAL_MS = 10_000
/** An export is fetched as soon as it is ready. */
const EXPORT_MS = 3_600_000
/** So long after the start, and after its last end, the words of what was deleted are taken out of the indexes. */
const PURGE_AFTER_MS = 3_600_000
const PURGE_INTERVAL_MS = DAY_MS
/** Pages of 4 KiB in a sweep: some ten milliseconds. */
const PURGE_PAGES = 16
/** A purge that new messages keep from its end ends all the same, and the next one goes on. */
const PURGE_STEPS_MAX = 20_000

export type JanitorOptions = Readonly<{
  db: Database
  options: MessengerOptions
  write: <T>(work: (context: WriteContext) => T) => Promise<T>
  /** The next sweep tries again. */
  onError: (error: unknown) => void
}>

export class Janitor {
  readonly #o: JanitorOptions
  #running: Promise<void> | undefined
  #isClosing = false
  /** Conversations up to this id were looked at in this round. */
  #cursor = 0
  #roundMs = Number.NEGATIVE_INFINITY
  #slowMs = Number.NEGATIVE_INFINITY
  /** When the next one may begin. */
  #purgeMs: number | undefined
  #purge: { tables: SearchTable[]; steps: number } | undefined

  constructor(options: JanitorOptions) {
    this.#o = options
  }

  /** Resolves when it has ended; while the one before is still at work, that is the same one. */
  sweep(nowMs: number): Promise<void> {
    this.#running ??= this.#sweep(nowMs)
      .catch(this.#o.onError)
      .finally(() => {
        this.#running = undefined
      })
    return this.#running
  }

  /** Resolves when nothing is under way. No sweep may begin any more. */
  async close(): Promise<void> {
    this.#isClosing = true
    await this.#running
  }

  async #sweep(nowMs: number): Promise<void> {
    let slices = SLICES_PER_SWEEP
    slices -= await this.#clearAbandoned(slices)
    await this.#clearOld(nowMs, slices)
    await this.#purgeIndexes(nowMs)
    if (nowMs - this.#slowMs < SLOW_INTERVAL_MS) return
    this.#slowMs = nowMs
    await this.#o.write(context => {
      endExpiredSessions(context, SESSIONS_PER_SWEEP)
      deleteDownloads(context.db, nowMs - DOWNLOADS_MS, ROWS_PER_SWEEP)
      deleteAudit(context.db, nowMs - AUDIT_MS, ROWS_PER_SWEEP)
    })
    await this.#clearExports(nowMs)
  }

  /** Returns how many slices it took. */
  async #clearAbandoned(slicesMax: number): Promise<number> {
    const { db, write } = this.#o
    for (let slices = 0; slices < slicesMax && !this.#isClosing; slices++) {
      const conversation = abandonedConversation(db)
      if (conversation === undefined) return slices
      await write(context => {
        const deleted = deleteOlder(context.db, conversation, Number.MAX_SAFE_INTEGER, SLICE)
        if (deleted < SLICE) dropConversation(context.db, conversation)
      })
    }
    return slicesMax
  }

  /** Goes on with the conversation at which the last sweep stopped. */
  async #clearOld(nowMs: number, slicesMax: number): Promise<void> {
    const { db, options, write } = this.#o
    if (this.#cursor === 0) {
      if (nowMs - this.#roundMs < ROUND_INTERVAL_MS) return
      this.#roundMs = nowMs
    }
    const conversations = retentionOf(db, this.#cursor, CONVERSATIONS_PER_SWEEP, options.retention_days)
    let slices = 0
    for (const { id, days } of conversations) {
      const beforeMs = nowMs - days * DAY_MS
      while (days > 0 && hasOlder(db, id, beforeMs)) {
        if (slices++ >= slicesMax || this.#isClosing) return
        await write(context => deleteOlder(context.db, id, beforeMs, SLICE))
      }
      this.#cursor = id
    }
    if (conversations.length < CONVERSATIONS_PER_SWEEP) this.#cursor = 0
  }

  async #purgeIndexes(nowMs: number): Promise<void> {
    const { db, write } = this.#o
    this.#purgeMs ??= nowMs + PURGE_AFTER_MS
    if (this.#purge === undefined) {
      if (nowMs < this.#purgeMs) return
      this.#purge = { tables: SEARCH_TABLES.filter(table => hasDeletedWords(db, table)), steps: 0 }
    }
    const { tables, steps } = this.#purge
    const [table] = tables
    if (table === undefined) {
      this.#purge = undefined
      this.#purgeMs = nowMs + PURGE_INTERVAL_MS
      return
    }
    const goesOn = await write(context => purgeStep(context.db, table, PURGE_PAGES, steps === 0))
    this.#purge =
      goesOn && steps < PURGE_STEPS_MAX ? { tables, steps: steps + 1 } : { tables: tables.slice(1), steps: 0 }
  }

  async #clearExports(nowMs: number): Promise<void> {
    const folder = join(this.#o.options.path, DIRECTORIES.temporary)
    const names = await readdir(folder)
    for (const name of names.filter(name => name.startsWith(EXPORT_PREFIX))) {
      const path = join(folder, name)
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: nowMs }))
      // The request that sends it may have deleted it meanwhile.
      if (nowMs - mtimeMs > EXPORT_MS) await unlink(path).catch(() => {})
    }
  }
}
