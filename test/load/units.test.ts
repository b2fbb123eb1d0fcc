// How figures are written: three significant digits, fitting units, never NaN.

import { describe, expect, test } from 'vitest'
import {
  formatBytes,
  formatChange,
  formatCount,
  formatDuration,
  formatRate,
  formatShare,
  formatUs,
  formatValue,
} from '../../load/report/units.ts'

describe('figures', () => {
  test.each([
    [0, '0 µs'],
    [0.4567, '0.457 µs'],
    [4.2, '4.20 µs'],
    [99.96, '100 µs'],
    [999.4, '999 µs'],
    [999.6, '1.00 ms'],
    [12_345, '12.3 ms'],
    [999_400, '999 ms'],
    [999_600, '1.00 s'],
    [600e6, '600 s'],
    [Number.NaN, '–'],
  ])('%f µs are written %s', (us, text) => {
    expect(formatUs(us)).toBe(text)
  })

  test.each([
    [0, '0 bytes'],
    [999, '999 bytes'],
    [1000, '0.977 KiB'],
    [1024, '1.00 KiB'],
    [121 * 2 ** 20, '121 MiB'],
    [16 * 2 ** 30, '16.0 GiB'],
  ])('%d bytes are written %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  test.each([
    [28.4, '28.4 s'],
    [310, '5 min 10 s'],
    [86_400, '24 h 0 min'],
    [3599.7, '1 h 0 min'],
    [Number.NaN, '–'],
  ])('%f seconds are written %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text)
  })

  test('changes have a sign, and are factors from the tenfold on', () => {
    expect([0.042, -0.5, 0.0001, -0.0001, 8.9, 9, 1e6].map(formatChange)).toEqual([
      '+4.2 %',
      '-50.0 %',
      '0.0 %',
      '0.0 %',
      '+890.0 %',
      '× 10.0',
      '× 1,000,001',
    ])
  })

  test('each unit of a finding has its form', () => {
    expect(formatCount(1_203_400)).toBe('1,203,400')
    expect([formatRate(50_036.4), formatRate(3.21)]).toEqual(['50,036', '3.21'])
    expect(formatShare(0.9995)).toBe('100 %')
    const units = ['us', 'ms', 's', 'bytes', 'bytes/s', '1/s', 'count', 'ratio', 'share', 'cores'] as const
    expect(units.map(unit => formatValue(1.5, unit))).toEqual([
      '1.50 µs',
      '1.50 ms',
      '1.50 s',
      '2 bytes',
      '2 bytes/s',
      '1.50/s',
      '1.50',
      '1.50 ×',
      '150 %',
      '1.50 cores',
    ])
    for (const unit of units) expect(formatValue(Number.NaN, unit)).not.toContain('NaN')
  })
})
