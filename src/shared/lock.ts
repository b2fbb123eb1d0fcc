// A lock in shared memory for critical sections of a few hundred nanoseconds. Any thread, main too.
// Invariant: at most one thread is between lock() and unlock(); not reentrant; callers unlock in a finally.

import { assert } from '../base/assert.ts'

// The word's values (the "mutex2" of U. Drepper, Futexes Are Tricky, 2011).
const FREE = 0
const HELD = 1
const HELD_WITH_WAITERS = 2

/**
 * Tries before the thread goes to sleep: a few times the longest usual critical section. More would be wasted
 * where the holder has lost its core, which sleeping gives it back.
 */
const SPINS_MAX = 200

/**
 * A holder needs microseconds. If the lock isn't free after this time, its thread was ended inside the
 * section, and the structure can't be trusted: better an error here than all threads hanging.
 */
const WAIT_MS_MAX = 10_000

export function lock(words: Int32Array, index: number): void {
  for (let spin = 0; spin < SPINS_MAX; spin++) {
    // Partner: the exchange in unlock(). Seeing its FREE, we see all that the last holder wrote. The load
    // before it keeps those who wait from pulling the cache line from the holder again and again.
    if (Atomics.load(words, index) !== FREE) continue
    if (Atomics.compareExchange(words, index, FREE, HELD) === FREE) return
  }
  // Whoever has slept takes the lock as HELD_WITH_WAITERS, since it can't know whether others still sleep.
  while (Atomics.exchange(words, index, HELD_WITH_WAITERS) !== FREE) {
    // Partner: the notify in unlock(). Returns at once if the word has changed since the exchange.
    const woken = Atomics.wait(words, index, HELD_WITH_WAITERS, WAIT_MS_MAX)
    assert(woken !== 'timed-out', 'lock: its holder has gone')
  }
}

export function unlock(words: Int32Array, index: number): void {
  // Partner: the compareExchange and the exchange in lock(). Publishes what was written in the section.
  if (Atomics.exchange(words, index, FREE) === HELD_WITH_WAITERS) Atomics.notify(words, index, 1)
}
