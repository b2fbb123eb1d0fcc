// A histogram of microseconds with three significant digits, 0 µs … 10 min, in the bucket layout of HdrHistogram.
// Any thread; travels as bytes. Invariant: every recorded value is counted, also one beyond the range (clamped, and
// counted as such). Ours, because the npm package is slow where it is right (recordValue: 5–9 M/s) and wrong where it
// is fast (its WebAssembly build cuts total counts to 32 bits when decoding); the tests hold it against that package.

import { assert } from '../../src/base/assert.ts'
import type { LatencySummary } from '../model.ts'

export type Histogram = {
  /** Counts one value. Fractions are cut off; less than 0 (or NaN) counts as 0, more than 10 min as 10 min. */
  record: (us: number) => void
  /** How many values there are. */
  count: () => number
  /** How many of them were below 0, and beyond 10 min. */
  clamped: () => Readonly<{ below: number; beyond: number }>
  /** The least value that this share of all (0–100) does not exceed, as the upper end of its bucket; 0 when empty. */
  percentile: (percentile: number) => number
  maxUs: () => number
  add: (other: Histogram) => void
  /** Adds what `toBytes` of another gave. Throws when it is not that. */
  addBytes: (bytes: Uint8Array) => void
  /** Only what is counted: a few KB to some tens of KB; its buffer may be transferred. */
  toBytes: () => Uint8Array<ArrayBuffer>
  reset: () => void
  summary: () => LatencySummary
}

export const HISTOGRAM_US_MAX = 600_000_000

/** 2,048 values of full resolution need 11 bits; each further bit of a value halves the resolution. */
const FULL_BITS = 11
const FULL_VALUES = 1 << FULL_BITS
const HALF_BITS = FULL_BITS - 1
const BUCKETS = indexOf(HISTOGRAM_US_MAX) + 1

/** Numbers before the pairs [bucket, count] in the bytes: their mark, least and greatest value, below, beyond. */
const HEAD = 5
const MARK = 0x6677_4831

/** Points of a plot's distribution per halving of the share that is still above. */
const POINTS_PER_HALVING = 4
const NAMED_PERCENTILES = [0, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 99.999, 99.9999]

export function createHistogram(): Histogram {
  const counts = new Float64Array(BUCKETS)
  let total = 0
  let leastUs = Number.POSITIVE_INFINITY
  let greatestUs = 0
  let below = 0
  let beyond = 0

  function record(us: number): void {
    let value = us | 0
    if (!(us >= 0 && us <= HISTOGRAM_US_MAX)) {
      if (us > HISTOGRAM_US_MAX) {
        beyond++
        value = HISTOGRAM_US_MAX
      } else {
        below++
        value = 0
      }
    }
    counts[indexOf(value)]!++
    total++
    if (value < leastUs) leastUs = value
    if (value > greatestUs) greatestUs = value
  }

  function percentile(asked: number): number {
    if (total === 0) return 0
    if (asked <= 0) return leastUs
    // The tiny part taken off keeps 99.9 % of 1,000 values at 999, where binary fractions would make it 1,000.
    const needed = Math.max(1, Math.ceil((asked / 100) * total * (1 - Number.EPSILON * 4)))
    let seen = 0
    for (let index = indexOf(leastUs); index < BUCKETS; index++) {
      seen += counts[index]!
      if (seen >= needed) return Math.min(highestOf(index), greatestUs)
    }
    return greatestUs
  }

  function addPairs(numbers: Float64Array): void {
    assert(numbers.length >= HEAD && numbers[0] === MARK, 'these bytes are no histogram')
    for (let at = HEAD; at < numbers.length; at += 2) {
      counts[numbers[at]!]! += numbers[at + 1]!
      total += numbers[at + 1]!
    }
    leastUs = Math.min(leastUs, numbers[1]!)
    greatestUs = Math.max(greatestUs, numbers[2]!)
    below += numbers[3]!
    beyond += numbers[4]!
  }

  function toNumbers(): Float64Array<ArrayBuffer> {
    const [from, to] = total === 0 ? [0, 0] : [indexOf(leastUs), indexOf(greatestUs) + 1]
    let used = 0
    for (let index = from; index < to; index++) if (counts[index] !== 0) used++
    const numbers = new Float64Array(HEAD + 2 * used)
    numbers.set([MARK, leastUs, greatestUs, below, beyond])
    let at = HEAD
    for (let index = from; index < to; index++) {
      if (counts[index] === 0) continue
      numbers[at++] = index
      numbers[at++] = counts[index]!
    }
    return numbers
  }

  function addBytes(bytes: Uint8Array): void {
    assert(bytes.byteLength % 8 === 0, `a histogram of ${bytes.byteLength} bytes`)
    // Copied where it does not lie on a multiple of eight, as a view into something else might.
    const whole = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice()
    addPairs(new Float64Array(whole.buffer, whole.byteOffset, whole.byteLength / 8))
  }

  return {
    record,
    count: () => total,
    clamped: () => ({ below, beyond }),
    percentile,
    maxUs: () => greatestUs,
    add: other => addBytes(other.toBytes()),
    addBytes,
    toBytes: () => new Uint8Array(toNumbers().buffer),
    reset() {
      counts.fill(0)
      total = below = beyond = greatestUs = 0
      leastUs = Number.POSITIVE_INFINITY
    },
    summary: () => ({
      count: total,
      minUs: total === 0 ? 0 : leastUs,
      p50Us: percentile(50),
      p90Us: percentile(90),
      p99Us: percentile(99),
      p999Us: percentile(99.9),
      maxUs: greatestUs,
      distribution: plotPercentiles(total).map(asked => [asked, percentile(asked)] as const),
    }),
  }
}

/** A histogram from what `toBytes` gave. */
export function histogramFrom(...bytes: readonly Uint8Array[]): Histogram {
  const histogram = createHistogram()
  for (const one of bytes) histogram.addBytes(one)
  return histogram
}

/** Where a value is counted. It is at most 2^30, so that bit operations hold it. */
function indexOf(us: number): number {
  const halvings = 32 - FULL_BITS - Math.clz32(us | (FULL_VALUES - 1))
  return (halvings << HALF_BITS) + (us >> halvings)
}

/** The greatest value that is counted there. */
function highestOf(index: number): number {
  const halvings = Math.max(0, (index >> HALF_BITS) - 1)
  const lowest = (index - (halvings << HALF_BITS)) << halvings
  return lowest + (1 << halvings) - 1
}

/**
 * Ascending, from 0 to 100. Between, no percentile that so few values have no figure for: the last before 100 is the
 * one that at least one value is above.
 */
function plotPercentiles(count: number): number[] {
  if (count === 0) return []
  // Rounded, since 100 − 99.9 is a little more than 0.1 in binary.
  const told = NAMED_PERCENTILES.filter(one => one === 0 || Math.round(100_000 / (100 - one)) <= count * 1000)
  const points = new Set([...told, 100])
  const halvings = Math.log2(count)
  for (let step = 1; step / POINTS_PER_HALVING <= halvings; step++) {
    points.add(Number((100 * (1 - 2 ** (-step / POINTS_PER_HALVING))).toPrecision(10)))
  }
  return [...points].sort((a, b) => a - b)
}
