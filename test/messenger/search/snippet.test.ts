import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { containsAll, ranges, score } from '../../../src/messenger/search/hits.ts'
import { parseQuery } from '../../../src/messenger/search/query.ts'
import { SNIPPET_LENGTH_MAX, snippet } from '../../../src/messenger/search/snippet.ts'

const found = (text: string, query: string, parts = false) =>
  ranges(text, parseQuery(query).terms, parts).map(({ start, end }) => text.slice(start, end))

describe('what is highlighted', () => {
  test.each([
    ['Crème brûlée for all', 'creme ALL', ['Crème', 'all']],
    ['cre\u0300me and more', 'crème', ['cre\u0300me']],
    ['begin, beginning, began', 'begin*', ['begin', 'beginning']],
    ['two words, two other words', '"two words"', ['two words']],
    ["we can't go, can we", "can't", ["can't"]],
    ['straße 2. STRASSE', 'Straße', ['straße']],
    ['ÅNGSTRÖM', 'angstrom', ['ÅNGSTRÖM']],
    ['nothing of it', 'absent', []],
    ['a a a', 'a "a a"', ['a a a']],
    ['Москва́ и Ёлка', 'москва елка', ['Москва́', 'Ёлка']],
  ])('in %j for %j', (text, query, expected) => {
    expect(found(text, query)).toEqual(expected)
  })

  test('are parts of words, where they were looked for', () => {
    expect(found('Donaudampfschifffahrt', 'DAMPF', true)).toEqual(['dampf'])
    expect(found('Ärger 😀 ärgerlich', 'argerl', true)).toEqual(['ärgerl'])
    expect(found('안녕하세요', '녕하', true)).toEqual(['녕하'])
    expect(found('party🎉🎉!', '🎉', true)).toEqual(['🎉', '🎉'])
  })

  test('never overlaps, is ascending, and lies inside of the text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', maxLength: 300 }),
        fc.string({ unit: 'grapheme', maxLength: 20 }).filter(text => !/:/.test(text)),
        fc.boolean(),
        (text, query, parts) => {
          let end = 0
          for (const range of ranges(text, parseQuery(query).terms, parts)) {
            expect(range.start).toBeGreaterThanOrEqual(end)
            expect(range.end).toBeGreaterThan(range.start)
            end = range.end
          }
          expect(end).toBeLessThanOrEqual(text.length)
        },
      ),
    )
  })
})

describe('a snippet', () => {
  test('of a short text is the text', () => {
    expect(snippet('short', [])).toEqual({ text: 'short', ranges: [], cut_before: false, cut_after: false })
  })

  test('of a long one shows the place with the most hits, cut between words', () => {
    const text = `hit ${'filler '.repeat(100)}hit hit hit ${'filler '.repeat(100)}`
    const {
      text: shown,
      ranges: shownRanges,
      cut_before,
      cut_after,
    } = snippet(text, ranges(text, parseQuery('hit').terms, false))
    expect(shownRanges.map(({ start, end }) => shown.slice(start, end))).toEqual(['hit', 'hit', 'hit'])
    expect({ cut_before, cut_after }).toEqual({ cut_before: true, cut_after: true })
    expect(shown).toMatch(/^filler .* filler$/)
  })

  test('is bounded, never cuts a character, and its ranges lie inside of it', () => {
    const text = fc.string({ unit: fc.constantFrom('a', ' ', 'é', '😀', 'hit'), maxLength: 800 })
    fc.assert(
      fc.property(text, text => {
        const { text: shown, ranges: shownRanges } = snippet(
          text,
          ranges(text, parseQuery('hit').terms, true),
        )
        expect(shown.length).toBeLessThanOrEqual(SNIPPET_LENGTH_MAX)
        expect(shown.isWellFormed()).toBe(true)
        expect(text).toContain(shown)
        for (const { start, end } of shownRanges) {
          expect(start).toBeLessThan(end)
          expect(end).toBeLessThanOrEqual(shown.length)
        }
      }),
    )
  })
})

describe('the score', () => {
  const of = (text: string, query: string, ageMs = 0) => score(text, parseQuery(query).terms, ageMs)

  test('is higher with more hits, in a shorter text, for whole words, and for newer messages', () => {
    expect(of('tea and tea', 'tea')).toBeGreaterThan(of('tea and milk', 'tea'))
    expect(of('tea', 'tea')).toBeGreaterThan(of(`tea ${'word '.repeat(50)}`, 'tea'))
    expect(of('tea', 'tea*')).toBeGreaterThan(of('team', 'tea*'))
    expect(of('tea', 'tea', 0)).toBeGreaterThan(of('tea', 'tea', 3_600_000))
  })
})

test('all terms have to be contained', () => {
  const { terms } = parseQuery('äp xx')
  expect(containsAll('Apfel xxl', terms)).toBe(true)
  expect(containsAll('Apfel', terms)).toBe(false)
})
