// Commands that wait: their order, their bounds, and that what waits is what counts.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Command } from '../../src/protocol/commands.ts'
import { CommandQueue } from '../../src/session/command-queue.ts'

const COMMANDS_MAX = 2048

function ping(id: number): Command {
  return { kind: 'ping', id }
}

function idsOf(commands: readonly Command[]): number[] {
  return commands.map(command => (command.kind === 'ping' ? command.id : -1))
}

/** Takes at most `count` commands out. */
function take(queue: CommandQueue, count: number): number[] {
  const carriedOut: Command[] = []
  queue.drain(
    () => carriedOut.length < count,
    command => carriedOut.push(command),
  )
  return idsOf(carriedOut)
}

test('first in, first out, as long as the next one may go on', () => {
  const queue = new CommandQueue(1000)
  expect(queue.isEmpty).toBe(true)
  for (const id of [1, 2, 3, 4]) expect(queue.push(ping(id), 10)).toBe(true)
  expect(take(queue, 0)).toEqual([])
  expect(take(queue, 3)).toEqual([1, 2, 3])
  expect(queue.isEmpty).toBe(false)
  expect(queue.push(ping(5), 10)).toBe(true)
  expect(take(queue, 10)).toEqual([4, 5])
  expect(queue.isEmpty).toBe(true)
})

test('is full with as many commands as a frame may hold', () => {
  const queue = new CommandQueue(1 << 30)
  for (let id = 0; id < COMMANDS_MAX; id++) expect(queue.push(ping(id), 1)).toBe(true)
  expect(queue.push(ping(COMMANDS_MAX), 1)).toBe(false)
  expect(take(queue, 1)).toEqual([0])
  expect(queue.push(ping(COMMANDS_MAX), 1)).toBe(true)
})

test('is full with so many characters, to the last one', () => {
  const queue = new CommandQueue(100)
  expect(queue.push(ping(1), 60)).toBe(true)
  expect(queue.push(ping(2), 41)).toBe(false)
  expect(queue.push(ping(3), 40)).toBe(true)
  expect(queue.push(ping(4), 1)).toBe(false)
  expect(take(queue, 10)).toEqual([1, 3])
  expect(queue.push(ping(5), 100)).toBe(true)
})

test('one command of more than all that may wait does not wait', () => {
  const queue = new CommandQueue(100)
  expect(queue.push(ping(1), 101)).toBe(false)
  expect(queue.isEmpty).toBe(true)
})

test('what is taken out in between makes room only when the queue is empty, and then all of it', () => {
  const queue = new CommandQueue(100)
  for (const id of [1, 2]) queue.push(ping(id), 50)
  take(queue, 1)
  expect(queue.push(ping(3), 50)).toBe(false)
  take(queue, 1)
  expect(queue.push(ping(4), 100)).toBe(true)
})

test('through any pushes and drains nothing taken is lost, doubled or out of order, and the bounds hold', () => {
  const step = fc.oneof(fc.record({ push: fc.integer({ min: 1, max: 60 }) }), fc.record({ take: fc.nat(5) }))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      const queue = new CommandQueue(100)
      const waiting: { id: number; size: number }[] = []
      for (const [id, act] of steps.entries()) {
        if ('push' in act) {
          const pushed = queue.push(ping(id), act.push)
          if (pushed) waiting.push({ id, size: act.push })
          if (waiting.length === 0) expect(act.push).toBeGreaterThan(100)
          expect(waiting.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(100)
        } else {
          expect(take(queue, act.take)).toEqual(waiting.splice(0, act.take).map(({ id }) => id))
        }
        expect(queue.isEmpty).toBe(waiting.length === 0)
      }
    }),
  )
})
