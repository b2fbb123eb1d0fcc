// Turns: so many at a time, in order, and none is lost by a task that fails.

import { expect, test } from 'vitest'
import { createTurns } from '../../../load/generator/turns.ts'

test('so many tasks as allowed are under way, and the others follow in the order in which they asked', async () => {
  const turns = createTurns(3)
  const begun: number[] = []
  const tasks = Array.from({ length: 10 }, () => Promise.withResolvers<number>())
  const results = tasks.map(({ promise }, index) =>
    turns.take(() => {
      begun.push(index)
      return promise
    }),
  )
  expect(begun).toEqual([0, 1, 2])
  tasks[1]!.resolve(1)
  await results[1]
  expect(begun).toEqual([0, 1, 2, 3])
  tasks[0]!.reject(new Error('no'))
  await expect(results[0]).rejects.toThrow('no')
  expect(begun).toEqual([0, 1, 2, 3, 4])
  for (const [index, { resolve }] of tasks.entries()) resolve(index)
  expect(await Promise.all(results.slice(1))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  // All turns have come back.
  const again: number[] = []
  const last = Array.from({ length: 3 }, (_, index) => turns.take(async () => again.push(index)))
  expect(again).toEqual([0, 1, 2])
  await Promise.all(last)
})
