// What is due when, in a stretch of even pace. Runs on the publisher's thread. Pure.
// Invariant: the due time of a publication does not depend on when it is asked for, and is a whole number of
// microseconds, because that is what the payload carries: publisher and receiver decide alike in which window it is.

export type Stretch = Readonly<{
  /** When publication 0 is due. */
  startUs: number
  /** Publications a second, over all channels. */
  rate: number
  channels: readonly number[]
}>

const US_PER_S = 1e6

/** When publication n, counted from 0, is due. */
export function dueUsOf({ startUs, rate }: Stretch, n: number): number {
  return Math.floor(startUs + (n * US_PER_S) / rate)
}

/** They are published to in turn. */
export function channelOf({ channels }: Stretch, n: number): number {
  return channels[n % channels.length]!
}

/** How many publications are due at this time or before it. */
export function dueBy(stretch: Stretch, atUs: number): number {
  if (atUs < Math.floor(stretch.startUs)) return 0
  // Rounding may put the estimate one too low or too high: the due times themselves decide.
  let count = Math.floor(((atUs - stretch.startUs) * stretch.rate) / US_PER_S) + 1
  while (dueUsOf(stretch, count) <= atUs) count++
  while (count > 0 && dueUsOf(stretch, count - 1) > atUs) count--
  return count
}
