// A timer wheel for deadlines of many thousand things: one timer of the loop serves all, and setting a deadline
// costs no allocation but a place in an array. Any thread. Precision: one tick, never early.

/** A thing with one deadline at a time. The wheel writes `wheelTick`; nobody else does. */
export type Timed = { wheelTick: number }

export const NOT_TIMED = -1

export class Wheel<T extends Timed> {
  readonly #tickMs: number
  readonly #onDue: (item: T) => void
  readonly #buckets = new Map<number, T[]>()
  #tick: number

  constructor(options: { tickMs: number; nowMs: number; onDue: (item: T) => void }) {
    this.#tickMs = options.tickMs
    this.#onDue = options.onDue
    this.#tick = Math.floor(options.nowMs / options.tickMs)
  }

  /** Sets the deadline, Infinity for none; an earlier one of the same thing is forgotten. */
  schedule(item: T, atMs: number): void {
    if (atMs === Number.POSITIVE_INFINITY) {
      this.cancel(item)
      return
    }
    const tick = Math.max(Math.ceil(atMs / this.#tickMs), this.#tick + 1)
    if (item.wheelTick === tick) return
    item.wheelTick = tick
    const bucket = this.#buckets.get(tick)
    if (bucket === undefined) this.#buckets.set(tick, [item])
    else bucket.push(item)
  }

  cancel(item: T): void {
    // The entry in its bucket is passed over when its time comes.
    item.wheelTick = NOT_TIMED
  }

  /**
   * Calls `onDue` for all whose time has come. It may set new deadlines. If it throws, the others still have their
   * turn, for their deadlines come only once; then the first error is thrown on.
   */
  advance(nowMs: number): void {
    const last = Math.floor(nowMs / this.#tickMs)
    let failure: { error: unknown } | undefined
    while (this.#tick < last) {
      const tick = ++this.#tick
      const bucket = this.#buckets.get(tick)
      if (bucket === undefined) continue
      this.#buckets.delete(tick)
      for (const item of bucket) {
        if (item.wheelTick !== tick) continue
        item.wheelTick = NOT_TIMED
        try {
          this.#onDue(item)
        } catch (error) {
          failure ??= { error }
        }
      }
    }
    if (failure !== undefined) throw failure.error
  }
}
