import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CallError } from '../../../src/messenger/failures.ts'
import { parseQuery } from '../../../src/messenger/search/query.ts'

const terms = (text: string) =>
  parseQuery(text).terms.map(({ text, isPrefix }) => (isPrefix ? `${text}*` : text))

describe('terms', () => {
  test.each([
    ['Hello  world', ['Hello', 'world']],
    ['"two words" more', ['two words', 'more']],
    ['begin*', ['begin*']],
    ['"two beg"*', ['two beg*']],
    ['"not closed', ['not closed']],
    ['“typographic quotes”', ['typographic quotes']],
    ["can't", ["can't"]],
    ['http://example.org/a', ['http://example.org/a']],
    ['note:this', ['note:this']],
    ['a"b c"d', ['a', 'b c', 'd']],
    ['!!! -- ... ***', []],
    ['', []],
    ['🎉', ['🎉']],
    ['NOT a OR b AND c NEAR d', ['NOT', 'a', 'OR', 'b', 'AND', 'c', 'NEAR', 'd']],
  ])('of %j', (query, expected) => {
    expect(terms(query)).toEqual(expected)
  })

  test('have their words folded: without case and accents', () => {
    expect(parseQuery('"Crème BRÛLÉE"').terms[0]!.words).toEqual(['creme', 'brulee'])
  })

  test('are bounded in number', () => {
    expect(() => parseQuery('a '.repeat(13))).toThrow('13 terms')
  })
})

describe('filters', () => {
  test('stand beside terms, quoted or not, once each', () => {
    const query = parseQuery('plan from:@ada in:"Team room" has:image HAS:link')
    expect(query).toMatchObject({ from: '@ada', in: 'Team room', has: ['image', 'link'] })
    expect(query.terms).toHaveLength(1)
    expect(() => parseQuery('from:a from:b')).toThrow('from: is there twice')
  })

  test.each([
    ['after:2024-05-31', 0, '2024-05-31T00:00:00Z'],
    ['after:2024-05', 0, '2024-05-01T00:00:00Z'],
    ['after:2024', 0, '2024-01-01T00:00:00Z'],
    ['after:2024-05-31', 120, '2024-05-30T22:00:00Z'],
    ['after:2024-05-31T10:00:00+02:00', 120, '2024-05-31T08:00:00Z'],
  ])('%s at %i minutes ahead of UTC', (query, offset, expected) => {
    expect(parseQuery(query, offset).afterMs).toBe(Date.parse(expected))
  })

  test.each([
    'after:yesterday',
    'before:2024-13-01',
    'before:2024-02-30',
    'before:24-01-01',
    'after:2024-05-31T10:00',
    'has:money',
    'from:',
    'in:""',
  ])('%s is refused, and the value named', query => {
    expect(() => parseQuery(query)).toThrow(CallError)
    expect(() => parseQuery(query)).toThrow(query.split(':')[0])
  })
})

test('any text is a query or refused as a bad request', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 256 }), text => {
      try {
        parseQuery(text)
      } catch (error) {
        expect(error).toMatchObject({ kind: 'bad_request' })
      }
    }),
  )
})
