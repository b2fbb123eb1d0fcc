// The search for the highest rate that a server bears.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findHighest, nextAfter, type Probed, type State, type Trial } from '../../../load/knee/search.ts'

const CLEAN: Probed = { state: 'clean', why: '' }
const FULL: Probed = { state: 'full', why: 'too slow' }
const OPTIONS = { from: 1000, step: 2, min: 100, max: 100_000, precision: 1.15 }

/** A server that bears so much, and how often it was asked. */
function bears(knee: number, beyond: Probed = FULL) {
  const probed: number[] = []
  const probe = async (value: number) => {
    probed.push(value)
    return value <= knee ? CLEAN : beyond
  }
  return { probe, probed }
}

test('comes within the precision of what a server bears, and never above', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 100, max: 99_999 }),
      fc.integer({ min: 1, max: 200_000 }),
      async (knee, from) => {
        const { probe, probed } = bears(knee)
        const found = await findHighest(probe, { ...OPTIONS, from })
        expect(found.limit).toBe('server')
        expect(found.highest).toBeLessThanOrEqual(knee)
        expect(found.highest * OPTIONS.precision).toBeGreaterThanOrEqual(knee)
        expect(probed).toContain(found.highest)
        expect(probed.length).toBeLessThan(40)
      },
    ),
  )
})

test('ends with small numbers, where rounding is coarser than the precision', async () => {
  const { probe } = bears(10)
  expect(await findHighest(probe, { from: 1, step: 2, min: 1, max: 100, precision: 1.01 })).toMatchObject({
    highest: 10,
  })
})

test('says 0 of a server that does not even bear the least', async () => {
  const { probe } = bears(99)
  expect(await findHighest(probe, OPTIONS)).toEqual({ highest: 0, limit: 'server', why: 'too slow' })
})

test('says that it went no further than it may', async () => {
  const { probe, probed } = bears(1e9)
  expect(await findHighest(probe, OPTIONS)).toMatchObject({ highest: 100_000, limit: 'range' })
  expect(Math.max(...probed)).toBe(100_000)
})

test('says when the generator was the limit', async () => {
  const { probe } = bears(5000, { state: 'generator', why: 'receiver 0 was busy' })
  const found = await findHighest(probe, OPTIONS)
  expect(found).toMatchObject({ limit: 'generator', why: 'receiver 0 was busy' })
})

test('asks again before it believes that a server does not bear a rate', async () => {
  let spoilt = 1
  const found = await findHighest(async value => {
    if (value === 2000 && spoilt-- > 0) return FULL
    return value <= 4000 ? CLEAN : FULL
  }, OPTIONS)
  expect(found.highest).toBe(4000)
})

test('goes on below a value that could not be confirmed', async () => {
  const confirmed: number[] = []
  const found = await findHighest(
    async (value, confirms) => {
      if (confirms) confirmed.push(value)
      return value <= (confirms ? 3000 : 4000) ? CLEAN : FULL
    },
    { ...OPTIONS, confirm: true },
  )
  expect(found.highest).toBeLessThanOrEqual(3000)
  expect(found.highest * OPTIONS.precision).toBeGreaterThanOrEqual(3000)
  expect(confirmed.at(-1)).toBe(found.highest)
})

describe('what is probed next', () => {
  const options = { from: 1000, step: 2, min: 250, max: 8000, precision: 1.1, confirm: true }
  /** `1000+` clean, `1000-` full, `1000*` the generator; `c` before it: confirming. */
  const trialsOf = (text: string): Trial[] =>
    text.split(' ').flatMap(word => {
      const found = /^(c?)(\d+)([-+*])$/.exec(word)
      if (found === null) return []
      const state = ({ '+': 'clean', '-': 'full', '*': 'generator' } as const)[found[3]!] satisfies
        | State
        | undefined
      return [{ value: Number(found[2]), confirms: found[1] === 'c', state: state!, why: word }]
    })
  const server = { limit: 'server' }
  test.each([
    ['', { value: 1000, confirms: false }],
    ['1000+', { value: 2000, confirms: false }],
    ['1000+ 2000+ 4000+ 8000+', { value: 8000, confirms: true }],
    ['1000+ 2000+ 4000+ 8000+ c8000+', { highest: 8000, limit: 'range' }],
    ['1000-', { value: 1000, confirms: false }],
    ['1000- 1000+', { value: 2000, confirms: false }],
    ['1000- 1000-', { value: 500, confirms: false }],
    ['1000- 1000- 500- 500-', { value: 250, confirms: false }],
    ['1000- 1000- 500- 500- 250- 250-', { highest: 0, ...server, why: '250-' }],
    ['1000+ 2000- 2000*', { value: 1414, confirms: false }],
    ['1000+ 1090* 1090*', { value: 1000, confirms: true }],
    ['1000+ 1090* 1090* c1000-', { value: 1000, confirms: true }],
    ['1000+ 1090* 1090* c1000- c1000+', { highest: 1000, limit: 'generator', why: '1090*' }],
    ['1000+ 1090* 1090* c1000- c1000-', { value: 500, confirms: false }],
    ['500+ 1000+ 1090- 1090- c1000- c1000-', { value: 707, confirms: false }],
    ['500+ 1000+ 1090- 1090- c1000- c1000- 707+', { value: 841, confirms: false }],
    ['930+ 1000+ 1090- 1090- c1000- c1000- c930+', { highest: 930, ...server, why: 'c1000-' }],
  ])('%s', (trials, next) => {
    expect(nextAfter(trialsOf(trials), options)).toMatchObject(next)
  })
})
