// 35: which part of a file a request gets.

import { describe, expect, test } from 'vitest'
import { isKnown, rangeOf } from '../../src/messenger/http/range.ts'

const ETAG = '"abc"'
const part = (first: number, last: number) => ({ kind: 'part', first, last })
const WHOLE = { kind: 'whole' }
const NONE = { kind: 'unsatisfiable' }

describe('35: of a file of 100 bytes', () => {
  test.each([
    [undefined, WHOLE],
    ['bytes=0-0', part(0, 0)],
    ['bytes=0-', part(0, 99)],
    ['bytes=10-19', part(10, 19)],
    ['bytes=90-1000', part(90, 99)],
    ['bytes=-1', part(99, 99)],
    ['bytes=-1000', part(0, 99)],
    ['BYTES=1-2', part(1, 2)],
    ['bytes= 1 - 2', part(1, 2)],
    ['bytes=100-', NONE],
    ['bytes=999999999999999-', NONE],
    ['bytes=-0', NONE],
    ['bytes=0-1,3-4', NONE],
    ['bytes=0-0,0-0,0-0,0-0', NONE],
    ['bytes=', WHOLE],
    ['bytes=-', WHOLE],
    ['bytes=5-4', WHOLE],
    ['bytes=a-b', WHOLE],
    ['bytes=1-2-3', WHOLE],
    ['bytes=0x1-2', WHOLE],
    ['bytes=+1-2', WHOLE],
    ['bytes=1.5-2', WHOLE],
    ['bytes=99999999999999999999-', WHOLE],
    ['pages=1-2', WHOLE],
  ])('%s', (header, expected) => {
    expect(rangeOf(header, undefined, ETAG, 100)).toEqual(expected)
  })

  test('a part only while the file is the same', () => {
    expect(rangeOf('bytes=1-2', ETAG, ETAG, 100)).toEqual(part(1, 2))
    for (const other of ['"other"', `W/${ETAG}`, 'Fri, 20 Nov 2026 12:00:00 GMT', '']) {
      expect(rangeOf('bytes=1-2', other, ETAG, 100)).toEqual(WHOLE)
    }
  })

  test('an empty file has no part', () => {
    expect(rangeOf('bytes=0-', undefined, ETAG, 0)).toEqual(NONE)
    expect(rangeOf('bytes=-5', undefined, ETAG, 0)).toEqual(NONE)
  })
})

test('a version that the client has is known by its tag', () => {
  expect(isKnown(undefined, ETAG)).toBe(false)
  expect(isKnown('"x", W/"abc"', ETAG)).toBe(true)
  expect(isKnown('*', ETAG)).toBe(true)
  expect(isKnown('abc', ETAG)).toBe(false)
})
