// The history window against a plain array that does the same slowly.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Window } from '../../src/history/window.ts'

const LIMITS = { size: 5, ttlMs: 100 }
const LARGE = Number.MAX_SAFE_INTEGER

type Kept = { offset: number; json: string; atMs: number }

/** What a window is to hold, in the simplest words. */
class Model {
  kept: Kept[] = []
  top = 0

  append(json: string, nowMs: number): void {
    this.kept.push({ offset: ++this.top, json, atMs: nowMs })
    this.kept = this.kept.slice(-LIMITS.size)
    this.expire(nowMs)
  }

  expire(nowMs: number): void {
    this.kept = this.kept.filter(({ atMs }) => nowMs - atMs < LIMITS.ttlMs)
  }

  read(first: number, countMax: number, step: 1 | -1): string[] {
    const found: string[] = []
    for (let offset = first; found.length < countMax; offset += step) {
      const entry = this.kept.find(kept => kept.offset === offset)
      if (entry === undefined) return found
      found.push(entry.json)
    }
    return found
  }
}

const operation = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('append' as const), bytes: fc.nat(50), ms: fc.nat(40) }),
  },
  fc.record({ kind: fc.constant('expire' as const), ms: fc.nat(150) }),
  fc.record({ kind: fc.constant('evict' as const) }),
  fc.record({ kind: fc.constant('clear' as const) }),
  fc.record({
    kind: fc.constant('read' as const),
    first: fc.integer({ min: -2, max: 40 }),
    count: fc.nat(7),
  }),
)

describe('window', () => {
  test('holds what an array would, through any sequence of operations, and counts its bytes', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 80, size: 'max' }), operations => {
        const window = new Window(LIMITS)
        const model = new Model()
        let nowMs = 0
        let bytes = 0
        for (const [index, step] of operations.entries()) {
          if (step.kind === 'append') {
            nowMs += step.ms
            expect(window.nextOffset).toBe(model.top + 1)
            model.append(`p${index}`, nowMs)
            bytes += window.append(`p${index}`, step.bytes, nowMs)
          } else if (step.kind === 'expire') {
            nowMs += step.ms
            model.expire(nowMs)
            bytes -= window.expire(nowMs)
          } else if (step.kind === 'evict') {
            const freed = window.evictOldest()
            expect(freed > 0).toBe(model.kept.length > 0)
            model.kept.shift()
            bytes -= freed
          } else if (step.kind === 'clear') {
            model.kept = []
            bytes -= window.clear()
          } else {
            expect(window.read(step.first, step.count, LARGE)).toEqual(model.read(step.first, step.count, 1))
            expect(window.readReverse(step.first, step.count, LARGE)).toEqual(
              model.read(step.first, step.count, -1),
            )
          }
          expect(window.count).toBe(model.kept.length)
          expect(window.topOffset).toBe(model.top)
          expect(window.firstOffset).toBe(model.kept[0]?.offset ?? model.top + 1)
          expect(window.bytes).toBe(bytes)
          expect(window.bytes > 0).toBe(model.kept.length > 0)
        }
        expect(window.read(window.firstOffset, LARGE, LARGE)).toEqual(model.kept.map(({ json }) => json))
      }),
      { numRuns: 500 },
    )
  })

  test('stays right over thousands of publications, whose dead places are cut away', () => {
    const window = new Window({ size: 100, ttlMs: 1000 })
    for (let offset = 1; offset <= 5000; offset++) {
      window.append(`p${offset}`, 10, offset)
      expect(window.count).toBe(Math.min(offset, 100))
      expect(window.read(window.firstOffset, 1, LARGE)).toEqual([`p${Math.max(1, offset - 99)}`])
      expect(window.readReverse(offset, 1, LARGE)).toEqual([`p${offset}`])
    }
    expect(window.bytes).toBe(window.clear())
    expect([window.count, window.bytes, window.firstOffset]).toEqual([0, 0, 5001])
    window.append('again', 1, 5001)
    expect(window.read(5001, 9, LARGE)).toEqual(['again'])
  })

  test('a page is bounded in bytes, but the first publication always comes', () => {
    const window = new Window({ size: 10, ttlMs: 1000 })
    for (let offset = 1; offset <= 4; offset++) window.append(`p${offset}`, 1000, 0)
    expect(window.read(1, 10, 0)).toEqual(['p1'])
    expect(window.read(2, 10, 1)).toEqual(['p2'])
    expect(window.read(1, 10, 3 * 1200)).toEqual(['p1', 'p2', 'p3'])
    expect(window.readReverse(4, 10, 2 * 1200)).toEqual(['p4', 'p3'])
    expect(window.read(1, 0, LARGE)).toEqual([])
  })

  test('a window may go on after another one: its first offset follows', () => {
    const window = new Window(LIMITS, 41)
    expect([window.topOffset, window.firstOffset, window.nextOffset]).toEqual([41, 42, 42])
    window.append('p42', 1, 0)
    expect(window.read(42, 1, LARGE)).toEqual(['p42'])
    expect(window.read(41, 1, LARGE)).toEqual([])
  })

  test('a publication lives for less than its time', () => {
    const window = new Window(LIMITS)
    window.append('p1', 1, 1000)
    expect(window.expire(1099)).toBe(0)
    expect(window.expire(1100)).toBeGreaterThan(0)
    expect(window.count).toBe(0)
  })
})
