// The guard around callbacks of libraries: an error in one of them is caught at the edge of the program, so that it
// ends one connection and never a thread. Any thread.

/** Wraps a callback; what it throws goes to `onError`, with the callback's first argument. */
export function guard<A extends unknown[]>(
  callback: (...args: A) => void,
  onError: (error: unknown, first: NoInfer<A>[0]) => void,
): (...args: A) => void {
  return (...args: A) => {
    try {
      callback(...args)
    } catch (error) {
      onError(error, args[0])
    }
  }
}

/** Lets a text through once, and then again only at powers of two, with how often it came: logs under a flood. */
export class Sampler {
  readonly #counts = new Map<string, number>()

  /** How often this key was seen so far; 0: keep quiet about it. */
  count(key: string): number {
    if (this.#counts.size >= KEYS_MAX && !this.#counts.has(key)) this.#counts.clear()
    const seen = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, seen)
    return (seen & (seen - 1)) === 0 ? seen : 0
  }
}

/** Distinct errors are few; an error text made by an attacker must not fill the memory. */
const KEYS_MAX = 1000
