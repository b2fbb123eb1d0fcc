// Recovery and paging: all small cases against the definition, written out by brute force.

import { describe, expect, test } from 'vitest'
import { decidePage, decideRecovery, type StreamState } from '../../src/history/recovery.ts'

const OFFSETS = 7

/** All streams with up to `OFFSETS` publications, of which the oldest may be gone. */
function* streams(): Iterable<StreamState & { kept: number[] }> {
  for (let topOffset = 0; topOffset <= OFFSETS; topOffset++) {
    for (let firstOffset = 1; firstOffset <= topOffset + 1; firstOffset++) {
      const kept = Array.from({ length: topOffset - firstOffset + 1 }, (_, index) => firstOffset + index)
      yield { epoch: 'now', topOffset, firstOffset, kept }
    }
  }
}

describe('recovery', () => {
  test('is granted only if nothing is missing, and then brings exactly what came since', () => {
    let granted = 0
    for (const stream of streams()) {
      for (let offset = 0; offset <= OFFSETS + 2; offset++) {
        for (const countMax of [0, 1, 3, OFFSETS, Number.POSITIVE_INFINITY]) {
          // Publications that came after the client's position; it can't be ahead of the stream.
          const missed = Array.from(
            { length: Math.max(0, stream.topOffset - offset) },
            (_, index) => offset + 1 + index,
          )
          const complete = offset <= stream.topOffset && missed.every(one => stream.kept.includes(one))
          const decision = decideRecovery(stream, { epoch: 'now', offset }, countMax)
          if (complete && missed.length <= countMax) {
            granted++
            expect(decision).toEqual({ kind: 'recovered', first: offset + 1, count: missed.length })
          } else {
            const why = offset > stream.topOffset ? 'ahead' : complete ? 'too_many' : 'window_passed'
            expect(decision).toEqual({ kind: 'lost', why })
          }
        }
      }
    }
    expect(granted).toBeGreaterThan(100)
  })

  test('is never granted in another epoch, not even where nothing was published', () => {
    for (const stream of streams()) {
      for (let offset = 0; offset <= OFFSETS; offset++) {
        for (const epoch of ['', 'before', 'now2']) {
          expect(decideRecovery(stream, { epoch, offset }, 100)).toEqual({
            kind: 'lost',
            why: 'epoch_changed',
          })
        }
      }
    }
  })
})

describe('paging', () => {
  /** What a page is: the kept publications on the asked side of the position, nearest first. */
  function expectedPage(
    kept: number[],
    since: number | undefined,
    limit: number,
    reverse: boolean,
    countMax: number,
  ) {
    const ordered = reverse ? kept.toReversed() : kept
    const side = ordered.filter(offset => since === undefined || (reverse ? offset < since : offset > since))
    return side.slice(0, limit < 0 ? countMax : Math.min(limit, countMax))
  }

  /** What a window would give for the page. */
  function readPage(kept: number[], page: { first: number; count: number }, reverse: boolean): number[] {
    const found: number[] = []
    for (let offset = page.first; found.length < page.count; offset += reverse ? -1 : 1) {
      if (!kept.includes(offset)) break
      found.push(offset)
    }
    return found
  }

  test('gives the publications on the asked side of the position, nearest first', () => {
    for (const stream of streams()) {
      const { kept } = stream
      for (const offset of [undefined, ...Array.from({ length: OFFSETS + 3 }, (_, index) => index)]) {
        for (const limit of [-1, 0, 1, 3, 100]) {
          for (const countMax of [1, 4, 50]) {
            for (const reverse of [false, true]) {
              for (const epoch of ['', 'now']) {
                const since = offset === undefined ? undefined : { epoch, offset }
                const page = decidePage(stream, { limit, since, reverse }, countMax)
                if (page.kind !== 'page') throw new Error('a position of this epoch has a page')
                const what = `${JSON.stringify(stream)} since ${offset} limit ${limit} of ${countMax} ${reverse}`
                const expected = expectedPage(kept, offset, limit, reverse, countMax)
                expect(readPage(kept, page, reverse), what).toEqual(expected)
              }
            }
          }
        }
      }
    }
  })

  test('a position of another epoch has no page', () => {
    for (const stream of streams()) {
      for (const reverse of [false, true]) {
        const since = { epoch: 'before', offset: 1 }
        expect(decidePage(stream, { limit: 1, since, reverse }, 9)).toEqual({
          kind: 'unrecoverable_position',
        })
      }
    }
  })
})
