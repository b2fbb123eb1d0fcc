// How long a thread that failed waits before another takes its place. Main thread; pure.

/** One that fails again and again is started again ever later, so that it can't use up the machine. */
const RESTART_DELAYS_MS = [0, 100, 500, 2000, 10_000]
/** A thread that lived so long has its failures forgiven. */
const FORGIVEN_AFTER_MS = 60_000

/** @param failures of this place, without the one that just came */
export function restartDelayMs(failures: number, livedMs: number): { delayMs: number; failures: number } {
  const counted = livedMs > FORGIVEN_AFTER_MS ? 0 : failures
  const delayMs = RESTART_DELAYS_MS[Math.min(counted, RESTART_DELAYS_MS.length - 1)]!
  return { delayMs, failures: counted + 1 }
}
