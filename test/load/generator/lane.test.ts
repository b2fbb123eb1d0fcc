// What waits in a lane: first in, first out, within its bound.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DueQueue } from '../../../load/generator/lane.ts'

test('a queue gives back what was put in, in order, and refuses what is over its bound', () => {
  const WAITING_MAX = 300
  const steps = fc.array(fc.record({ push: fc.boolean(), times: fc.integer({ min: 1, max: 120 }) }))
  fc.assert(
    fc.property(steps, all => {
      const queue = new DueQueue(WAITING_MAX)
      const model: { channel: number; dueUs: number }[] = []
      let n = 0
      for (const { push, times } of all) {
        for (let i = 0; i < times; i++) {
          if (push) {
            const one = { channel: n % 7, dueUs: 1e12 + n++ }
            expect(queue.push(one.channel, one.dueUs)).toBe(model.length < WAITING_MAX)
            if (model.length < WAITING_MAX) model.push(one)
          } else if (model.length > 0) {
            expect(queue.shift()).toEqual(model.shift())
          }
          expect(queue.count).toBe(model.length)
        }
      }
    }),
  )
})

test('a cleared queue is empty and takes again', () => {
  const queue = new DueQueue(2)
  expect([queue.push(1, 10), queue.push(1, 11), queue.push(1, 12)]).toEqual([true, true, false])
  queue.clear()
  expect(queue.count).toBe(0)
  expect(queue.push(2, 13)).toBe(true)
  expect(queue.shift()).toEqual({ channel: 2, dueUs: 13 })
})
