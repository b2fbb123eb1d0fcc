// The live sessions of a shard, by client and by user, and the shard's counts in the presence table.
// Runs on the shard. Invariant: a user with a session here has a place in the presence table, and no other has.

import { assert } from '../base/assert.ts'
import { slots } from '../metrics/slots.ts'
import { type CountTable, NONE, PIN_HOLDER } from '../shared/count-table.ts'

type UserEntry<S> = { readonly node: number; readonly sessions: Set<S> }

export type Admission = 'admitted' | 'user_limit' | 'table_full'

export class Sessions<S> {
  readonly #shard: number
  readonly #presence: CountTable
  readonly #row: Float64Array
  readonly #all = new Set<S>()
  readonly #users = new Map<string, UserEntry<S>>()

  constructor(shard: number, presence: CountTable, row: Float64Array) {
    this.#shard = shard
    this.#presence = presence
    this.#row = row
  }

  /** All sessions, those that are still opening included. */
  get all(): ReadonlySet<S> {
    return this.#all
  }

  open(session: S): void {
    this.#all.add(session)
  }

  close(session: S): void {
    this.#all.delete(session)
  }

  /** Counts a session that has authenticated; the anonymous user '' is not counted. `limit` 0: none. */
  admit(session: S, user: string, limit: number): Admission {
    if (user !== '') {
      const entry = this.#users.get(user) ?? this.#newEntry(user)
      if (entry === undefined) {
        this.#row[slots.tableRefusals.presence]! += 1
        return 'table_full'
      }
      // Counted first and taken back if it was one too many: two shards that admit at once can't pass the limit.
      this.#presence.add(entry.node, this.#shard, 1)
      entry.sessions.add(session)
      if (limit > 0 && this.#presence.total(entry.node) > limit) {
        this.#leaveUser(session, user, entry)
        return 'user_limit'
      }
    }
    this.#row[slots.sessions]! += 1
    return 'admitted'
  }

  /** The session that was admitted has ended. */
  dismiss(session: S, user: string): void {
    this.#row[slots.sessions]! -= 1
    if (user === '') return
    const entry = this.#users.get(user)
    assert(entry !== undefined, 'an admitted user is known')
    this.#leaveUser(session, user, entry)
  }

  ofUser(user: string): Iterable<S> {
    return this.#users.get(user)?.sessions ?? []
  }

  #newEntry(user: string): UserEntry<S> | undefined {
    const node = this.#presence.acquire(user, this.#shard, PIN_HOLDER)
    if (node === NONE) return undefined
    const entry = { node, sessions: new Set<S>() }
    this.#users.set(user, entry)
    return entry
  }

  #leaveUser(session: S, user: string, entry: UserEntry<S>): void {
    entry.sessions.delete(session)
    this.#presence.add(entry.node, this.#shard, -1)
    if (entry.sessions.size > 0) return
    this.#users.delete(user)
    this.#presence.release(entry.node, this.#shard, PIN_HOLDER)
  }
}
