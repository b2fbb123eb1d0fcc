// Answers of the server API as outcomes: each publication gets its own, and nothing unreadable counts as done.

import { describe, expect, test } from 'vitest'
import { outcomesOf, problemOf } from '../../../load/generator/api-answers.ts'

const ok = (body: unknown) => ({ status: 200, text: JSON.stringify(body) })
const denied = { code: 102, message: 'unknown channel' }
const internal = { code: 100, message: 'internal server error' }

describe('an answer to one publication', () => {
  test.each([
    ['a result', ok({ result: { offset: 1, epoch: 'x' } }), { kind: 'acknowledged' }],
    ['an error', ok({ error: denied }), { kind: 'refused', reason: '102 unknown channel' }],
    [
      'an error that leaves open what happened',
      ok({ error: internal }),
      { kind: 'unknown', reason: '100 internal server error' },
    ],
    ['no JSON', { status: 200, text: '<html>' }, { kind: 'unknown', reason: 'unreadable answer' }],
    ['no object', { status: 200, text: 'null' }, { kind: 'unknown', reason: 'unreadable answer' }],
    [
      'a wrong key',
      { status: 401, text: '{"error":{"code":101,"message":"unauthorized"}}' },
      { kind: 'refused', reason: 'HTTP 401: 101 unauthorized' },
    ],
    ['too many', { status: 429, text: 'slower' }, { kind: 'refused', reason: 'HTTP 429: slower' }],
    [
      'a proxy that may have passed it on',
      { status: 504, text: 'no answer' },
      { kind: 'unknown', reason: 'HTTP 504: no answer' },
    ],
    ['no error, as null', ok({ error: null }), { kind: 'acknowledged' }],
    ['a list', ok([]), { kind: 'unknown', reason: 'unreadable answer' }],
    [
      'a fault of the server',
      { status: 500, text: '{"error":{"code":100,"message":"internal server error"}}' },
      { kind: 'unknown', reason: 'HTTP 500: 100 internal server error' },
    ],
  ])('with %s', (_, answer, outcome) => {
    expect(outcomesOf(answer, 1)).toEqual([outcome])
  })
})

describe('an answer to a batch', () => {
  test('has an outcome of each, in order', () => {
    const answer = ok({ replies: [{ publish: {} }, { error: denied }, { publish: { offset: 3 } }] })
    expect(outcomesOf(answer, 3).map(({ kind }) => kind)).toEqual(['acknowledged', 'refused', 'acknowledged'])
  })

  test('with too few replies leaves the rest unknown', () => {
    expect(outcomesOf(ok({ replies: [{ publish: {} }] }), 2).map(({ kind }) => kind)).toEqual([
      'acknowledged',
      'unknown',
    ])
    expect(outcomesOf(ok({}), 2).map(({ kind }) => kind)).toEqual(['unknown', 'unknown'])
    const strange = ok({ replies: [null, 'ok', [], 7] })
    expect(outcomesOf(strange, 4)).toEqual(Array(4).fill({ kind: 'unknown', reason: 'unreadable answer' }))
  })

  test('that is refused as a whole is refused for each', () => {
    const outcomes = outcomesOf(ok({ error: { code: 107, message: 'bad request' } }), 2)
    expect(outcomes).toEqual(Array(2).fill({ kind: 'refused', reason: '107 bad request' }))
    expect(outcomesOf({ status: 413, text: '' }, 2).map(({ kind }) => kind)).toEqual(['refused', 'refused'])
  })
})

test('a page of a proxy is shown shortened', () => {
  expect(problemOf({ status: 502, text: 'x'.repeat(500) })).toBe(`HTTP 502: ${'x'.repeat(80)}`)
})
