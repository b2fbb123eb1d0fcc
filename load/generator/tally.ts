// What a receiver thread has counted: deliveries, latencies by window, first and last recipients. Runs on its thread.
// Invariant: a latency is recorded once, in the window that its publication was due in, or in none; so that what
// progress reports and what the windows hold are the same values.

import { assert } from '../../src/base/assert.ts'
import { createHistogram, type Histogram } from '../ledger/histogram.ts'
import { LocalRecipients } from '../ledger/recipients.ts'
import type { SubscriptionLedger } from '../ledger/subscription.ts'
import type { WindowLatencies } from './requests.ts'

/** A subscriber's place in a channel. */
export type Subscription = {
  readonly channel: number
  readonly name: string
  /** Not in the latency figures. */
  readonly aside: boolean
  readonly ledger: SubscriptionLedger
  /** Where it stands, so that it can recover; undefined: the server doesn't say. */
  epoch: string | undefined
  offset: number
  /** One of those that must have a publication before it is complete. */
  counted: boolean
}

type Window = {
  readonly id: number
  readonly fromUs: number
  toUs: number
  /** Of what came since the last progress, and before it. */
  readonly recent: Histogram
  readonly earlier: Histogram
}

/** Two histograms of 160 KB each belong to one. */
const WINDOWS_MAX = 256

export class Tally {
  readonly recipients = new LocalRecipients()
  readonly #windows: Window[] = []
  /** The one that was opened last: nearly all that comes is in it. */
  #window: Window | undefined
  /** Latencies for the next progress: those in no window, and those gathered from the windows. */
  readonly #interval = createHistogram()
  #deliveries = 0
  deliveredTotal = 0
  unreadable = 0

  /** A publication came. `recovered`: within the answer to a resubscription. */
  take(subscription: Subscription, sequence: number, dueUs: number, atUs: number, recovered: boolean): void {
    const { ledger } = subscription
    const taken = recovered ? ledger.takeRecovered(sequence) : ledger.take(sequence)
    if (taken === 'duplicate' || taken === 'foreign') return
    this.#deliveries++
    if (subscription.aside) return
    const window = this.#window
    const latencyUs = atUs - dueUs
    if (window !== undefined && dueUs >= window.fromUs && dueUs < window.toUs) window.recent.record(latencyUs)
    else this.#histogramFor(dueUs).record(latencyUs)
    this.recipients.note(subscription.channel, sequence, dueUs, atUs)
  }

  /** Whether anything of this run has come yet. */
  get hasDeliveries(): boolean {
    return this.deliveredTotal + this.#deliveries > 0
  }

  /** Opens a window, or sets the end of one. They must not overlap. */
  window(id: number, fromUs: number, toUs = Number.POSITIVE_INFINITY): void {
    const known = this.#windows.find(window => window.id === id)
    if (known !== undefined) {
      known.toUs = toUs
      return
    }
    assert(this.#windows.length < WINDOWS_MAX, `more than ${WINDOWS_MAX} windows`)
    const overlapped = this.#windows.find(window => window.fromUs < toUs && fromUs < window.toUs)
    assert(overlapped === undefined, `window ${id} overlaps window ${overlapped?.id}`)
    this.#window = { id, fromUs, toUs, recent: createHistogram(), earlier: createHistogram() }
    this.#windows.push(this.#window)
  }

  windows(): WindowLatencies {
    this.#gather()
    return this.#windows.map(({ id, earlier }) => [id, earlier.toBytes()] as const)
  }

  /** What came since it was last asked. */
  progress(): Readonly<{ deliveries: number; latency: Uint8Array; complete: Float64Array }> {
    this.#gather()
    const progress = {
      deliveries: this.#deliveries,
      latency: this.#interval.toBytes(),
      complete: this.recipients.drain(),
    }
    this.deliveredTotal += this.#deliveries
    this.#deliveries = 0
    this.#interval.reset()
    return progress
  }

  /** Adds what is recent to its window's total, and to the interval of the next progress. */
  #gather(): void {
    for (const { recent, earlier } of this.#windows) {
      if (recent.count() === 0) continue
      const bytes = recent.toBytes()
      earlier.addBytes(bytes)
      this.#interval.addBytes(bytes)
      recent.reset()
    }
  }

  /** Publications of an earlier window may still be on their way. */
  #histogramFor(dueUs: number): Histogram {
    const window = this.#windows.find(({ fromUs, toUs }) => dueUs >= fromUs && dueUs < toUs)
    return window?.recent ?? this.#interval
  }
}
