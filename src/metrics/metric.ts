// What a metric of the catalog is. Plain data, any thread.

/** A label and all values it can have. */
export type Label = readonly [name: string, values: readonly string[]]

export type MetricUnit = 'count' | 'seconds' | 'bytes' | 'ratio' | 'info'

export type CountedMetric = {
  readonly kind: 'counter' | 'gauge'
  readonly name: string
  readonly unit: MetricUnit
  readonly help: string
  readonly labels?: readonly Label[]
  /** True: one series a shard, with the label `shard`. Otherwise the rows are summed at the scrape. */
  readonly perShard?: true
}

export type HistogramMetric = {
  readonly kind: 'histogram'
  readonly name: string
  readonly unit: MetricUnit
  readonly help: string
  /** Upper bounds of the buckets, inclusive, ascending, in the metric's unit; +Inf is implied. */
  readonly bounds: readonly number[]
}

export type Metric = CountedMetric | HistogramMetric

/** From a loopback hop (tens of microseconds) to a client's patience. */
export const latencyBoundsSeconds = [
  50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const
