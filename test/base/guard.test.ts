// The guard around callbacks of libraries, and the sampler of their errors.

import { describe, expect, test } from 'vitest'
import { guard, Sampler } from '../../src/base/guard.ts'

describe('guard', () => {
  test('passes arguments on, and an error to onError together with the first', () => {
    const seen: unknown[] = []
    const guarded = guard(
      (name: string, count: number) => {
        seen.push([name, count])
        if (count > 1) throw new Error(`too many: ${count}`)
      },
      (error, name) => seen.push([(error as Error).message, name]),
    )
    expect(() => guarded('a', 1)).not.toThrow()
    expect(() => guarded('b', 2)).not.toThrow()
    expect(seen).toEqual([
      ['a', 1],
      ['b', 2],
      ['too many: 2', 'b'],
    ])
  })
})

describe('sampler', () => {
  test('lets a key through at powers of two, with how often it came', () => {
    const sampler = new Sampler()
    const counts = Array.from({ length: 20 }, () => sampler.count('broken'))
    expect(counts.filter(count => count > 0)).toEqual([1, 2, 4, 8, 16])
    expect(sampler.count('another')).toBe(1)
  })

  test('a flood of different keys does not grow it for ever, nor silence the next one', () => {
    const sampler = new Sampler()
    for (let key = 0; key < 5000; key++) expect(sampler.count(`key ${key}`)).toBe(1)
    // The first was forgotten with the rest of its lot, so it counts from one again.
    expect(sampler.count('key 0')).toBe(1)
  })
})
