// Looks again, now and then, whether the logins of live sessions still hold and what they are subscribed to: a login may
// have expired, and orders of a messenger that failed may never have come. Runs on the shard. Invariant: what a session
// is found to differ in is put right at the moment of the messenger's answer, so that no order can lie between.

import { assert } from '../base/assert.ts'
import type { Admission } from '../protocol/call.ts'
import { type Disconnect, disconnects, type ErrorCode, errors, unsubscribes } from '../protocol/codes.ts'
import { isOfMessenger, planServerSide } from './plan.ts'
import type { SessionEnv, SessionPort } from './port.ts'
import type { Live } from './state.ts'
import { subscribeByServer, unsubscribeByServer } from './subscriptions.ts'

/** Each session is looked at so often. */
const ROUND_MS = 30 * 60_000
/** With a new messenger all are, as fast as it bears beside its work: a look costs it some tens of microseconds. */
const PER_SWEEP_AT_ONCE = 1000
const SWEEP_MS = 1000

export class Revalidation {
  readonly #env: SessionEnv
  /** Not a list: that would keep sessions which end meanwhile. Those that begin meanwhile come last. */
  #left: Iterator<SessionPort> | undefined
  /** The messenger could not say. At most what one sweep asked. */
  #again: SessionPort[] = []
  #perSweep = 0
  #nextRoundMs: number

  /** @param nowMs monotonic, as in all of its methods */
  constructor(env: SessionEnv, nowMs: number) {
    this.#env = env
    this.#nextRoundMs = nowMs + ROUND_MS
  }

  /** The messenger is a new one: whatever the last one had still to say is lost. */
  beginAtOnce(nowMs: number): void {
    this.#begin(nowMs)
    this.#perSweep = PER_SWEEP_AT_ONCE
  }

  /** Each second. */
  sweep(nowMs: number): void {
    if (nowMs >= this.#nextRoundMs) this.#begin(nowMs)
    const again = this.#again
    this.#again = []
    for (const session of again) this.#look(session)
    for (let looks = again.length; looks < this.#perSweep; looks++) {
      const next = this.#left?.next()
      if (next === undefined || next.done) return
      this.#look(next.value)
    }
  }

  #begin(nowMs: number): void {
    this.#nextRoundMs = nowMs + ROUND_MS
    const { all } = this.#env.sessions
    this.#left = all.values()
    this.#perSweep = Math.ceil((all.size * SWEEP_MS) / ROUND_MS)
  }

  #look(session: SessionPort): void {
    const { messenger } = session.env
    const live = session.state
    // Who is still opening is looked at when it connects.
    if (messenger === undefined || live.kind !== 'live') return
    const { user, session: login } = live.identity
    messenger.admit({ user: Number(user), session: login }, outcome => {
      if (session.state !== live) return
      if (outcome.ok) bringUpToDate(session, live, outcome.admission)
      else if (outcome.error.temporary) this.#again.push(session)
      else session.disconnect(farewellOf(outcome.error))
    })
  }
}

/** What a client is told whose login is not let in (any more). */
export function farewellOf(error: ErrorCode): Disconnect {
  return error.code === errors.permissionDenied.code ? disconnects.accountClosed : disconnects.sessionEnded
}

function bringUpToDate(session: SessionPort, live: Live, { channels }: Admission): void {
  const wanted = new Set(channels)
  for (const channel of live.toSubscribe ?? []) if (!wanted.has(channel)) live.toSubscribe?.delete(channel)
  for (const subscription of [...live.subscriptions.values()]) {
    const { name, options } = subscription.subscriber.channel
    if (wanted.has(name) || !isOfMessenger(session, options)) continue
    unsubscribeByServer(session, live, subscription, unsubscribes.server)
  }
  for (const channel of wanted) {
    if (session.state !== live) return
    if (live.subscriptions.has(channel) || live.toSubscribe?.has(channel)) continue
    const planned = planServerSide(session, live, channel, {}, undefined)
    assert(planned.ok, 'channels of the messenger are known and not counted')
    subscribeByServer(session, live, planned.plan, error => {
      if (error !== undefined) session.disconnect(disconnects.forceReconnect)
    })
  }
}
