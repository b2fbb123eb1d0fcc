// Slots: disjoint, the same everywhere, and what is counted in them.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { catalog } from '../../src/metrics/catalog.ts'
import type { Metric } from '../../src/metrics/metric.ts'
import {
  type HistogramSlots,
  labelledSlots,
  observe,
  pick,
  resetGauges,
  slotCount,
  slots,
} from '../../src/metrics/slots.ts'
import { COUNTER_SLOTS_MAX } from '../../src/shared/counters.layout.ts'

/** Every slot of a metric, from the tree alone. */
function leavesOf(tree: unknown): number[] {
  if (typeof tree === 'number') return [tree]
  if (isHistogram(tree))
    return Array.from({ length: tree.bounds.length + 2 }, (_, index) => tree.first + index)
  return Object.values(tree as object).flatMap(leavesOf)
}

function isHistogram(tree: unknown): tree is HistogramSlots {
  return typeof tree === 'object' && tree !== null && 'bounds' in tree
}

describe('slots', () => {
  test('every number below slotCount is the slot of one thing', () => {
    const leaves = Object.values(slots).flatMap(leavesOf)
    expect(leaves.toSorted((a, b) => a - b)).toEqual(Array.from({ length: slotCount }, (_, slot) => slot))
    expect(slotCount).toBeLessThanOrEqual(COUNTER_SLOTS_MAX)
  })

  test('the sum of a histogram follows its last bucket', () => {
    for (const tree of Object.values(slots)) {
      if (isHistogram(tree)) expect(tree.sum).toBe(tree.first + tree.bounds.length + 1)
    }
  })

  test('two labels make two levels', () => {
    expect(slots.commands.publish.ok).not.toBe(slots.commands.publish.error)
    expect(labelledSlots(slots.commands, catalog.commands.labels)).toContainEqual({
      slot: slots.commands.sub_refresh.disconnect,
      labels: { command: 'sub_refresh', outcome: 'disconnect' },
    })
  })

  test('the tree is frozen', () => {
    expect(Object.isFrozen(slots)).toBe(true)
    expect(Object.isFrozen(slots.commands.publish)).toBe(true)
  })
})

describe('pick', () => {
  test('finds a value of the list, as text or as number', () => {
    expect(pick(slots.disconnects, 3008, slots.disconnects.other)).toBe(slots.disconnects['3008'])
    expect(pick(slots.apiRequests, 'batch', slots.apiRequests.unknown).ok).toBe(slots.apiRequests.batch.ok)
  })

  test.each(['nope', '', 'constructor', '__proto__', 'toString', 'hasOwnProperty'])(
    '%j is not in any list',
    value => {
      expect(pick(slots.apiRequests, value, slots.apiRequests.unknown)).toBe(slots.apiRequests.unknown)
      expect(pick(slots.errors, value, slots.errors.other)).toBe(slots.errors.other)
    },
  )
})

describe('observe', () => {
  const { first, bounds, sum } = slots.fanoutSize

  test.each([
    [1, 0],
    [1.5, 1],
    [2, 1],
    [3, 2],
    [100_000, 15],
    [100_001, 16],
    [Number.POSITIVE_INFINITY, 16],
  ])('%d falls into bucket %d', (value, bucket) => {
    const row = new Float64Array(slotCount)
    observe(row, slots.fanoutSize, value)
    expect(row[first + bucket]).toBe(1)
    expect(row[sum]).toBe(value)
    expect(row.filter(number => number !== 0)).toHaveLength(2)
  })

  test.each([0, -1e-9, Number.NaN])('%d counts as zero', value => {
    const row = new Float64Array(slotCount)
    observe(row, slots.fanoutSize, value)
    expect(row[first]).toBe(1)
    expect(row[sum]).toBe(0)
  })

  test('any values end in the buckets that a direct count gives', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(200_000)), values => {
        const row = new Float64Array(slotCount)
        for (const value of values) observe(row, slots.fanoutSize, value)
        let cumulative = 0
        for (const [index, bound] of bounds.entries()) {
          cumulative += row[first + index]!
          expect(cumulative).toBe(values.filter(value => value <= bound).length)
        }
        expect(cumulative + row[first + bounds.length]!).toBe(values.length)
        expect(row[sum]).toBe(values.reduce((total, value) => total + value, 0))
      }),
    )
  })
})

describe('resetGauges', () => {
  test('sets all gauges to zero and nothing else', () => {
    const row = new Float64Array(slotCount).fill(3)
    resetGauges(row)
    for (const [key, metric] of Object.entries<Metric>(catalog)) {
      const expected = metric.kind === 'gauge' ? 0 : 3
      for (const slot of leavesOf(slots[key as keyof typeof slots])) expect(row[slot]).toBe(expected)
    }
  })
})
