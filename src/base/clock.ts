// The clocks. Any thread. Decisions take the time as an argument; only the edges of the program read it here.

/** Wall clock in milliseconds since 1970; for token expiry and what clients see. */
export function wallMs(): number {
  return Date.now()
}

/**
 * Monotonic clock in microseconds, the same in all threads of the process (unlike performance.now(), which
 * starts at zero in each thread), so that a publication can be timed from one shard to another.
 */
export function monotonicUs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e6 + nanoseconds / 1e3
}

/** Monotonic clock in whole milliseconds, the same in all threads of the process. */
export function monotonicMs(): number {
  return Math.trunc(monotonicUs() / 1e3)
}
