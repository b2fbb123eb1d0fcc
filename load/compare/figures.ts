// Which figures of two sides of runs are compared, and what is known of each. Pure.
// Invariant: a figure that a run doesn't have, or that its verdict calls not valid, is undefined and not zero.

import type { Finding, LatencySummaries, RunResult } from '../model.ts'
import { isLatencyUnit } from '../report/units.ts'

export type Figure = Readonly<{
  key: string
  label: string
  unit: Finding['unit']
  better?: 'lower' | 'higher'
  /** What the generator's limits spoil. */
  isLatency: boolean
  of: (result: RunResult) => number | undefined
}>

const RECIPIENTS: readonly (readonly [key: keyof LatencySummaries, label: string])[] = [
  ['all', 'every recipient'],
  ['last', 'last recipient'],
]
const PERCENTILES = [
  ['p50Us', 'p50'],
  ['p99Us', 'p99'],
  ['p999Us', 'p99.9'],
] as const

const LATENCIES: readonly Figure[] = RECIPIENTS.flatMap(([who, whom]) =>
  PERCENTILES.map(([field, name]) => ({
    key: `latency.${who}.${name}`,
    label: `${name} to ${whom}`,
    unit: 'us' as const,
    better: 'lower' as const,
    isLatency: true,
    of: (result: RunResult) =>
      result.verdict.latencyValid && result.latency[who].count > 0 ? result.latency[who][field] : undefined,
  })),
)

const OTHERS: readonly Figure[] = [
  figure('deliveries', 'deliveries/s', '1/s', 'higher', result => result.deliveriesPerSecond),
  figure('cpu', 'CPU per delivery', 'us', 'lower', ({ server, ledger }) =>
    ledger.delivered > 0 ? server?.cpuUsPerDelivery : undefined,
  ),
  figure('cores', 'server cores', 'cores', 'lower', ({ server }) => server?.cores),
  figure('memory', 'server memory, highest', 'bytes', 'lower', ({ server }) => server?.bytesMax),
  figure('memory.after', 'server memory, after', 'bytes', 'lower', ({ server }) => server?.bytesAfter),
  figure('lost', 'lost', 'count', 'lower', ({ ledger }) => ledger.lost),
  figure('duplicated', 'duplicated', 'count', 'lower', ({ ledger }) => ledger.duplicated),
  figure('outOfOrder', 'out of order', 'count', 'lower', ({ ledger }) => ledger.outOfOrder),
]

function figure(
  key: string,
  label: string,
  unit: Finding['unit'],
  better: 'lower' | 'higher',
  of: Figure['of'],
): Figure {
  return { key, label, unit, better, isLatency: false, of }
}

/** Those of every run, then the findings of these, in the order in which they first come. */
export function figuresOf(results: readonly RunResult[]): Figure[] {
  const findings = new Map<string, Figure>()
  for (const { findings: found } of results) {
    for (const finding of found) {
      if (!findings.has(finding.key)) findings.set(finding.key, figureOf(finding))
    }
  }
  return [...LATENCIES, ...OTHERS, ...findings.values()]
}

function figureOf({ key, label, unit, better }: Finding): Figure {
  const isLatency = isLatencyUnit(unit)
  return {
    key: `finding.${key}`,
    label,
    unit,
    ...(better !== undefined && { better }),
    isLatency,
    of: ({ findings, verdict }) =>
      isLatency && !verdict.latencyValid ? undefined : findings.find(finding => finding.key === key)?.value,
  }
}
