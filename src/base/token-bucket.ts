// A token bucket: so many a second, and as many at once after a pause. Any thread; pure but for its own level.

export class TokenBucket {
  readonly #perSecond: number
  #level: number
  #filledMs: number

  /** `perSecond` 0: everything passes. */
  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond
    this.#level = Math.max(perSecond, 1)
    this.#filledMs = nowMs
  }

  /** Takes one, if there is one. */
  take(nowMs: number): boolean {
    if (this.#perSecond === 0) return true
    const gained = ((nowMs - this.#filledMs) * this.#perSecond) / 1000
    // Less than one a second has to be able to gather a whole one.
    this.#level = Math.min(Math.max(this.#perSecond, 1), this.#level + gained)
    this.#filledMs = nowMs
    if (this.#level < 1) return false
    this.#level -= 1
    return true
  }
}
