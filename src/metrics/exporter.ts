// The page that Prometheus scrapes. Runs on main; the only importer of prom-client.
// Invariant: a scrape only reads the rows in shared memory; no thread is asked, so a stuck shard can't delay it.

import { collectDefaultMetrics, type Metric as RegisteredMetric, Registry } from 'prom-client'
import { assert } from '../base/assert.ts'
import { type CounterMemory, rowOf } from '../shared/counters.ts'
import { catalog, mainGauges } from './catalog.ts'
import type { CountedMetric, HistogramMetric, Metric } from './metric.ts'
import { type HistogramSlots, labelledSlots, slotCount, slots } from './slots.ts'

export type GaugeSample = { readonly labels: Readonly<Record<string, string>>; readonly value: number }

/** Reads a gauge of main at a scrape: one number, or one a set of labels. */
export type GaugeReader = () => number | readonly GaugeSample[]

export type ExporterOptions = {
  /** The rows of the shards. */
  readonly memory: CounterMemory
  /** Rows of threads that are not shards (main counts in one of its own): they join the sums without a label. */
  readonly otherRows?: readonly Float64Array[]
  readonly extraGauges: Readonly<Record<keyof typeof mainGauges, GaugeReader>>
}

export type Exporter = {
  scrape(): Promise<string>
  /** For the Content-Type header of the answer. */
  readonly contentType: string
}

type Sample = { metricName?: string; labels: Readonly<Record<string, string | number>>; value: number }

export function createExporter(options: ExporterOptions): Exporter {
  const { memory, otherRows = [], extraGauges } = options
  assert(memory.slots === slotCount, `the counter memory has ${memory.slots} slots, the catalog ${slotCount}`)
  const shardRows = Array.from({ length: memory.shards }, (_, shard) => rowOf(memory, shard))
  const rows = [...shardRows, ...otherRows]
  const registry = new Registry()
  for (const [key, metric] of Object.entries<Metric>(catalog)) {
    const tree = slots[key as keyof typeof slots]
    const read =
      metric.kind === 'histogram'
        ? () => readHistogram(rows, metric, tree as HistogramSlots)
        : counted(metric, tree, shardRows, rows)
    register(registry, metric.name, metric.help, metric.kind, read)
  }
  for (const [key, gauge] of Object.entries(mainGauges)) {
    const read = extraGauges[key as keyof typeof mainGauges]
    register(registry, gauge.name, gauge.help, 'gauge', () => samplesOf(read()))
  }
  // process_* counts the whole process, all threads; nodejs_* only main's own loop and heap.
  collectDefaultMetrics({ register: registry })
  return { scrape: () => registry.metrics(), contentType: registry.contentType }
}

/** The reader of a counter or gauge; its labels are worked out here, once, and not at each scrape. */
function counted(
  metric: CountedMetric,
  tree: unknown,
  shardRows: readonly Float64Array[],
  rows: readonly Float64Array[],
): () => Sample[] {
  const all = labelledSlots(tree, metric.labels ?? [])
  if (!metric.perShard) {
    return () => all.map(({ slot, labels }) => ({ labels, value: sumOf(rows, slot) }))
  }
  const series = shardRows.flatMap((row, shard) =>
    all.map(({ slot, labels }) => ({ row, slot, labels: { ...labels, shard: String(shard) } })),
  )
  return () => series.map(({ row, slot, labels }) => ({ labels, value: row[slot]! }))
}

function readHistogram(
  rows: readonly Float64Array[],
  metric: HistogramMetric,
  histogram: HistogramSlots,
): Sample[] {
  const samples: Sample[] = []
  // The count is the sum of the buckets as read here, so that the page agrees with itself although the shards
  // go on counting meanwhile.
  let count = 0
  for (let bucket = 0; bucket <= metric.bounds.length; bucket += 1) {
    count += sumOf(rows, histogram.first + bucket)
    const le = metric.bounds[bucket] ?? '+Inf'
    samples.push({ metricName: `${metric.name}_bucket`, labels: { le }, value: count })
  }
  samples.push({ metricName: `${metric.name}_sum`, labels: {}, value: sumOf(rows, histogram.sum) })
  samples.push({ metricName: `${metric.name}_count`, labels: {}, value: count })
  return samples
}

function sumOf(rows: readonly Float64Array[], slot: number): number {
  let sum = 0
  for (const row of rows) sum += row[slot]!
  return sum
}

function samplesOf(read: number | readonly GaugeSample[]): readonly Sample[] {
  return typeof read === 'number' ? [{ labels: {}, value: read }] : read
}

function register(
  registry: Registry,
  name: string,
  help: string,
  type: Metric['kind'],
  read: () => readonly Sample[],
): void {
  // prom-client's own classes keep their numbers themselves, and a histogram among them can't be told its
  // buckets. A registry asks of a metric no more than its name and get(), so it is given just these.
  const metric = { name, get: async () => ({ name, help, type, values: read() }) }
  registry.registerMetric(metric as unknown as RegisteredMetric<string>)
}
