// Seeded random numbers for tests: the same seed gives the same sequence in each thread.

/** Mulberry32: returns a function that gives whole numbers in [0, limit). */
export function randomFrom(seed: number): (limit: number) => number {
  let state = seed | 0
  return limit => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
}
