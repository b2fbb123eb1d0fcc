import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDuration, parseDuration } from '../../src/config/duration.ts'

test.each([
  ['0s', 0],
  ['500ms', 500],
  ['25s', 25_000],
  ['1.5s', 1_500],
  ['1.1m', 66_000],
  ['1h30m', 5_400_000],
  ['720h', 2_592_000_000],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each(['', '25', '-1s', '1 s', '1d', '0.5ms', 's', '1s ', '1e3s', '.5s', `${'9'.repeat(20)}h`])(
  '%j is no duration',
  text => {
    expect(parseDuration(text)).toBeUndefined()
  },
)

test('a duration takes the largest unit without a fraction', () => {
  expect([0, 5, 1_000, 90_000, 300_000, 2_592_000_000].map(formatDuration)).toEqual([
    '0s',
    '5ms',
    '1s',
    '90s',
    '5m',
    '720h',
  ])
})

test('what is formatted is read back', () => {
  fc.assert(
    fc.property(fc.nat(1e12), ms => {
      expect(parseDuration(formatDuration(ms))).toBe(ms)
    }),
  )
})
