// Sequence numbers as ranges: the same set as a plain one, in whatever order they come.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addToRanges, type Range } from '../../../load/generator/ranges.ts'

test('numbers become the fewest ranges, ascending, in whatever order they come', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 60 })), numbers => {
      const ranges: Range[] = []
      for (const number of numbers) expect(addToRanges(ranges, number)).toBe(true)
      const inside = ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i))
      expect(inside).toEqual([...numbers].sort((a, b) => a - b))
      for (const [index, [from]] of ranges.entries()) {
        if (index > 0) expect(from).toBeGreaterThan(ranges[index - 1]![1] + 1)
      }
    }),
  )
})

test('where there is no room for one more, it is still inside, and that is said', () => {
  const ranges: Range[] = []
  for (let number = 10; number < 10 + 2 * 65_536; number += 2) expect(addToRanges(ranges, number)).toBe(true)
  const last = ranges.at(-1)![1]
  expect(addToRanges(ranges, last + 5)).toBe(false)
  expect(ranges.at(-1)).toEqual([last, last + 5])
  expect(addToRanges(ranges, 3)).toBe(false)
  expect(ranges[0]).toEqual([3, 10])
  expect(ranges.length).toBe(65_536)
})
