// The way out of a shard: collects what a tick brings, then sends each dirty connection one joined frame.
// Runs on the shard. Invariant: everything appended before a flush leaves in that flush or is withheld and counted;
// replies of a connection go before the publications of the same tick.

import { monotonicMs, monotonicUs } from '../base/clock.ts'
import { observe, slots } from '../metrics/slots.ts'
import { type Audience, FLOWING, type LocalChannel, type Subscriber } from './audience.ts'
import { BATCH_BYTES_MAX, type BatchMemory } from './batch-memory.ts'
import { type Frame, frameOf, stableFrame } from './frame.ts'
import { type Outbox, Scratch } from './outbox.ts'

export type FlushTimer = {
  /** Calls `flush` after this turn of the loop, or after the delay in milliseconds. */
  schedule(flush: () => void, delayMs: number): void
}

/** The clock is read once for so many sends: a latency histogram needs no more than their few microseconds. */
const SENDS_PER_STAMP = 16

export class Flusher {
  /** How long joined frames may wait; set by the shard from its event-loop utilization. */
  delayMs = 0
  readonly #row: Float64Array
  readonly #timer: FlushTimer
  readonly #memory: BatchMemory
  readonly #scratch = new Scratch()
  readonly #flush: () => void
  #audiences: Audience[] = []
  #outboxes: Outbox[] = []
  #doomed: Outbox[] = []
  #flushed: Outbox[] = []
  #stampsUs: number[] = []
  #scheduled = false

  constructor(row: Float64Array, timer: FlushTimer, memory: BatchMemory) {
    this.#row = row
    this.#timer = timer
    this.#memory = memory
    this.#flush = () => this.flush()
  }

  /** A reply or push for one connection alone. */
  write(outbox: Outbox, text: string): void {
    outbox.push(text)
    this.touch(outbox)
  }

  /** Has the connection flushed at the end of this tick. */
  touch(outbox: Outbox): void {
    if (outbox.queued || outbox.closed) return
    outbox.queued = true
    this.#outboxes.push(outbox)
    this.#schedule()
  }

  /** A publication for all subscribers here. `line` is copied; `offset` 0: a channel without history. */
  publish(channel: LocalChannel, line: Uint8Array, offset: number, acceptedUs: number): void {
    if (offset > 0) channel.topOffset = offset
    this.#append(channel.plain, line, offset, acceptedUs)
    if (channel.watching !== undefined) this.#append(channel.watching, line, offset, acceptedUs)
  }

  /** A join or leave event, for those who watch. */
  announce(channel: LocalChannel, line: Uint8Array): void {
    if (channel.watching !== undefined) this.#append(channel.watching, line, 0, NOT_A_PUBLICATION)
  }

  /** Ends delivery to a subscriber; what this tick already brought for it still goes out, before later replies. */
  stop(subscriber: Subscriber): void {
    const { audience, outbox, channel, heldAt } = subscriber
    if (audience === undefined) return
    const part = partOf(audience, subscriber)
    audience.remove(subscriber)
    if (outbox.closed) return
    let missed = outbox.forget(subscriber)
    if (heldAt !== FLOWING) {
      missed += Math.max(0, channel.topOffset - heldAt)
    } else if (part !== undefined && outbox.lagging) {
      missed += part.publications
    } else if (part !== undefined) {
      outbox.push(stableFrame(part))
      this.touch(outbox)
      this.#row[slots.deliveries[outbox.wire.transport]]! += part.publications
    }
    this.#row[slots.drops.subscription_ended]! += missed
  }

  flush(): void {
    this.#scheduled = false
    this.#sendAll()
    // Only here, never in the middle of a publication: ending a connection changes audiences and brings leave
    // events, which go with the next flush.
    const doomed = this.#doomed
    this.#doomed = []
    for (const outbox of doomed) outbox.endSlow()
    const flushed = this.#flushed
    this.#flushed = []
    for (const outbox of flushed) outbox.afterFlush()
  }

  /** Sends what waits for one connection now: its goodbye comes next, or so much waits that it shall not be more. */
  flushNow(outbox: Outbox): void {
    const bytes = outbox.flush(this.#scratch, monotonicMs())
    if (bytes === 0) return
    this.#countFrame(outbox, bytes)
    if (!outbox.overLimit) return
    this.#doomed.push(outbox)
    this.#schedule()
  }

  #countFrame(outbox: Outbox, bytes: number): void {
    const { transport } = outbox.wire
    this.#row[slots.framesSent[transport]]! += 1
    this.#row[slots.sentBytes[transport]]! += bytes
  }

  #sendAll(): void {
    const audiences = this.#audiences
    this.#audiences = []
    const departures: Departure[] = []
    for (const audience of audiences) departures.push(this.#collect(audience))
    this.#send()
    for (const departure of departures) this.#settle(departure)
    this.#row[slots.flushes]! += 1
  }

  #append(audience: Audience, line: Uint8Array, offset: number, acceptedUs: number): void {
    if (audience.subscribers.length === 0) return
    if (audience.batchBytes + line.length + 1 > BATCH_BYTES_MAX && audience.batchBytes > 0) this.#sendAll()
    if (audience.batchBytes === 0) this.#audiences.push(audience)
    const batch = this.#memory.reserve(audience.batch, audience.batchBytes, line.length + 1)
    batch.set(line, audience.batchBytes)
    audience.batchBytes += line.length
    batch[audience.batchBytes++] = NEWLINE
    audience.batch = batch
    if (audience.batchFirstOffset === 0) audience.batchFirstOffset = offset
    if (acceptedUs !== NOT_A_PUBLICATION) {
      audience.batchPublications++
      if (offset === 0) audience.batchUnplaced++
      audience.acceptedUs.push(acceptedUs)
    } else {
      audience.batchEvents++
    }
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#timer.schedule(this.#flush, this.delayMs)
  }

  /** Gives the batch to each subscriber's outbox, or withholds it; the audience is empty again afterwards. */
  #collect(audience: Audience): Departure {
    const { batchPublications, acceptedUs } = audience
    const batch = audience.batch!
    const whole = frameOf(batch.subarray(0, audience.batchBytes), batchPublications, audience.batchEvents)
    const firstSend = this.#outboxes.length
    let recipients = 0
    for (const subscriber of audience.subscribers) {
      const part = subscriber.fromBytes === 0 ? whole : partOf(audience, subscriber)
      subscriber.fromBytes = 0
      subscriber.fromPublications = 0
      if (part !== undefined && this.#hand(subscriber, part, audience)) recipients++
    }
    if (recipients > 0 && batchPublications > 0) {
      observe(this.#row, slots.fanoutSize, recipients)
      observe(this.#row, slots.framePublications, batchPublications)
    }
    audience.reset()
    return { batch, acceptedUs, firstSend, recipients }
  }

  #hand(subscriber: Subscriber, part: Frame, audience: Audience): boolean {
    const { outbox } = subscriber
    if (outbox.lagging || subscriber.heldAt !== FLOWING) {
      this.#withhold(subscriber, part, audience)
      return false
    }
    outbox.push(part)
    if (!outbox.queued) {
      outbox.queued = true
      this.#outboxes.push(outbox)
    }
    this.#row[slots.deliveries[outbox.wire.transport]]! += part.publications
    return true
  }

  #withhold(subscriber: Subscriber, part: Frame, audience: Audience): void {
    const { outbox, channel } = subscriber
    switch (channel.slowPolicy) {
      case 'catch_up':
        // What has no offset is not in the history and can't be replayed.
        this.#row[slots.drops.lagging_join_leave]! += part.events
        this.#row[slots.drops.lagging_without_offset]! += Math.min(audience.batchUnplaced, part.publications)
        if (subscriber.heldAt !== FLOWING || audience.batchFirstOffset === 0) return
        // Offsets have no gaps: what it got last is the one before this batch, or it began within the batch.
        subscriber.heldAt = Math.max(audience.batchFirstOffset - 1, subscriber.startOffset)
        return
      case 'latest_only':
        this.#row[slots.drops.latest_only]! += outbox.keepLatest(subscriber, part)
        return
      case 'drop_oldest':
        this.#row[slots.drops.drop_oldest]! += outbox.keepNewest(subscriber, part)
        return
      case 'disconnect':
        this.#row[slots.drops.slow_disconnected]! += part.publications
        this.#doomed.push(outbox)
    }
  }

  #send(): void {
    const outboxes = this.#outboxes
    this.#outboxes = []
    this.#stampsUs = []
    const nowMs = monotonicMs()
    for (let i = 0; i < outboxes.length; i++) {
      if (i % SENDS_PER_STAMP === 0) this.#stampsUs.push(monotonicUs())
      const outbox = outboxes[i]!
      outbox.queued = false
      const bytes = outbox.flush(this.#scratch, nowMs)
      if (outbox.wantsFlushed) this.#flushed.push(outbox)
      if (bytes === 0) continue
      this.#countFrame(outbox, bytes)
      if (outbox.overLimit) this.#doomed.push(outbox)
    }
    this.#stampsUs.push(monotonicUs())
  }

  /** After the sends: the latencies of the batch are counted, and its memory goes back. */
  #settle({ batch, acceptedUs, firstSend, recipients }: Departure): void {
    this.#memory.giveBack(batch)
    if (recipients === 0) return
    const firstUs = this.#stampOf(Math.trunc(firstSend / SENDS_PER_STAMP))
    const lastUs = this.#stampOf(Math.ceil((firstSend + recipients) / SENDS_PER_STAMP))
    for (const startUs of acceptedUs) {
      observe(this.#row, slots.firstRecipientSeconds, (firstUs - startUs) / 1e6)
      observe(this.#row, slots.lastRecipientSeconds, (lastUs - startUs) / 1e6)
    }
  }

  #stampOf(index: number): number {
    return this.#stampsUs[Math.min(index, this.#stampsUs.length - 1)]!
  }
}

/** A batch on its way out. */
type Departure = Readonly<{
  batch: Buffer
  acceptedUs: readonly number[]
  /** The number of the first send in this flush that it is part of, and to how many connections it goes. */
  firstSend: number
  recipients: number
}>

/** What a subscriber that came in the middle of the tick gets of the batch. */
function partOf(audience: Audience, subscriber: Subscriber): Frame | undefined {
  if (subscriber.fromBytes >= audience.batchBytes) return undefined
  return frameOf(
    audience.batch!.subarray(subscriber.fromBytes, audience.batchBytes),
    audience.batchPublications - subscriber.fromPublications,
    // At most: which of the batch's events came before the subscriber is not kept.
    audience.batchEvents,
  )
}

const NEWLINE = 0x0a
const NOT_A_PUBLICATION = -1
