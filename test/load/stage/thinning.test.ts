// The series of a run that lasts: bounded, without gaps, and exact where it can be.

import { expect, test } from 'vitest'
import { createHistogram } from '../../../load/ledger/histogram.ts'
import { ROWS_MAX, Series } from '../../../load/stage/series.ts'

const SECOND_US = 1_000_000

/** One a second; 100 sent, 1,000 delivered, half of a core, in each. */
function samplesOf(series: Series, seconds: number): void {
  const from = series.totals.atUs
  for (let second = 1; second <= seconds; second++) {
    const latency = createHistogram()
    latency.record(500)
    series.add({
      atUs: from + second * SECOND_US,
      connections: 10,
      sent: 100,
      deliveries: 1000,
      latency,
      serverCpuUs: SECOND_US / 2,
      serverBytes: 1000 + second,
      generatorCpuUs: SECOND_US / 4,
      generatorBytes: 2000,
    })
  }
}

test('an hour is kept second by second', () => {
  const series = new Series(0)
  samplesOf(series, ROWS_MAX)
  expect(series.rows).toHaveLength(ROWS_MAX)
  expect(series.rows.at(-1)).toMatchObject({ atS: ROWS_MAX, publishesPerSecond: 100, serverCores: 0.5 })
})

test('hours have no more rows than an hour, and the same rates in all of them', () => {
  const series = new Series(0)
  series.begin('short', false)
  samplesOf(series, 3)
  series.begin('soak', true)
  const seconds = 4 * 3600
  samplesOf(series, seconds)
  const { rows, totals } = series
  expect(rows.length).toBeLessThanOrEqual(ROWS_MAX)
  expect(rows.length).toBeGreaterThanOrEqual(ROWS_MAX / 2)
  expect(rows.at(-1)!.atS).toBe(seconds + 3)
  expect(totals).toMatchObject({ sent: 100 * (seconds + 3), deliveries: 1000 * (seconds + 3) })
  for (const row of rows) {
    expect(row.publishesPerSecond).toBeCloseTo(100)
    expect(row.deliveriesPerSecond).toBeCloseTo(1000)
    expect(row.serverCores).toBeCloseTo(0.5)
    expect(row.p50Us).toBeCloseTo(500, -1)
  }
  expect(rows.filter(({ phase }) => phase === 'short').at(-1)!.atS).toBe(3)
})
