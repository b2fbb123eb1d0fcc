// The histogram, held against hdr-histogram-js, and its way through bytes.

import fc from 'fast-check'
import { build } from 'hdr-histogram-js'
import { expect, test } from 'vitest'
import { createHistogram, HISTOGRAM_US_MAX, histogramFrom } from '../../../load/ledger/histogram.ts'

const PERCENTILES = [0, 1, 10, 50, 75, 90, 99, 99.9, 99.99, 100]

/** Of all magnitudes. */
const value = fc.integer({ min: 0, max: 29 }).chain(bits => fc.integer({ min: 0, max: 2 ** bits }))

test('gives the percentiles of hdr-histogram-js, but none above the greatest value', () => {
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 2000 }), values => {
      const histogram = createHistogram()
      const reference = build({
        bitBucketSize: 64,
        lowestDiscernibleValue: 1,
        highestTrackableValue: HISTOGRAM_US_MAX,
        numberOfSignificantValueDigits: 3,
      })
      for (const us of values) {
        histogram.record(us)
        reference.recordValue(us)
      }
      const greatest = Math.max(...values)
      for (const percentile of PERCENTILES.slice(1)) {
        const expected = Math.min(reference.getValueAtPercentile(percentile), greatest)
        expect(histogram.percentile(percentile), `percentile ${percentile}`).toBe(expected)
      }
      expect(histogram.percentile(0)).toBe(Math.min(...values))
      expect(histogram.maxUs()).toBe(greatest)
      expect(histogram.count()).toBe(values.length)
    }),
  )
})

test('is off by less than a thousandth, and never below the value', () => {
  fc.assert(
    fc.property(value, us => {
      const histogram = createHistogram()
      histogram.record(us)
      histogram.record(HISTOGRAM_US_MAX)
      const found = histogram.percentile(50)
      expect(found).toBeGreaterThanOrEqual(us)
      expect(found - us).toBeLessThanOrEqual(us / 1000)
    }),
  )
})

test('clamps what is out of range, and counts it', () => {
  const histogram = createHistogram()
  for (const us of [-1, -0.5, Number.NaN, 0.9, HISTOGRAM_US_MAX, HISTOGRAM_US_MAX + 1, 1e300, Infinity]) {
    histogram.record(us)
  }
  expect(histogram.count()).toBe(8)
  expect(histogram.clamped()).toEqual({ below: 3, beyond: 3 })
  expect(histogram.percentile(50)).toBe(0)
  expect(histogram.maxUs()).toBe(HISTOGRAM_US_MAX)
  expect(histogramFrom(histogram.toBytes()).clamped()).toEqual({ below: 3, beyond: 3 })
})

test('is the same after its way through bytes, and the sum of several', () => {
  fc.assert(
    fc.property(fc.array(value), fc.array(value), (some, others) => {
      const [a, b, all] = [createHistogram(), createHistogram(), createHistogram()]
      for (const us of some) a.record(us)
      for (const us of others) b.record(us)
      for (const us of [...some, ...others]) all.record(us)
      expect(histogramFrom(a.toBytes()).summary()).toEqual(a.summary())
      expect(histogramFrom(a.toBytes(), b.toBytes()).summary()).toEqual(all.summary())
      a.add(b)
      expect(a.summary()).toEqual(all.summary())
      a.reset()
      expect(a.summary()).toEqual(createHistogram().summary())
    }),
  )
})

test('counts beyond 32 bits and reads bytes that lie anywhere', () => {
  const histogram = createHistogram()
  for (let i = 0; i < 1000; i++) histogram.record(i)
  for (let doubling = 0; doubling < 24; doubling++) histogram.add(histogram)
  expect(histogram.count()).toBe(1000 * 2 ** 24)
  const bytes = histogram.toBytes()
  const askew = new Uint8Array(bytes.length + 3)
  askew.set(bytes, 3)
  expect(histogramFrom(askew.subarray(3)).summary()).toEqual(histogram.summary())
})

test('refuses bytes that are no histogram', () => {
  expect(() => histogramFrom(new Uint8Array(64))).toThrow('no histogram')
  expect(() => histogramFrom(new Uint8Array(7))).toThrow('7 bytes')
})

test('sums up with points for a plot, as far as there are values', () => {
  const histogram = createHistogram()
  expect(histogram.summary()).toEqual({
    count: 0,
    minUs: 0,
    p50Us: 0,
    p90Us: 0,
    p99Us: 0,
    p999Us: 0,
    maxUs: 0,
    distribution: [],
  })
  for (let us = 1; us <= 1000; us++) histogram.record(us)
  const { distribution, ...figures } = histogram.summary()
  expect(figures).toEqual({
    count: 1000,
    minUs: 1,
    p50Us: 500,
    p90Us: 900,
    p99Us: 990,
    p999Us: 999,
    maxUs: 1000,
  })
  expect(distribution[0]).toEqual([0, 1])
  expect(distribution.at(-1)).toEqual([100, 1000])
  expect(distribution).toContainEqual([99.9, 999])
  const percentiles = distribution.map(([percentile]) => percentile)
  expect(percentiles).toEqual([...new Set(percentiles)].sort((a, b) => a - b))
  expect(percentiles).not.toContain(99.99)
})
