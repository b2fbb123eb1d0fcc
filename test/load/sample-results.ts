// Made-up results of load runs for tests of what reads them: as real ones look, all numbers from a seed.

import type { Interval, LatencySummary, RunResult, Verdict } from '../../load/model.ts'
import { createRandom } from '../../load/random.ts'

export type Sample = Readonly<{
  seed?: number
  seconds?: number
  /** Factor on all latencies and on the CPU. */
  slower?: number
  verdict?: Partial<Verdict>
  lost?: number
}>

export function sampleResult({
  seed = 1,
  seconds = 28,
  slower = 1,
  verdict,
  lost = 0,
}: Sample = {}): RunResult {
  const random = createRandom(seed)
  const noisy = (value: number, share = 0.05) => value * (1 + (random() * 2 - 1) * share)
  const series = Array.from({ length: seconds }, (_, index) => interval(index + 1, seconds, slower, noisy))
  const expected = 1_203_400
  return {
    schema: 1,
    scenario: 'fanout',
    question: 'How fast does a publication reach all of many subscribers of a few channels?',
    startedAt: '2026-03-14T09:26:53.000Z',
    tookS: seconds + 0.4,
    command: `npm run load -- --scenario fanout --seed ${seed}`,
    load: {
      subscribers: 1000,
      channels: 4,
      rate: 200,
      size: 128,
      durationS: seconds - 8,
      transport: 'ws',
      publish: 'api',
      publishers: 1,
      receivers: 2,
      sources: [],
      seed,
    },
    target: {
      kind: 'own',
      name: 'fanwire',
      version: '0.1.0',
      url: 'ws://127.0.0.1:8000/connection/websocket',
      revision: '0123abcd',
    },
    machine: {
      cpu: 'Example 3000',
      cores: 4,
      memoryBytes: 16 * 2 ** 30,
      system: 'Linux 6.1',
      node: 'v22.0.0',
    },
    verdict: {
      exitCode: lost > 0 ? 1 : 0,
      headline:
        lost > 0
          ? `LOST ${lost} of 1,203,400 deliveries.`
          : 'Clean: 1,203,400 of 1,203,400 deliveries, none lost, none out of order.',
      faults: lost > 0 ? [`${lost} deliveries were lost`] : [],
      generatorLimits: [],
      latencyValid: true,
      remarks: ['Server and generator shared 4 cores.'],
      ...verdict,
    },
    ledger: {
      sent: 4813,
      acknowledged: 4813,
      refused: 0,
      unknown: 0,
      expected,
      delivered: expected - lost,
      lost,
      toldLost: 0,
      duplicated: 0,
      outOfOrder: 0,
      recovered: 0,
      overflowed: 0,
      unreadable: 0,
    },
    latency: {
      all: summary(expected, 1150 * slower, noisy),
      first: summary(4000, 610 * slower, noisy),
      last: summary(4000, 1890 * slower, noisy),
    },
    offered: {
      wantedPerSecond: 200,
      sentPerSecond: 200,
      latenessP99Us: 310,
      latenessMaxUs: 2210,
      acknowledgement: summary(4000, 740 * slower, noisy),
    },
    deliveriesPerSecond: noisy(50_000, 0.001),
    server: {
      cores: noisy(0.21 * slower),
      cpuUsPerDelivery: noisy(4.2 * slower),
      bytesBefore: 98 * 2 ** 20,
      bytesMax: noisy(121 * 2 ** 20),
      bytesAfter: 117 * 2 ** 20,
    },
    generator: {
      cores: 0.48,
      bytesMax: 184 * 2 ** 20,
      threads: ['publisher', 'receiver 0', 'receiver 1', 'main'].map(name => ({
        name,
        utilization: noisy(0.2, 0.5),
        utilizationMax: noisy(0.4, 0.2),
        delayP99Us: noisy(1200, 0.3),
        delayMaxUs: noisy(5100, 0.4),
        ...(name !== 'main' && { waitedForCore: noisy(0.03, 0.5) }),
      })),
    },
    phases: [
      { name: 'connect', fromS: 0, toS: 2, measured: false },
      { name: 'warm-up', fromS: 2, toS: 6, measured: false },
      { name: 'measure', fromS: 6, toS: seconds - 2, measured: true },
      { name: 'drain', fromS: seconds - 2, toS: seconds, measured: false },
    ],
    series,
    findings: [
      {
        key: 'publishes-highest',
        label: 'Highest rate of a second',
        value: noisy(50_400),
        unit: '1/s',
        better: 'higher',
      },
      {
        key: 'spread',
        label: 'Last after first',
        value: noisy(1.3),
        unit: 'ms',
        better: 'lower',
        note: 'p50',
      },
    ],
  }
}

type Noisy = (value: number, share?: number) => number

function interval(atS: number, seconds: number, slower: number, noisy: Noisy): Interval {
  const flows = atS > 2 && atS <= seconds - 2
  const settling = atS < 6 ? 1.6 : 1
  const phase = atS <= 2 ? 'connect' : atS <= 6 ? 'warm-up' : flows ? 'measure' : 'drain'
  return {
    atS,
    phase,
    connections: Math.min(1000, atS * 500),
    publishesPerSecond: flows ? noisy(200, 0.01) : 0,
    deliveriesPerSecond: flows ? noisy(50_000, 0.01) : 0,
    p50Us: flows ? noisy(1150 * slower * settling, 0.08) : 0,
    p99Us: flows ? noisy(3900 * slower * settling, 0.25) : 0,
    maxUs: flows ? noisy(9800 * slower * settling, 0.5) : 0,
    serverCores: flows ? noisy(0.21 * slower * settling, 0.1) : 0.04,
    serverBytes: (98 + Math.min(20, atS)) * 2 ** 20,
    generatorCores: flows ? noisy(0.48, 0.1) : 0.3,
    generatorBytes: noisy((150 + atS) * 2 ** 20, 0.02),
  }
}

function summary(count: number, p50Us: number, noisy: Noisy): LatencySummary {
  const at = (percentile: number) => p50Us * (0.45 + 0.55 * (1 / (1 - percentile / 100) / 2) ** 0.42)
  const percentiles = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.999].filter(
    percentile => count * (1 - percentile / 100) >= 1,
  )
  const factor = noisy(1, 0.04)
  return {
    count,
    minUs: at(0) * 0.5 * factor,
    p50Us: at(50) * factor,
    p90Us: at(90) * factor,
    p99Us: at(99) * factor,
    p999Us: at(99.9) * factor,
    maxUs: at(100 - 100 / count) * factor,
    distribution: percentiles.map(percentile => [percentile, at(percentile) * factor] as const),
  }
}
