// The timer wheel: never early, at most one tick late, and against a model of deadlines.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NOT_TIMED, type Timed, Wheel } from '../../src/base/wheel.ts'

const TICK_MS = 10

type Item = Timed & { name: number }

function createWheel(nowMs = 0, onDue: (item: Item) => void = () => {}) {
  return new Wheel<Item>({ tickMs: TICK_MS, nowMs, onDue })
}

function item(name: number): Item {
  return { name, wheelTick: NOT_TIMED }
}

describe('wheel', () => {
  test('calls a thing once, not before its deadline and within a tick after it', () => {
    for (let atMs = 1; atMs <= 45; atMs++) {
      const dueMs: number[] = []
      let nowMs = 0
      const wheel = createWheel(0, () => dueMs.push(nowMs))
      wheel.schedule(item(0), atMs)
      for (nowMs = 1; nowMs <= 100; nowMs++) wheel.advance(nowMs)
      expect(dueMs).toHaveLength(1)
      expect(dueMs[0]).toBeGreaterThanOrEqual(atMs)
      expect(dueMs[0]).toBeLessThan(atMs + TICK_MS)
    }
  })

  test('a deadline in the past is due at the next tick', () => {
    const due: number[] = []
    const wheel = createWheel(1000, ({ name }) => due.push(name))
    wheel.schedule(item(1), 3)
    wheel.advance(1009)
    expect(due).toEqual([])
    wheel.advance(1010)
    expect(due).toEqual([1])
  })

  test('a thing that is due may set its next deadline, which waits for its own time', () => {
    const dueMs: number[] = []
    let nowMs = 0
    const wheel: Wheel<Item> = createWheel(0, thing => {
      dueMs.push(nowMs)
      if (dueMs.length < 3) wheel.schedule(thing, nowMs)
    })
    wheel.schedule(item(0), 5)
    for (nowMs = 10; nowMs <= 100; nowMs += 10) wheel.advance(nowMs)
    expect(dueMs).toEqual([10, 20, 30])
  })

  test('cancelled and set again for the same tick, a thing is called once', () => {
    const due: number[] = []
    const wheel = createWheel(0, ({ name }) => due.push(name))
    const thing = item(7)
    wheel.schedule(thing, 20)
    wheel.cancel(thing)
    wheel.schedule(thing, 20)
    wheel.advance(50)
    wheel.advance(100)
    expect(due).toEqual([7])
  })

  test('an error of one thing leaves the deadlines of the others', () => {
    const due: number[] = []
    const wheel = createWheel(0, ({ name }) => {
      if (name === 1) throw new Error('one session is broken')
      due.push(name)
    })
    for (const name of [0, 1, 2, 3]) wheel.schedule(item(name), 10)
    wheel.schedule(item(4), 30)
    expect(() => wheel.advance(20)).toThrow('one session is broken')
    wheel.advance(20)
    expect(due).toEqual([0, 2, 3])
    wheel.advance(40)
    expect(due).toEqual([0, 2, 3, 4])
  })

  test('an infinite deadline is none', () => {
    const due: number[] = []
    const wheel = createWheel(0, ({ name }) => due.push(name))
    const thing = item(1)
    wheel.schedule(thing, 20)
    wheel.schedule(thing, Number.POSITIVE_INFINITY)
    expect(thing.wheelTick).toBe(NOT_TIMED)
    wheel.advance(100)
    expect(due).toEqual([])
  })

  test('keeps every deadline through any sequence of set, set again, cancel and time', () => {
    const operation = fc.oneof(
      fc.record({
        kind: fc.constant('set' as const),
        name: fc.nat(4),
        inMs: fc.integer({ min: -20, max: 80 }),
      }),
      fc.record({ kind: fc.constant('cancel' as const), name: fc.nat(4) }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(35) }),
    )
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60, size: 'max' }), operations => {
        const items = [0, 1, 2, 3, 4].map(item)
        // The model: the tick at which each thing is due.
        const ticks = new Map<number, number>()
        let nowMs = 0
        let due: number[] = []
        const wheel = createWheel(0, ({ name }) => due.push(name))
        for (const step of operations) {
          if (step.kind === 'set') {
            wheel.schedule(items[step.name]!, nowMs + step.inMs)
            const next = Math.floor(nowMs / TICK_MS) + 1
            ticks.set(step.name, Math.max(next, Math.ceil((nowMs + step.inMs) / TICK_MS)))
          } else if (step.kind === 'cancel') {
            wheel.cancel(items[step.name]!)
            ticks.delete(step.name)
          } else {
            nowMs += step.ms
            due = []
            wheel.advance(nowMs)
            const expected = [...ticks].filter(([, tick]) => tick * TICK_MS <= nowMs).map(([name]) => name)
            for (const name of expected) ticks.delete(name)
            expect(due.toSorted()).toEqual(expected.toSorted())
          }
        }
      }),
    )
  })
})
