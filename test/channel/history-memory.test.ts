// What all histories of a shard take together, against a model that adds up the windows.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HistoryMemory } from '../../src/channel/history-memory.ts'
import { Window } from '../../src/history/window.ts'
import { slotCount, slots } from '../../src/metrics/slots.ts'

const NAMES = ['a', 'b', 'c', 'd']

function createMemory(bytesMax: number) {
  const row = new Float64Array(slotCount)
  const memory = new HistoryMemory(bytesMax, row)
  const channels = NAMES.map(name => ({ name, window: new Window({ size: 5, ttlMs: 1000 }) }))
  const append = (at: number, bytes: number, nowMs = 0) => {
    const channel = channels[at]!
    memory.append(channel, channel.window, 'x', bytes, nowMs)
  }
  const counts = () => channels.map(({ window }) => window.count)
  return { memory, row, channels, append, counts }
}

test('the gauges are the sum over all windows, whatever happens, and the sum is never above the limit', () => {
  const step = fc.record({
    kind: fc.constantFrom('append', 'append', 'append', 'expire', 'clear', 'forget'),
    at: fc.nat(NAMES.length - 1),
    bytes: fc.nat(800),
    passMs: fc.nat(400),
  })
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 100, size: 'max' }),
      fc.integer({ min: 500, max: 5000 }),
      (steps, bytesMax) => {
        const { memory, row, channels, append } = createMemory(bytesMax)
        let nowMs = 0
        for (const { kind, at, bytes, passMs } of steps) {
          const channel = channels[at]!
          nowMs += passMs
          if (kind === 'append') append(at, bytes, nowMs)
          else if (kind === 'expire') memory.expire(channel.window, nowMs)
          else if (kind === 'clear') expect(memory.clear(channel.window)).toBeGreaterThanOrEqual(0)
          else memory.forget(channel)
          const sum = (of: (window: Window) => number) =>
            channels.reduce((total, { window }) => total + of(window), 0)
          expect(row[slots.historyBytes]).toBe(sum(({ bytes }) => bytes))
          expect(row[slots.historyPublications]).toBe(sum(({ count }) => count))
          expect(row[slots.historyBytes]).toBeLessThanOrEqual(bytesMax)
        }
      },
    ),
  )
})

test('who was quiet longest gives first, its oldest first, and only as much as is needed', () => {
  // Each entry takes its text and 96 bytes.
  const { append, counts } = createMemory(1000)
  for (const at of [0, 0, 1, 1, 2]) append(at, 104)
  expect(counts()).toEqual([2, 2, 1, 0])
  append(2, 104)
  expect(counts()).toEqual([1, 2, 2, 0])
  // The first has spoken again: the second is the quiet one now.
  append(0, 104)
  expect(counts()).toEqual([2, 1, 2, 0])
  append(3, 504)
  expect(counts()).toEqual([2, 0, 0, 1])
})

test('a publication larger than all of the memory leaves nothing', () => {
  const { row, append, counts } = createMemory(1000)
  append(0, 100)
  append(1, 2000)
  expect(counts()).toEqual([0, 0, 0, 0])
  expect([row[slots.historyBytes], row[slots.historyPublications]]).toEqual([0, 0])
  append(2, 100)
  expect(counts()).toEqual([0, 0, 1, 0])
})

test('a channel that is forgotten gives all back and is not asked again', () => {
  const { memory, row, channels, append, counts } = createMemory(1000)
  append(0, 304)
  append(1, 304)
  memory.forget(channels[0]!)
  expect([row[slots.historyBytes], row[slots.historyPublications]]).toEqual([400, 1])
  append(2, 504)
  append(3, 304)
  expect(counts()).toEqual([0, 0, 1, 1])
})
