// The history window of one channel: its latest publications, oldest first. Runs on the shard that is the home.
// Invariant: offsets in the window have no gaps and end at `topOffset`; count, age and bytes are bounded.

import { assert } from '../base/assert.ts'

export type WindowLimits = Readonly<{ size: number; ttlMs: number }>

/** A publication in a window: its text, what it counts for in memory, and when it came (monotonic). */
export type Entry = Readonly<{ json: string; bytes: number; atMs: number }>

/** What one publication costs beside its text: the entry and its place in the array, rounded up. */
export const ENTRY_OVERHEAD_BYTES = 96
/** Dead places at the front of the array are cut away in lots, not one by one. */
const COMPACT_AT = 64

export class Window {
  readonly #limits: WindowLimits
  #entries: (Entry | undefined)[] = []
  #head = 0
  #bytes = 0
  #topOffset: number

  constructor(limits: WindowLimits, topOffset = 0) {
    this.#limits = limits
    this.#topOffset = topOffset
  }

  get topOffset(): number {
    return this.#topOffset
  }

  get count(): number {
    return this.#entries.length - this.#head
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Offset of the oldest publication that is still there; topOffset + 1 when the window is empty. */
  get firstOffset(): number {
    return this.#topOffset - this.count + 1
  }

  /** The offset that the next publication gets. */
  get nextOffset(): number {
    return this.#topOffset + 1
  }

  /** When the newest publication came; −Infinity when the window is empty. */
  get newestMs(): number {
    return this.#entries.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY
  }

  /** All that is there, oldest first, in a list of its own. */
  entries(): readonly Entry[] {
    return this.#entries.slice(this.#head) as Entry[]
  }

  /** Appends the publication with `nextOffset`. Returns by how many bytes the window grew (negative: it shrank). */
  append(json: string, textBytes: number, nowMs: number): number {
    const before = this.#bytes
    const bytes = textBytes + ENTRY_OVERHEAD_BYTES
    this.#topOffset++
    this.#entries.push({ json, bytes, atMs: nowMs })
    this.#bytes += bytes
    while (this.count > this.#limits.size) this.#dropOldest()
    this.#dropExpired(nowMs)
    return this.#bytes - before
  }

  /** Forgets publications older than the limit. Returns the bytes given back. */
  expire(nowMs: number): number {
    const before = this.#bytes
    this.#dropExpired(nowMs)
    return before - this.#bytes
  }

  /** Forgets the oldest publication, for want of memory. Returns the bytes given back; 0: nothing was there. */
  evictOldest(): number {
    const before = this.#bytes
    if (this.count > 0) this.#dropOldest()
    return before - this.#bytes
  }

  /** Forgets all publications; the position stays, so that nobody's place in the order is lost. */
  clear(): number {
    const freed = this.#bytes
    this.#entries = []
    this.#head = 0
    this.#bytes = 0
    return freed
  }

  /**
   * JSON texts of publications with offsets from `first` on, at most `countMax` of them and `bytesMax` bytes of text
   * (the first one always comes, however large).
   */
  read(first: number, countMax: number, bytesMax: number): string[] {
    return this.#collect(first, 1, countMax, bytesMax)
  }

  /** The same backwards, from `first` down. */
  readReverse(first: number, countMax: number, bytesMax: number): string[] {
    return this.#collect(first, -1, countMax, bytesMax)
  }

  #collect(first: number, step: 1 | -1, countMax: number, bytesMax: number): string[] {
    const found: string[] = []
    let bytes = 0
    for (let offset = first; found.length < countMax; offset += step) {
      if (offset < this.firstOffset || offset > this.#topOffset) break
      const entry = this.#entries[this.#head + offset - this.firstOffset]
      assert(entry !== undefined, 'a window has no gaps')
      bytes += entry.bytes
      if (bytes > bytesMax && found.length > 0) break
      found.push(entry.json)
    }
    return found
  }

  #dropExpired(nowMs: number): void {
    const oldestMs = nowMs - this.#limits.ttlMs
    for (;;) {
      const oldest = this.#entries[this.#head]
      if (oldest === undefined || oldest.atMs > oldestMs) return
      this.#dropOldest()
    }
  }

  #dropOldest(): void {
    const oldest = this.#entries[this.#head]
    assert(oldest !== undefined, 'there is an oldest publication')
    this.#bytes -= oldest.bytes
    this.#entries[this.#head] = undefined
    this.#head++
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#entries.length) {
      this.#entries.splice(0, this.#head)
      this.#head = 0
    }
  }
}
