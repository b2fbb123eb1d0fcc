// When the series takes a sample: each second of a phase, and at both of its ends. Main thread.
// Invariant: samples are taken one after another, never two at once.

/** The last sample of a phase is the one at its end: none is taken shortly before. */
const SHORT_MS = 300

export class Ticker {
  readonly #take: () => Promise<void>
  readonly #everyMs: number
  #last: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  /** Of the phase: what an earlier one still had in mind does not count. */
  #turn = 0

  /** @param take must not reject */
  constructor(everyMs: number, take: () => Promise<void>) {
    this.#everyMs = everyMs
    this.#take = take
  }

  /** Takes a sample now, or as soon as the one under way is done. */
  now(): Promise<void> {
    this.#last = this.#last.then(this.#take)
    return this.#last
  }

  /** From here on each second, until `endMs` of performance.now() if that is known. */
  begin(endMs = Number.POSITIVE_INFINITY): void {
    this.pause()
    this.#next(this.#turn, performance.now(), endMs)
  }

  pause(): void {
    this.#turn++
    clearTimeout(this.#timer)
  }

  #next(turn: number, fromMs: number, endMs: number): void {
    const nowMs = performance.now()
    // What was missed is left out, not made up for.
    const dueMs = fromMs + (Math.floor((nowMs - fromMs) / this.#everyMs) + 1) * this.#everyMs
    if (dueMs > endMs - SHORT_MS) return
    this.#timer = setTimeout(async () => {
      await this.now()
      if (turn === this.#turn) this.#next(turn, fromMs, endMs)
    }, dueMs - nowMs)
  }
}
