// What the report draws: each plot as columns of numbers, from which come both its picture and its table.
// Pure. Invariant: however long the run was, a plot has at most POINTS_MAX points, and no peak is thinned away.

import type { Interval, LatencySummary, RunResult } from '../model.ts'

/** Two for each pixel of a wide plot would be lost on the eye, and every row is also one of the table. */
export const POINTS_MAX = 600

export type PlotUnit = 'us' | '1/s' | 'cores' | 'bytes'

/** Colors have roles, not names: the style sheet gives each one for light, dark and print. */
export type Ink = 'first' | 'second' | 'third'

export type Line = Readonly<{
  label: string
  ink: Ink
  dashed?: boolean
  values: ReadonlyArray<number | null>
}>

export type Plot = Readonly<{
  id: string
  title: string
  note: string
  /** `time`: seconds since the run began. `percentile`: 1/(1−p), drawn on a logarithmic scale. */
  x: 'time' | 'percentile'
  xs: readonly number[]
  unit: PlotUnit
  /** `either`: the reader may switch, and it begins with the logarithmic one. */
  scale: 'linear' | 'either'
  lines: readonly Line[]
  /** Drawn from what the verdict calls not valid. */
  isLatency: boolean
  wide?: boolean
}>

/** Those for which the run has figures: a scenario may publish nothing. */
export function plotsOf(result: RunResult): Plot[] {
  return candidates(result).filter(({ lines }) =>
    lines.some(({ values }) => values.some(value => value !== null)),
  )
}

function candidates(result: RunResult): Plot[] {
  const rows = thin(result.series, POINTS_MAX)
  const covers = rows.length === result.series.length ? '' : ` ${coverage(result.series, rows)}`
  const plots = rows.length < 2 ? [] : [latencyOverTime(rows, covers)]
  const distribution = byPercentile(result)
  if (distribution.xs.length > 1) plots.push(distribution)
  if (rows.length < 2) return plots
  return [...plots, rates(rows, covers), cores(rows, covers), memory(rows, covers)]
}

function latencyOverTime(rows: readonly Interval[], covers: string): Plot {
  return {
    id: 'latency-time',
    title: 'Latency over time',
    note: `Of what was delivered since the point before, from the intended send time on.${covers}`,
    x: 'time',
    xs: timesOf(rows),
    unit: 'us',
    scale: 'either',
    isLatency: true,
    wide: true,
    lines: [
      { label: 'p50', ink: 'first', values: rows.map(row => latency(row.p50Us)) },
      { label: 'p99', ink: 'second', values: rows.map(row => latency(row.p99Us)) },
      { label: 'max', ink: 'third', dashed: true, values: rows.map(row => latency(row.maxUs)) },
    ],
  }
}

/** A second without deliveries has no latency; and zero has no place on a logarithmic scale. */
function latency(us: number): number | null {
  return Number.isFinite(us) && us > 0 ? us : null
}

function byPercentile({ latency: { all, first, last } }: RunResult): Plot {
  const curves = [all, first, last].map(curveOf)
  const xs = [...new Set(curves.flatMap(curve => curve.map(([x]) => x)))].sort((a, b) => a - b)
  const values = curves.map(curve => xs.map(x => valueAt(curve, x)))
  return {
    id: 'latency-percentile',
    title: 'Latency by percentile',
    note: 'To every recipient, to the first and to the last.',
    x: 'percentile',
    xs,
    unit: 'us',
    scale: 'either',
    isLatency: true,
    lines: [
      { label: 'every', ink: 'first', values: values[0]! },
      { label: 'first', ink: 'third', dashed: true, values: values[1]! },
      { label: 'last', ink: 'second', values: values[2]! },
    ],
  }
}

/** Rounded, so that the same percentile of two curves is one point of the plot. */
function curveOf({ distribution }: LatencySummary): [x: number, us: number][] {
  return distribution
    .filter(([percentile, us]) => percentile >= 0 && percentile < 100 && us > 0)
    .map(([percentile, us]) => [Number((1 / (1 - percentile / 100)).toPrecision(9)), us])
}

/** A distribution is a staircase: between two points it has the value of the upper one, after the last one none. */
function valueAt(curve: readonly (readonly [x: number, us: number])[], x: number): number | null {
  return curve.find(([at]) => at >= x)?.[1] ?? null
}

function rates(rows: readonly Interval[], covers: string): Plot {
  return {
    id: 'rates',
    title: 'Deliveries and publications',
    note: `Per second.${covers}`,
    x: 'time',
    xs: timesOf(rows),
    unit: '1/s',
    scale: 'either',
    isLatency: false,
    lines: [
      {
        label: 'deliveries/s',
        ink: 'first',
        values: rows.map(({ deliveriesPerSecond }) => rate(deliveriesPerSecond)),
      },
      {
        label: 'publications/s',
        ink: 'second',
        values: rows.map(({ publishesPerSecond }) => rate(publishesPerSecond)),
      },
    ],
  }
}

/** Both lines are hundreds apart, so the scale is logarithmic; a second in which nothing was sent is a gap. */
function rate(perSecond: number): number | null {
  return perSecond > 0 ? perSecond : null
}

function cores(rows: readonly Interval[], covers: string): Plot {
  return {
    id: 'cores',
    title: 'Processor time',
    note: `Cores in use; 1 is a whole one.${covers}`,
    x: 'time',
    xs: timesOf(rows),
    unit: 'cores',
    scale: 'linear',
    isLatency: false,
    lines: serverAndGenerator(
      rows.map(row => row.serverCores ?? null),
      rows.map(row => row.generatorCores),
    ),
  }
}

function memory(rows: readonly Interval[], covers: string): Plot {
  return {
    id: 'memory',
    title: 'Memory',
    note: `Resident, of the processes.${covers}`,
    x: 'time',
    xs: timesOf(rows),
    unit: 'bytes',
    scale: 'linear',
    isLatency: false,
    lines: serverAndGenerator(
      rows.map(row => row.serverBytes ?? null),
      rows.map(row => row.generatorBytes),
    ),
  }
}

/** The server's line is left out where its process could not be seen. */
function serverAndGenerator(server: (number | null)[], generator: number[]): Line[] {
  const seen = server.some(value => value !== null)
  const second: Line = { label: 'generator', ink: 'third', dashed: true, values: generator }
  return seen ? [{ label: 'server', ink: 'first', values: server }, second] : [second]
}

function timesOf(rows: readonly Interval[]): number[] {
  return rows.map(({ atS }) => Math.round(atS * 100) / 100)
}

/**
 * Joins neighbours of the same phase until at most `pointsMax` are left. Rates and cores become means,
 * latencies, connections and memory the highest: a plot may look worse than the run, never better.
 */
export function thin(series: readonly Interval[], pointsMax: number): Interval[] {
  let group = Math.max(1, Math.ceil(series.length / pointsMax))
  for (;;) {
    const rows = joinBy(series, group)
    if (rows.length <= pointsMax || group >= series.length) return rows.slice(0, pointsMax)
    group *= 2
  }
}

function joinBy(series: readonly Interval[], group: number): Interval[] {
  if (group === 1) return [...series]
  const rows: Interval[] = []
  let from = 0
  while (from < series.length) {
    let to = from + 1
    while (to < series.length && to - from < group && series[to]!.phase === series[from]!.phase) to++
    rows.push(joined(series.slice(from, to)))
    from = to
  }
  return rows
}

function joined(rows: readonly Interval[]): Interval {
  const end = rows.at(-1)!
  const mean = (of: (row: Interval) => number) => rows.reduce((sum, row) => sum + of(row), 0) / rows.length
  const highest = (of: (row: Interval) => number) => rows.reduce((max, row) => Math.max(max, of(row)), 0)
  return {
    atS: end.atS,
    phase: end.phase,
    connections: highest(row => row.connections),
    publishesPerSecond: mean(row => row.publishesPerSecond),
    deliveriesPerSecond: mean(row => row.deliveriesPerSecond),
    p50Us: highest(row => row.p50Us),
    p99Us: highest(row => row.p99Us),
    maxUs: highest(row => row.maxUs),
    ...(rows.every(row => row.serverCores !== undefined) && { serverCores: mean(row => row.serverCores!) }),
    ...(rows.every(row => row.serverBytes !== undefined) && {
      serverBytes: highest(row => row.serverBytes!),
    }),
    generatorCores: mean(row => row.generatorCores),
    generatorBytes: highest(row => row.generatorBytes),
  }
}

function coverage(series: readonly Interval[], rows: readonly Interval[]): string {
  const seconds = Math.ceil(series.length / rows.length)
  return `A point covers about ${seconds} intervals: means of rates and cores, else the highest.`
}
