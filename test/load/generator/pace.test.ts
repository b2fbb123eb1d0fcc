// What is due when: the same whatever the time at which one asks, and none is left out or due twice.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { channelOf, dueBy, dueUsOf, type Stretch } from '../../../load/generator/pace.ts'

const stretches = fc.record({
  startUs: fc.double({ min: 0, max: 1e13, noNaN: true }),
  rate: fc.oneof(
    fc.integer({ min: 1, max: 2_000_000 }),
    fc.double({ min: 0.01, max: 1e6, noNaN: true, noDefaultInfinity: true }),
  ),
  channels: fc.array(fc.nat(999_999), { minLength: 1, maxLength: 20 }),
})

describe('an even pace', () => {
  const stretch: Stretch = { startUs: 5_000_000.75, rate: 1000, channels: [4, 7, 9] }

  test('has its first publication due at the start, and one more each millisecond', () => {
    expect([0, 1, 2, 1000].map(n => dueUsOf(stretch, n))).toEqual([
      5_000_000, 5_001_000, 5_002_000, 6_000_000,
    ])
    expect([4_999_999, 5_000_000, 5_000_999, 5_001_000].map(atUs => dueBy(stretch, atUs))).toEqual([
      0, 1, 1, 2,
    ])
  })

  test('goes to the channels in turn', () => {
    expect([0, 1, 2, 3, 4].map(n => channelOf(stretch, n))).toEqual([4, 7, 9, 4, 7])
  })

  test('does not begin before its start', () => {
    expect(dueBy(stretch, 0)).toBe(0)
  })

  test('counts as due exactly those whose due time has come, at any rate and start', () => {
    fc.assert(
      fc.property(stretches, fc.double({ min: 0, max: 1e8, noNaN: true }), (any, afterUs) => {
        const atUs = any.startUs + afterUs
        const count = dueBy(any, atUs)
        if (count > 0) expect(dueUsOf(any, count - 1)).toBeLessThanOrEqual(atUs)
        expect(dueUsOf(any, count)).toBeGreaterThan(atUs)
      }),
    )
  })

  test('gives whole microseconds, never falling', () => {
    fc.assert(
      fc.property(stretches, fc.nat(1_000_000), (any, n) => {
        expect(dueUsOf(any, n) % 1).toBe(0)
        expect(dueUsOf(any, n + 1)).toBeGreaterThanOrEqual(dueUsOf(any, n))
      }),
    )
  })
})
