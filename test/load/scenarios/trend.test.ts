// Whether memory grows, told from a series of it.

import { expect, test } from 'vitest'
import { createRandom } from '../../../load/random.ts'
import { type Point, trendOf } from '../../../load/scenarios/trend.ts'

/** A value a second: 100 at first, growing, with noise around it. */
function pointsOf(seconds: number, perSecond: number, noise: number, seed = 1): Point[] {
  const random = createRandom(seed)
  return Array.from({ length: seconds }, (_, atS) => ({
    atS,
    value: 100 + perSecond * atS + noise * (random() - 0.5),
  }))
}

test('finds the slope of a line, and that it is certain', () => {
  const trend = trendOf(pointsOf(600, 0.25, 0))!
  expect(trend.perSecond).toBeCloseTo(0.25)
  expect(trend.uncertainty).toBeCloseTo(0)
  expect(trend.isGrowth).toBe(true)
})

test('what falls does not grow', () => {
  expect(trendOf(pointsOf(600, -0.25, 1))!.isGrowth).toBe(false)
})

test('takes a saw of garbage and its collection for no growth', () => {
  const saw = Array.from({ length: 1000 }, (_, atS) => ({ atS, value: 100 + (atS % 90) }))
  const { perSecond, uncertainty, isGrowth } = trendOf(saw)!
  expect(isGrowth).toBe(false)
  expect(Math.abs(perSecond)).toBeLessThan(uncertainty)
})

test('finds growth below noise that is much larger than what is gained', () => {
  const { perSecond, uncertainty, isGrowth } = trendOf(pointsOf(3600, 0.01, 50))!
  expect(isGrowth).toBe(true)
  expect(Math.abs(perSecond - 0.01)).toBeLessThan(uncertainty)
})

test('calls noise growth in few of many runs', () => {
  const runs = Array.from({ length: 400 }, (_, seed) => trendOf(pointsOf(200, 0, 10, seed + 1))!)
  expect(runs.filter(({ isGrowth }) => isGrowth).length).toBeLessThan(400 * 0.06)
})

test('says nothing of a few seconds', () => {
  expect(trendOf(pointsOf(10, 1, 0))).toBeUndefined()
})
