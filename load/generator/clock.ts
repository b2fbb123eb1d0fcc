// The clock of the load: microseconds of the machine's monotonic clock, equal in all threads of the process. Any thread.
// Invariant: never goes back; a number with a fraction.

const US_PER_MS = 1e3

/** performance.now() begins at zero in each thread, but it is cheaper to read than process.hrtime(). */
const offsetUs = Number(process.hrtime.bigint() / 1000n) - performance.now() * US_PER_MS

export function nowUs(): number {
  return performance.now() * US_PER_MS + offsetUs
}
