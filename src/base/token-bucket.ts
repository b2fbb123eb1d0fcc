// A token bucket: so many a second, and so many at once after a pause. Any thread; pure but for its own level.

export class TokenBucket {
  readonly #perSecond: number
  readonly #burst: number
  #level: number
  #filledMs: number

  /** `perSecond` 0: everything passes. `burst`: at once after a pause. */
  constructor(perSecond: number, nowMs: number, burst = perSecond) {
    this.#perSecond = perSecond
    // Less than one a second has to be able to gather a whole one.
    this.#burst = Math.max(burst, 1)
    this.#level = this.#burst
    this.#filledMs = nowMs
  }

  /** Takes one, if there is one. */
  take(nowMs: number): boolean {
    if (this.#perSecond === 0) return true
    // A clock may have been set back.
    const gained = (Math.max(0, nowMs - this.#filledMs) * this.#perSecond) / 1000
    this.#level = Math.min(this.#burst, this.#level + gained)
    this.#filledMs = nowMs
    if (this.#level < 1) return false
    this.#level -= 1
    return true
  }

  /** After one was refused: how long until there is one. */
  get waitMs(): number {
    return Math.ceil(((1 - this.#level) * 1000) / this.#perSecond)
  }
}
