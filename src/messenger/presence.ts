// Who is online: users with a connection on any shard, or who lost their last one a moment ago. The messenger's thread.
// Invariant: what happens to many users is one event for all who look on, at most one each PUBLISH_INTERVAL_MS; a client
// that could have missed a change is told so (`truncated`).

import { PRESENCE_CHANNEL } from './channels.ts'
import type { WriteContext } from './method.ts'
import type { PresenceEvent } from './model.ts'
import type { Online, Relay } from './ports.ts'
import type { Database } from './store/database.ts'
import { activeUsers, sawUser } from './store/last-seen.ts'

export const PUBLISH_INTERVAL_MS = 2_000
/** Ids that one event holds; past it a client does better to ask for the list. */
export const CHANGES_MAX = 500
/**
 * An admission has this long until its connection is counted. Without it a user whose shard is busy would go offline
 * again before having come.
 */
export const ADMISSION_MS = 5_000
/** Users that a sweep looks at: some 10 ms. With more of them a round takes several sweeps. */
const LOOKS_MAX = 20_000
/** Rows of one write: they are part of a transaction that messages wait for. */
const SEEN_PER_WRITE_MAX = 500

/** Until when somebody counts as online who has no connection. */
type Stay = { untilMs: number }

export class Presence implements Online {
  readonly #relay: Pick<Relay, 'connections' | 'publish'>
  readonly #write: <T>(work: (context: WriteContext) => T) => Promise<T>
  readonly #db: Database
  readonly #offlineAfterMs: number
  readonly #nowMs: () => number

  readonly #online = new Map<number, Stay>()
  #sorted: readonly number[] | undefined
  /** Changes that no event has told yet: true = came online. */
  readonly #changes = new Map<number, boolean>()
  #isTruncated = false
  #isPublishing = false
  #publishedAtMs = 0
  /** Times that are to be written. */
  readonly #seen = new Map<number, number>()
  #isWriting = false
  /** The round that a sweep goes on with. */
  #round: Iterator<[number, Stay]> | undefined
  /** After a start of this thread alone users are connected already: all are looked at once; undefined: done. */
  #restoredUpTo: number | undefined = 0

  /** `offlineAfterMs`: grace after the last connection. */
  constructor(
    world: Readonly<{
      relay: Pick<Relay, 'connections' | 'publish'>
      /** Resolves when it is durable. */
      write: <T>(work: (context: WriteContext) => T) => Promise<T>
      db: Database
      offlineAfterMs: number
      nowMs: () => number
    }>,
  ) {
    this.#relay = world.relay
    this.#write = world.write
    this.#db = world.db
    this.#offlineAfterMs = world.offlineAfterMs
    this.#nowMs = world.nowMs
  }

  /** A connection of the user has just been let in. */
  admitted(user: number): void {
    const nowMs = this.#nowMs()
    this.#stay(user, nowMs + Math.max(this.#offlineAfterMs, ADMISSION_MS), nowMs)
  }

  isOnline(user: number): boolean {
    return this.#online.has(user)
  }

  all(): readonly number[] {
    this.#sorted ??= [...this.#online.keys()].sort((a, b) => a - b)
    return this.#sorted
  }

  get count(): number {
    return this.#online.size
  }

  /** Each second. */
  sweep(nowMs: number): void {
    this.#restore(nowMs)
    this.#look(nowMs)
    this.#publish(nowMs)
    this.#writeSeen()
  }

  /** Before the end: who is online now was seen now. */
  async close(): Promise<void> {
    const nowMs = this.#nowMs()
    for (const user of this.#online.keys()) this.#seen.set(user, nowMs)
    while (this.#seen.size > 0) await this.#writeSome()
  }

  #stay(user: number, untilMs: number, nowMs: number): void {
    const known = this.#online.get(user)
    if (known !== undefined) {
      known.untilMs = Math.max(known.untilMs, untilMs)
      return
    }
    this.#online.set(user, { untilMs })
    this.#changed(user, true)
    // Also now: a process that is killed writes no time at the end.
    this.#seen.set(user, nowMs)
  }

  #go(user: number, seenMs: number): void {
    this.#online.delete(user)
    this.#changed(user, false)
    this.#seen.set(user, seenMs)
  }

  #changed(user: number, isOnline: boolean): void {
    this.#sorted = undefined
    // Coming and going within one interval is no news, whichever was first.
    if (this.#changes.get(user) === !isOnline) this.#changes.delete(user)
    else this.#changes.set(user, isOnline)
  }

  #restore(nowMs: number): void {
    if (this.#restoredUpTo === undefined) return
    const users = activeUsers(this.#db, this.#restoredUpTo, LOOKS_MAX)
    for (const user of users) {
      if (this.#relay.connections(String(user)) > 0) this.#stay(user, nowMs + this.#offlineAfterMs, nowMs)
    }
    this.#restoredUpTo = users.length < LOOKS_MAX ? undefined : users.at(-1)
  }

  #look(nowMs: number): void {
    this.#round ??= this.#online.entries()
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      const next = this.#round.next()
      if (next.done === true) {
        this.#round = undefined
        return
      }
      const [user, stay] = next.value
      if (this.#relay.connections(String(user)) > 0) {
        stay.untilMs = Math.max(stay.untilMs, nowMs + this.#offlineAfterMs)
      } else if (nowMs >= stay.untilMs) {
        this.#go(user, Math.min(nowMs, stay.untilMs - this.#offlineAfterMs))
      }
    }
  }

  #publish(nowMs: number): void {
    if (this.#changes.size === 0 && !this.#isTruncated) return
    if (this.#isPublishing || nowMs - this.#publishedAtMs < PUBLISH_INTERVAL_MS) return
    this.#publishedAtMs = nowMs
    this.#isPublishing = true
    const event = this.#eventOfChanges()
    this.#relay.publish(PRESENCE_CHANNEL, JSON.stringify(event), outcome => {
      this.#isPublishing = false
      // What it told is lost, so the next one says that there was more.
      if (!outcome.ok) this.#isTruncated = true
    })
  }

  #eventOfChanges(): PresenceEvent {
    const told = [...this.#changes].slice(0, CHANGES_MAX)
    const idsWho = (came: boolean) => told.filter(([, isOnline]) => isOnline === came).map(([user]) => user)
    const truncated = this.#isTruncated || this.#changes.size > CHANGES_MAX
    this.#changes.clear()
    this.#isTruncated = false
    return {
      type: 'presence',
      online: idsWho(true),
      offline: idsWho(false),
      truncated,
      total: this.#online.size,
    }
  }

  #writeSeen(): void {
    if (this.#isWriting || this.#seen.size === 0) return
    this.#isWriting = true
    void this.#writeSome().finally(() => {
      this.#isWriting = false
    })
  }

  /** When it can't be stored the times are dropped: the next change brings newer ones. */
  async #writeSome(): Promise<void> {
    const some = [...this.#seen].slice(0, SEEN_PER_WRITE_MAX)
    for (const [user] of some) this.#seen.delete(user)
    const write = ({ db }: WriteContext) => {
      for (const [user, ms] of some) sawUser(db, user, ms)
    }
    await this.#write(write).catch(() => undefined)
  }
}
