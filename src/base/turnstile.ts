// A turnstile: so much runs at once, so much waits for a place, and who waits longest takes the next one. Any thread.
// Invariant: nobody waits while a place is free.

export class Turnstile {
  readonly #runningMax: number
  readonly #waitingMax: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor({ runningMax, waitingMax }: Readonly<{ runningMax: number; waitingMax: number }>) {
    this.#runningMax = runningMax
    this.#waitingMax = waitingMax
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** All that may wait waits already: who comes now has to be refused. */
  get isFull(): boolean {
    return this.#running >= this.#runningMax && this.#waiting.length >= this.#waitingMax
  }

  /** Resolves with a place, which has to be given back by `leave`. Only while it is not full. */
  enter(): Promise<void> {
    if (this.#running >= this.#runningMax) return new Promise(resolve => this.#waiting.push(resolve))
    this.#running += 1
    return Promise.resolve()
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running -= 1
    else next()
  }
}
