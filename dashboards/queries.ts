// PromQL that the dashboards have in common. Runs at build time.
// Invariant: an expression takes only the series that the variables of a dashboard choose.

/** Selectors of these series. */
export const HERE = 'instance=~"$instance"'
export const HERE_BY_SHARD = 'instance=~"$instance", shard=~"$shard"'
/** How a series of one shard is named in a legend. */
export const SHARD_LEGEND = '{{instance}} shard {{shard}}'

/** PromQL, and the name of what it gives; empty: the panel's title says it. */
export type Query = readonly [expr: string, legend: string]

export function perShard(gauge: string): Query {
  return [`${gauge}{${HERE_BY_SHARD}}`, SHARD_LEGEND]
}

type Rates = Readonly<{
  /** Per second, added up over all relays and shards but for the labels in `by`. */
  rateOf: (counter: string, by?: string) => string
  meanOf: (histogram: string) => string
  quantileOf: (quantile: number, histogram: string) => string
}>

export function ratesOver(window: string): Rates {
  const rateOf = (counter: string, by = '') => {
    const grouping = by === '' ? '' : ` by (${by})`
    return `sum${grouping} (rate(${counter}{${HERE}}[${window}]))`
  }
  return {
    rateOf,
    meanOf: histogram => `${rateOf(`${histogram}_sum`)} / (${rateOf(`${histogram}_count`)} > 0)`,
    quantileOf: (quantile, histogram) =>
      `histogram_quantile(${quantile}, ${rateOf(`${histogram}_bucket`, 'le')})`,
  }
}
