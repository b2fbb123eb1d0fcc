// The run second by second, and its phases. Main thread.
// Invariant: rows and phases follow each other without a gap; totals are exact at every sample, rows may be rounded.

import type { Histogram } from '../ledger/histogram.ts'
import type { Interval, Phase } from '../model.ts'
import { thinned } from './thinning.ts'

/** Since the sample before. */
export type Sample = {
  atUs: number
  connections: number
  sent: number
  deliveries: number
  latency: Histogram
  serverCpuUs: number | undefined
  serverBytes: number | undefined
  generatorCpuUs: number
  generatorBytes: number
}

/** Sums from the beginning to a sample. */
export type Totals = Readonly<{
  atUs: number
  sent: number
  deliveries: number
  /** Undefined as soon as one sample did not know. */
  serverCpuUs: number | undefined
  generatorCpuUs: number
}>

/** A shorter piece is no second: its rates would be noise. It becomes part of the row before. */
const ROW_US_MIN = 300_000
/** How long rows are at first … */
const ROW_US = 1_000_000
/** … and how much longer one may get by what becomes part of it. */
const ROW_EXCESS_MAX = 1.3
/** An hour of seconds. When there are more, neighbours are joined, and from then on rows are twice as long. */
export const ROWS_MAX = 3600

type Row = { fromUs: number; phase: string; sample: Sample }

export class Series {
  readonly #startUs: number
  #rows: Interval[] = []
  #last: Row | undefined
  #phases: Phase[] = []
  #phase: { name: string; measured: boolean; fromUs: number }
  #totals: Totals
  #rowUs = ROW_US
  #serverBytesMax: number | undefined
  #generatorBytesMax = 0

  constructor(startUs: number) {
    this.#startUs = startUs
    this.#phase = { name: 'start', measured: false, fromUs: startUs }
    this.#totals = { atUs: startUs, sent: 0, deliveries: 0, serverCpuUs: 0, generatorCpuUs: 0 }
  }

  /** Call it right after the sample at the end of the phase before. */
  begin(name: string, measured: boolean): void {
    this.#endPhase()
    this.#phase = { name, measured, fromUs: this.#totals.atUs }
  }

  add(sample: Sample): void {
    const fromUs = this.#totals.atUs
    if (sample.atUs <= fromUs) return
    const { sent, deliveries, serverCpuUs, generatorCpuUs } = this.#totals
    this.#totals = {
      atUs: sample.atUs,
      sent: sent + sample.sent,
      deliveries: deliveries + sample.deliveries,
      serverCpuUs: sum(serverCpuUs, sample.serverCpuUs),
      generatorCpuUs: generatorCpuUs + sample.generatorCpuUs,
    }
    this.#generatorBytesMax = Math.max(this.#generatorBytesMax, sample.generatorBytes)
    if (sample.serverBytes !== undefined) {
      this.#serverBytesMax = Math.max(this.#serverBytesMax ?? 0, sample.serverBytes)
    }
    this.#addRow(fromUs, sample)
  }

  #addRow(fromUs: number, sample: Sample): void {
    const last = this.#last
    const isPart = sample.atUs - fromUs < ROW_US_MIN || last?.phase === this.#phase.name
    if (isPart && last !== undefined && sample.atUs - last.fromUs <= this.#rowUs * ROW_EXCESS_MAX) {
      last.sample = joined(last.sample, sample)
      this.#rows[this.#rows.length - 1] = this.#rowOf(last)
      return
    }
    if (this.#rows.length >= ROWS_MAX) {
      this.#rows = thinned(this.#rows)
      this.#rowUs *= 2
    }
    this.#last = { fromUs, phase: this.#phase.name, sample }
    this.#rows.push(this.#rowOf(this.#last))
  }

  #rowOf({ fromUs, phase, sample }: Row): Interval {
    const seconds = (sample.atUs - fromUs) / 1e6
    return {
      atS: (sample.atUs - this.#startUs) / 1e6,
      phase,
      connections: sample.connections,
      publishesPerSecond: sample.sent / seconds,
      deliveriesPerSecond: sample.deliveries / seconds,
      p50Us: sample.latency.percentile(50),
      p99Us: sample.latency.percentile(99),
      maxUs: sample.latency.maxUs(),
      ...(sample.serverCpuUs === undefined ? {} : { serverCores: sample.serverCpuUs / 1e6 / seconds }),
      ...(sample.serverBytes === undefined ? {} : { serverBytes: sample.serverBytes }),
      generatorCores: sample.generatorCpuUs / 1e6 / seconds,
      generatorBytes: sample.generatorBytes,
    }
  }

  #endPhase(): void {
    const { name, measured, fromUs } = this.#phase
    const toUs = this.#totals.atUs
    if (toUs <= fromUs) return
    this.#phases.push({
      name,
      fromS: (fromUs - this.#startUs) / 1e6,
      toS: (toUs - this.#startUs) / 1e6,
      measured,
    })
  }

  get phase(): Readonly<{ name: string; measured: boolean }> {
    return this.#phase
  }

  get rows(): readonly Interval[] {
    return this.#rows
  }

  /** Those that are over. */
  get phases(): readonly Phase[] {
    return this.#phases
  }

  get totals(): Totals {
    return this.#totals
  }

  get serverBytesMax(): number | undefined {
    return this.#serverBytesMax
  }

  get generatorBytesMax(): number {
    return this.#generatorBytesMax
  }
}

function joined(before: Sample, after: Sample): Sample {
  before.latency.add(after.latency)
  return {
    ...after,
    sent: before.sent + after.sent,
    deliveries: before.deliveries + after.deliveries,
    latency: before.latency,
    serverCpuUs: sum(before.serverCpuUs, after.serverCpuUs),
    generatorCpuUs: before.generatorCpuUs + after.generatorCpuUs,
  }
}

function sum(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a + b
}
