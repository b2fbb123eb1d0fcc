// Slot numbers for the metrics of the catalog, as a constant tree: `row[slots.publications.client] += 1` looks
// nothing up by name. Any thread. Invariant: the numbers depend on the catalog alone, so all threads agree.

import { catalog } from './catalog.ts'
import type { Label, Metric } from './metric.ts'

export type HistogramSlots = {
  /** Slot of the first bucket; one slot a bound follows, then the bucket above all bounds, then the sum. */
  readonly first: number
  /** Upper bounds of the buckets, inclusive, ascending. */
  readonly bounds: Float64Array
  readonly sum: number
}

type LabelTree<L extends readonly Label[]> = L extends readonly [
  infer First extends Label,
  ...infer Rest extends readonly Label[],
]
  ? { readonly [Value in First[1][number]]: LabelTree<Rest> }
  : number

type SlotsOf<M extends Metric> = M extends { kind: 'histogram' }
  ? HistogramSlots
  : M extends { labels: infer L extends readonly Label[] }
    ? LabelTree<L>
    : number

export type Slots = { readonly [Key in keyof typeof catalog]: SlotsOf<(typeof catalog)[Key]> }

type AnyTree = number | { readonly [value: string]: AnyTree }

const allocated = allocateSlots(catalog)

/** `slots.sessions`, `slots.drops.latest_only`, `slots.commands.publish.ok`, `slots.errors[102]`, … */
export const slots = allocated.tree as Slots

/** How many slots a row needs: for createCounterMemory. */
export const slotCount = allocated.count

/**
 * The branch of a tree for a value that comes from elsewhere (an API method, a close code), or `otherwise`
 * where the list does not have it: `pick(slots.disconnects, code, slots.disconnects.other)`.
 */
export function pick<T>(tree: { readonly [value: string]: T }, value: string | number, otherwise: T): T {
  // Own keys only: a path like /api/constructor must not find what every object inherits.
  return Object.hasOwn(tree, value) ? (tree[value] as T) : otherwise
}

/** Counts `value` in its bucket and adds it to the sum. */
export function observe(row: Float64Array, histogram: HistogramSlots, value: number): void {
  // A duration between two processor cores may come out a hair below zero, and a NaN would spoil the sum for
  // ever: both count as zero.
  let observed = 0
  if (value > 0) observed = value
  const bounds = histogram.bounds
  // Linear: there are under twenty bounds, and most values fall below the first few.
  let bucket = 0
  while (bucket < bounds.length && observed > bounds[bucket]!) bucket += 1
  row[histogram.first + bucket]! += 1
  row[histogram.sum]! += observed
}

/**
 * Sets all gauges of a row to zero. For a shard that takes over the row of another (or for main, once the
 * thread that wrote it has ended): counters and histograms go on, what was open is gone.
 */
export function resetGauges(row: Float64Array): void {
  for (const slot of allocated.gaugeSlots) row[slot] = 0
}

/** A slot with the labels that lead to it, for the exporter. */
export type LabelledSlot = { readonly slot: number; readonly labels: Readonly<Record<string, string>> }

/** All slots of a counter or gauge of the catalog, in the catalog's order. */
export function labelledSlots(tree: unknown, labels: readonly Label[]): LabelledSlot[] {
  const [label, ...rest] = labels
  if (label === undefined) return [{ slot: tree as number, labels: {} }]
  const [name, labelValues] = label
  const branches = tree as Readonly<Record<string, unknown>>
  return labelValues.flatMap(value =>
    labelledSlots(branches[value], rest).map(({ slot, labels }) => ({
      slot,
      labels: { [name]: value, ...labels },
    })),
  )
}

function allocateSlots(metrics: Readonly<Record<string, Metric>>) {
  let count = 0
  const gaugeSlots: number[] = []
  const tree: Record<string, AnyTree | HistogramSlots> = {}
  const allocateTree = (labels: readonly Label[], isGauge: boolean): AnyTree => {
    const [label, ...rest] = labels
    if (label !== undefined) {
      return Object.freeze(Object.fromEntries(label[1].map(value => [value, allocateTree(rest, isGauge)])))
    }
    if (isGauge) gaugeSlots.push(count)
    count += 1
    return count - 1
  }
  for (const [key, metric] of Object.entries(metrics)) {
    if (metric.kind === 'histogram') {
      const sum = count + metric.bounds.length + 1
      tree[key] = Object.freeze({ first: count, bounds: Float64Array.from(metric.bounds), sum })
      count = sum + 1
    } else {
      tree[key] = allocateTree(metric.labels ?? [], metric.kind === 'gauge')
    }
  }
  return { tree: Object.freeze(tree) as unknown, count, gaugeSlots }
}
