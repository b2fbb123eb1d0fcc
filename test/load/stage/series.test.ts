import { describe, expect, test } from 'vitest'
import { createHistogram } from '../../../load/ledger/histogram.ts'
import { type Sample, Series } from '../../../load/stage/series.ts'

const SECOND_US = 1e6

function sample(atS: number, figures: Partial<Sample> = {}): Sample {
  return {
    atUs: atS * SECOND_US,
    connections: 10,
    sent: 100,
    deliveries: 1000,
    latency: createHistogram(),
    serverCpuUs: 500_000,
    serverBytes: 1000,
    generatorCpuUs: 250_000,
    generatorBytes: 2000,
    ...figures,
  }
}

function latencies(...us: number[]): Sample['latency'] {
  const histogram = createHistogram()
  for (const one of us) histogram.record(one)
  return histogram
}

describe('the series of a run', () => {
  test('has a row a second, with rates for the time that really passed', () => {
    const series = new Series(0)
    series.begin('load', true)
    series.add(sample(1, { latency: latencies(100, 200, 300) }))
    series.add(sample(3))
    expect(series.rows).toEqual([
      {
        atS: 1,
        phase: 'load',
        connections: 10,
        publishesPerSecond: 100,
        deliveriesPerSecond: 1000,
        p50Us: 200,
        p99Us: 300,
        maxUs: 300,
        serverCores: 0.5,
        serverBytes: 1000,
        generatorCores: 0.25,
        generatorBytes: 2000,
      },
      expect.objectContaining({ atS: 3, publishesPerSecond: 50, serverCores: 0.25, p99Us: 0 }),
    ])
  })

  test('adds a short piece to the row before, instead of a row of noise', () => {
    const series = new Series(0)
    series.begin('load', true)
    series.add(sample(1, { latency: latencies(100) }))
    series.add(sample(1.25, { sent: 25, latency: latencies(900) }))
    expect(series.rows).toHaveLength(1)
    expect(series.rows[0]).toMatchObject({ atS: 1.25, publishesPerSecond: 100, maxUs: 900 })
  })

  test('begins a new row when pieces have become a second', () => {
    const series = new Series(0)
    for (let tenth = 1; tenth <= 30; tenth++) series.add(sample(tenth / 10, { sent: 1 }))
    expect(series.rows.map(({ atS }) => atS)).toEqual([1.3, 2.6, 3])
    for (const { publishesPerSecond } of series.rows) expect(publishesPerSecond).toBeCloseTo(10)
  })

  test('keeps exact totals, and forgets the processor time as soon as it is unknown', () => {
    const series = new Series(0)
    series.add(sample(1))
    series.add(sample(1.05, { sent: 3 }))
    expect(series.totals).toEqual({
      atUs: 1.05 * SECOND_US,
      sent: 103,
      deliveries: 2000,
      serverCpuUs: 1_000_000,
      generatorCpuUs: 500_000,
    })
    series.add(sample(2, { serverCpuUs: undefined, serverBytes: undefined }))
    expect(series.totals.serverCpuUs).toBeUndefined()
    expect(series.rows.at(-1)).not.toHaveProperty('serverCores')
  })

  test('has phases that follow each other; empty ones are left out', () => {
    const series = new Series(0)
    series.add(sample(1))
    series.begin('connect', false)
    series.begin('load', true)
    series.add(sample(2))
    series.begin('drain', false)
    expect(series.phases).toEqual([
      { name: 'start', fromS: 0, toS: 1, measured: false },
      { name: 'load', fromS: 1, toS: 2, measured: true },
    ])
    expect(series.phase).toMatchObject({ name: 'drain', measured: false })
  })

  test('remembers the most memory of both sides', () => {
    const series = new Series(0)
    series.add(sample(1, { serverBytes: 5000, generatorBytes: 100 }))
    series.add(sample(2, { serverBytes: 3000, generatorBytes: 700 }))
    expect(series.serverBytesMax).toBe(5000)
    expect(series.generatorBytesMax).toBe(700)
  })
})
