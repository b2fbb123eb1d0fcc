// So many a second, and as many at once after a pause; time is given, so nothing here waits.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TokenBucket } from '../../src/base/token-bucket.ts'

/** How many of `count` takes at one moment pass. */
function taken(bucket: TokenBucket, nowMs: number, count: number): number {
  return Array.from({ length: count }, () => bucket.take(nowMs)).filter(Boolean).length
}

test('a second of the rate passes at once, and then as much as time brings', () => {
  const bucket = new TokenBucket(10, 1000)
  expect(taken(bucket, 1000, 50)).toBe(10)
  expect(taken(bucket, 1099, 50)).toBe(0)
  expect(taken(bucket, 1100, 50)).toBe(1)
  expect(taken(bucket, 1400, 50)).toBe(3)
})

test('a long pause brings no more than one second of the rate', () => {
  const bucket = new TokenBucket(10, 0)
  taken(bucket, 0, 10)
  expect(taken(bucket, 3_600_000, 50)).toBe(10)
})

test('less than one a second gathers a whole one', () => {
  const bucket = new TokenBucket(0.25, 0)
  expect(taken(bucket, 0, 5)).toBe(1)
  for (const nowMs of [1000, 2000, 3000, 3999]) expect(bucket.take(nowMs)).toBe(false)
  expect(taken(bucket, 4000, 5)).toBe(1)
})

test('rate 0 lets everything pass', () => {
  expect(taken(new TokenBucket(0, 0), 0, 1000)).toBe(1000)
})

test('a burst of its own passes at once, and who is refused knows for how long', () => {
  const bucket = new TokenBucket(0.5, 0, 5)
  expect(taken(bucket, 0, 50)).toBe(5)
  expect(bucket.waitMs).toBe(2000)
  expect(taken(bucket, 500, 50)).toBe(0)
  expect(bucket.waitMs).toBe(1500)
  expect(taken(bucket, 2000, 50)).toBe(1)
  expect(taken(bucket, 3_600_000, 50)).toBe(5)
})

test('a clock that was set back takes nothing away', () => {
  const bucket = new TokenBucket(10, 60_000)
  expect(taken(bucket, 0, 50)).toBe(10)
  expect(taken(bucket, 100, 50)).toBe(1)
})

test('over any time at most rate × time plus one second of it pass, and not less than asked for if that is less', () => {
  const arbitrary = fc.record({
    perSecond: fc.integer({ min: 1, max: 1000 }),
    stepsMs: fc.array(fc.nat(500), { minLength: 1, maxLength: 200 }),
    each: fc.integer({ min: 1, max: 20 }),
  })
  fc.assert(
    fc.property(arbitrary, ({ perSecond, stepsMs, each }) => {
      const bucket = new TokenBucket(perSecond, 0)
      let nowMs = 0
      let passed = 0
      for (const stepMs of stepsMs) {
        nowMs += stepMs
        const asked = taken(bucket, nowMs, each)
        // Refused only when the bucket is empty.
        if (asked < each) expect(bucket.take(nowMs)).toBe(false)
        passed += asked
      }
      expect(passed).toBeLessThanOrEqual(perSecond * (1 + nowMs / 1000) + 1e-6)
    }),
  )
})
