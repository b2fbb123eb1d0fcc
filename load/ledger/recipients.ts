// When a publication reached its first and its last recipient. LocalRecipients: a receiver thread's part; Recipients:
// the main thread's, which puts the threads' parts together. Invariant: both keep a bounded number of publications
// that are still on their way; one that is pushed out, or whose recipients changed meanwhile, is never reported as
// complete, so that whoever counts can compare what is complete with what was sent.

import { createHistogram, type Histogram } from './histogram.ts'

/** Numbers of a record: channel, sequence, intended time, first and last receipt (µs). */
export const RECORD_NUMBERS = 5

/** Publications of a channel that may be on their way to a thread's subscribers: 1.6 s at 20,000/s. */
const SLOTS_PER_CHANNEL_MAX = 32_768
/** The second size. The first is a single slot: a channel with one subscriber needs none, and there may be 100,000. */
const SLOTS_PER_CHANNEL_MIN = 8
/** Of all channels of a thread, 48 bytes each. */
const SLOTS_MAX = 1 << 20
/** Complete ones that wait for the next drain: more than two seconds at 100,000/s; 10 MB. */
const RECORDS_MAX = 1 << 18
/** Complete in some thread, not in all, in the main thread. */
const PENDING_MAX = 1 << 18

/** A million channels and as many publications in each are told apart by a number: a day of 100,000/s in one channel. */
const SEQUENCES = 2 ** 33

/** A slot: sequence (0: free), recipients that have it, the channel's generation, intended time, first, last. */
const SLOT_NUMBERS = 6

type Channel = {
  subscribers: number
  /** Raised when the subscribers change: what was on its way then has no certain number of recipients. */
  generation: number
  slots: Float64Array
  mask: number
}

export class LocalRecipients {
  readonly #channels: (Channel | undefined)[] = []
  #slotsInUse = 0
  #records = new Float64Array(1024 * RECORD_NUMBERS)
  #recordsEnd = 0

  /** A subscriber (not aside) of the channel is there, or gone for good. One that will recover stays. */
  join(channel: number, subscribers = 1): void {
    this.#channels[channel] ??= {
      subscribers: 0,
      generation: 0,
      slots: new Float64Array(SLOT_NUMBERS),
      mask: 0,
    }
    const entry = this.#channels[channel]
    entry.subscribers += subscribers
    entry.generation++
  }

  leave(channel: number): void {
    this.join(channel, -1)
  }

  /** One subscriber has it, for the first time. Times in µs. */
  note(channel: number, sequence: number, dueUs: number, atUs: number): void {
    const entry = this.#channels[channel]
    if (entry === undefined) return
    const { slots } = entry
    const at = (sequence & entry.mask) * SLOT_NUMBERS
    if (slots[at] !== sequence) return this.#open(entry, channel, sequence, dueUs, atUs)
    if (slots[at + 2] !== entry.generation) return
    if (atUs < slots[at + 4]!) slots[at + 4] = atUs
    if (atUs > slots[at + 5]!) slots[at + 5] = atUs
    if (++slots[at + 1]! < entry.subscribers) return
    slots[at] = 0
    this.#complete(channel, sequence, dueUs, slots[at + 4]!, slots[at + 5]!)
  }

  /** Records of those that became complete since the last drain; its buffer may be transferred. */
  drain(): Float64Array<ArrayBuffer> {
    const records = this.#records.slice(0, this.#recordsEnd)
    this.#recordsEnd = 0
    return records
  }

  /** The first of several that has it, as far as one remembers. */
  #open(entry: Channel, channel: number, sequence: number, dueUs: number, atUs: number): void {
    if (entry.subscribers < 1) return
    if (entry.subscribers === 1) return this.#complete(channel, sequence, dueUs, atUs, atUs)
    for (;;) {
      const { slots, mask } = entry
      const at = (sequence & mask) * SLOT_NUMBERS
      const isFree = slots[at] === 0 || slots[at + 2] !== entry.generation
      if (!isFree && this.#grow(entry)) continue
      // It was pushed out by a newer one before.
      if (sequence < slots[at]!) return
      slots[at] = sequence
      slots[at + 1] = 1
      slots[at + 2] = entry.generation
      slots[at + 3] = dueUs
      slots[at + 4] = atUs
      slots[at + 5] = atUs
      return
    }
  }

  #complete(channel: number, sequence: number, dueUs: number, firstUs: number, lastUs: number): void {
    if (this.#recordsEnd === this.#records.length) {
      if (this.#recordsEnd >= RECORDS_MAX * RECORD_NUMBERS) return
      const larger = new Float64Array(Math.min(RECORDS_MAX * RECORD_NUMBERS, this.#records.length * 2))
      larger.set(this.#records)
      this.#records = larger
    }
    const records = this.#records
    const at = this.#recordsEnd
    records[at] = channel
    records[at + 1] = sequence
    records[at + 2] = dueUs
    records[at + 3] = firstUs
    records[at + 4] = lastUs
    this.#recordsEnd = at + RECORD_NUMBERS
  }

  /** Makes room for more that are on their way; false when it has all it may have. */
  #grow(entry: Channel): boolean {
    const before = entry.mask + 1
    const after = Math.max(SLOTS_PER_CHANNEL_MIN, before * 2)
    // The first few are for everyone: without them a channel would hardly have figures.
    const isFirst = after === SLOTS_PER_CHANNEL_MIN
    if (!isFirst && (after > SLOTS_PER_CHANNEL_MAX || this.#slotsInUse + before > SLOTS_MAX)) return false
    const old = entry.slots
    entry.slots = new Float64Array(after * SLOT_NUMBERS)
    entry.mask = after - 1
    this.#slotsInUse += after - before
    for (let at = 0; at < old.length; at += SLOT_NUMBERS) {
      if (old[at] === 0) continue
      entry.slots.set(old.subarray(at, at + SLOT_NUMBERS), (old[at]! & entry.mask) * SLOT_NUMBERS)
    }
    return true
  }
}

type Pending = { parts: number; firstUs: number; lastUs: number }
type Window = { fromUs: number; toUs: number; first: Histogram; last: Histogram }

/** First and last recipient of the publications due within a window. */
export type Extremes = Readonly<{ first: Histogram; last: Histogram }>

export class Recipients {
  readonly #threadsOf: (channel: number) => number
  /** By channel and sequence; the oldest first. */
  readonly #pending = new Map<number, Pending>()
  readonly #windows = new Map<number, Window>()

  /** @param threadsOf how many threads have subscribers (not aside) of a channel */
  constructor(threadsOf: (channel: number) => number) {
    this.#threadsOf = threadsOf
  }

  /** Publications due in [fromUs, toUs) belong to the window; the end may come later, by the same id. */
  window(id: number, fromUs: number, toUs = Number.POSITIVE_INFINITY): Extremes {
    const known = this.#windows.get(id)
    if (known !== undefined) {
      known.toUs = toUs
      return known
    }
    const window = { fromUs, toUs, first: createHistogram(), last: createHistogram() }
    this.#windows.set(id, window)
    return window
  }

  /** Takes in what `drain` of a thread gave. */
  add(records: Float64Array): void {
    for (let at = 0; at < records.length; at += RECORD_NUMBERS) {
      this.#part(records[at]!, records[at + 1]!, records[at + 2]!, records[at + 3]!, records[at + 4]!)
    }
  }

  #part(channel: number, sequence: number, dueUs: number, firstUs: number, lastUs: number): void {
    const parts = this.#threadsOf(channel)
    if (parts <= 1) return this.#record(dueUs, firstUs, lastUs)
    const key = channel * SEQUENCES + sequence
    const pending = this.#pending.get(key)
    if (pending === undefined) {
      if (this.#pending.size >= PENDING_MAX) this.#pending.delete(this.#pending.keys().next().value!)
      this.#pending.set(key, { parts: 1, firstUs, lastUs })
      return
    }
    pending.parts++
    pending.firstUs = Math.min(pending.firstUs, firstUs)
    pending.lastUs = Math.max(pending.lastUs, lastUs)
    if (pending.parts < parts) return
    this.#pending.delete(key)
    this.#record(dueUs, pending.firstUs, pending.lastUs)
  }

  #record(dueUs: number, firstUs: number, lastUs: number): void {
    for (const window of this.#windows.values()) {
      if (dueUs < window.fromUs || dueUs >= window.toUs) continue
      window.first.record(firstUs - dueUs)
      window.last.record(lastUs - dueUs)
    }
  }
}
