// What ends a run before its time (the server is gone, a thread failed, ^C), as seen by whoever waits. Main thread.
// Invariant: nobody waits on after the first trouble, and nothing is kept for waits that are over.

export class Trouble {
  readonly #waiting = new Set<(error: unknown) => void>()
  #error: unknown

  /** The first one counts. */
  raise(error: unknown): void {
    if (this.#error !== undefined) return
    this.#error = error
    for (const reject of this.#waiting) reject(error)
    this.#waiting.clear()
  }

  /** After an interruption: the books can be closed as if nothing had been. */
  clear(): void {
    this.#error = undefined
  }

  check(): void {
    if (this.#error !== undefined) throw this.#error
  }

  /** As the promise, or the trouble if that comes first. */
  async race<T>(promise: Promise<T>): Promise<T> {
    // It may fail when nobody looks any more.
    promise.catch(() => {})
    this.check()
    const trouble = Promise.withResolvers<never>()
    trouble.promise.catch(() => {})
    this.#waiting.add(trouble.reject)
    try {
      return await Promise.race([promise, trouble.promise])
    } finally {
      this.#waiting.delete(trouble.reject)
    }
  }
}
