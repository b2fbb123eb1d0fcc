// A connection that lagged catches up in place: channel after channel, the missed publications are replayed from the
// history window, a page at a time as the socket takes them. Runs on the shard.
// Invariant: while a subscriber is held nothing is delivered to it but pages in order; it flows again only when a
// page reached the newest publication, and then starts right behind it.

import { FLOWING } from '../fanout/audience.ts'
import { frameOf } from '../fanout/frame.ts'
import { slots } from '../metrics/slots.ts'
import type { SessionPort } from './port.ts'
import type { Live } from './state.ts'
import type { Subscription } from './subscription.ts'
import { loseState } from './subscriptions.ts'

/** A home that could not answer is asked again after so long. */
const RETRY_MS = 50

export class CatchUp {
  readonly #session: SessionPort
  readonly #live: Live
  #asking = false

  constructor(session: SessionPort, live: Live) {
    this.#session = session
    this.#live = live
  }

  /** Goes on with the next page, if one is due. */
  resume(): void {
    const session = this.#session
    if (this.#asking || session.state !== this.#live || session.outbox.lagging) return
    for (const subscription of this.#live.subscriptions.values()) {
      if (subscription.state !== 'live' || subscription.subscriber.heldAt === FLOWING) continue
      this.#askPage(subscription)
      return
    }
  }

  #askPage(subscription: Subscription): void {
    const { directory, outboxLimits } = this.#session.env
    const { subscriber } = subscription
    const { name, epoch } = subscriber.channel
    this.#asking = true
    const ask = { channel: name, epoch, offset: subscriber.heldAt, bytesMax: outboxLimits.softBytes }
    directory.ask('catchUp', ask, outcome => {
      this.#asking = false
      if (this.#session.state !== this.#live || subscription.state !== 'live') return this.resume()
      if (outcome.ok) return this.#replay(subscription, outcome.value)
      // A ring is full, of asks or of answers, or the home is lost and its end under way: nothing is lost by asking again.
      if (outcome.error.temporary) {
        setTimeout(() => this.#session.resumeCatchUp(), RETRY_MS)
        return
      }
      this.#session.env.row[slots.catchUps.insufficient]! += 1
      loseState(this.#session, this.#live, subscription)
      this.resume()
    })
  }

  #replay(
    subscription: Subscription,
    page: { complete: boolean; offset: number; count: number; lines: string },
  ): void {
    const { outbox, env } = this.#session
    const { subscriber } = subscription
    if (page.count > 0) {
      outbox.push(frameOf(Buffer.from(page.lines, 'utf8'), page.count))
      env.row[slots.caughtUpPublications]! += page.count
      env.row[slots.deliveries[outbox.wire.transport]]! += page.count
    }
    if (page.complete) {
      // All that is in this tick's batch came before the home's answer, so the page has it already.
      subscriber.heldAt = FLOWING
      subscriber.startOffset = page.offset
      subscriber.fromBytes = subscriber.audience?.batchBytes ?? 0
      subscriber.fromPublications = subscriber.audience?.batchPublications ?? 0
      env.row[slots.catchUps.complete]! += 1
    } else {
      subscriber.heldAt = page.offset
    }
    // The next page is asked for when this one has left, and only if the socket took it.
    outbox.wantsFlushed = true
    env.flusher.touch(outbox)
  }
}
