// The publisher's book: numbers a channel, outcomes as exceptions, windows by due time.

import { describe, expect, test } from 'vitest'
import { createBook } from '../../../load/generator/book.ts'
import { countOf } from './publishing.ts'

describe('sequence numbers', () => {
  test('begin at 1 in each channel, without gaps', () => {
    const book = createBook()
    const sent = [3, 3, 5, 3].map(channel => book.send(channel, 0))
    expect(sent.map(({ channel, sequence }) => [channel, sequence])).toEqual([
      [3, 1],
      [3, 2],
      [5, 1],
      [3, 3],
    ])
    expect(book.totals.sent).toBe(4)
    expect(book.ends().channels).toEqual([
      { channel: 3, last: 3, exceptions: [] },
      { channel: 5, last: 1, exceptions: [] },
    ])
  })
})

describe('outcomes', () => {
  test('that are no acknowledgement become exceptions, in whatever order they come', () => {
    const book = createBook()
    const sent = Array.from({ length: 8 }, () => book.send(0, 0))
    for (const index of [6, 2, 4]) book.settle(sent[index]!, { kind: 'refused', reason: 'no' }, 0)
    for (const index of [3, 0]) book.settle(sent[index]!, { kind: 'unknown', reason: 'gone' }, 0)
    for (const index of [1, 5, 7]) book.settle(sent[index]!, { kind: 'acknowledged' }, 0)
    expect(book.totals).toEqual({ sent: 8, acknowledged: 3, refused: 3, unknown: 2 })
    expect({ ...book.errors }).toEqual({ no: 3, gone: 2 })
    expect(book.ends().channels[0]!.exceptions).toEqual([
      [1, 1],
      [3, 5],
      [7, 7],
    ])
  })

  test('have texts, of which only so many are told apart', () => {
    const book = createBook()
    for (let i = 0; i < 100; i++) book.note(`text ${i}`)
    book.note('text 0')
    expect(Object.keys(book.errors)).toHaveLength(65)
    expect(book.errors).toMatchObject({ 'text 0': 2, 'text 63': 1, 'other errors': 36 })
  })
})

describe('windows', () => {
  test('take what was due in them, from the first microsecond to before the last', () => {
    const book = createBook()
    const startUs = 1_000_000
    book.window(1, startUs, startUs + 10)
    for (let dueUs = startUs - 5; dueUs < startUs + 20; dueUs++) {
      book.left(dueUs, dueUs + 3)
      const outcome = { kind: dueUs % 2 === 0 ? 'acknowledged' : 'refused', reason: 'odd' } as const
      book.settle(book.send(0, dueUs), outcome, dueUs + 5)
    }
    const [window] = book.windows()
    expect(window).toMatchObject({ id: 1, sent: 10 })
    expect(countOf(window!.lateness)).toBe(10)
    expect(countOf(window!.acknowledgement)).toBe(5)
  })

  test('may overlap, and be given an end later', () => {
    const book = createBook()
    book.window(1, 100, undefined)
    book.window(2, 150, 250)
    book.send(0, 200)
    book.window(1, 100, 300)
    book.send(0, 299)
    book.send(0, 300)
    expect(book.windows().map(({ id, sent }) => [id, sent])).toEqual([
      [1, 2],
      [2, 1],
    ])
  })
})
