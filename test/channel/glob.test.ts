// Patterns of channel names: against a definition by recursion, and against what would take for ever.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { globMatcher } from '../../src/channel/glob.ts'

/** What a pattern means, in the simplest words. */
function means(pattern: string, name: string): boolean {
  if (pattern === '') return name === ''
  const [first, rest] = [pattern[0], pattern.slice(1)]
  if (first === '*') return means(rest, name) || (name !== '' && means(pattern, name.slice(1)))
  return name !== '' && (first === '?' || first === name[0]) && means(rest, name.slice(1))
}

describe('glob', () => {
  test('matches what its definition matches', () => {
    const short = (alphabet: string) =>
      fc.array(fc.constantFrom(...alphabet), { maxLength: 8 }).map(all => all.join(''))
    fc.assert(
      fc.property(short('ab*?.'), short('ab*.'), (pattern, name) => {
        expect(globMatcher(pattern)(name)).toBe(pattern === '' || means(pattern, name))
      }),
      { numRuns: 5000 },
    )
  })

  test('takes all else as it is written', () => {
    expect(globMatcher('a.c')('abc')).toBe(false)
    expect(globMatcher('news:[a]')('news:[a]')).toBe(true)
    expect(globMatcher('(a+)+$')('(a+)+$')).toBe(true)
  })

  test('is not to be led into trying every way to cut a name', () => {
    expect(globMatcher(`${'*a'.repeat(60)}b`)('a'.repeat(255))).toBe(false)
    expect(globMatcher(`${'*a'.repeat(60)}*`)('a'.repeat(255))).toBe(true)
  })
})
