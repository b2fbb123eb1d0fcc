// Puts together what a run gave. Main thread. Invariant: figures are those of the measured phases that the scenario calls
// main, or of all of them where it calls none so; the ledger is of the whole run.

import { availableParallelism } from 'node:os'
import { createHistogram, type Histogram, histogramFrom } from './ledger/histogram.ts'
import { ledgerTotals } from './ledger/totals.ts'
import { judge } from './ledger/verdict.ts'
import { describeMachine } from './machine.ts'
import { type Offered, RESULT_SCHEMA, type RunResult, type ServerUse } from './model.ts'
import type { RunPlan } from './options.ts'
import type { Books, Measured, Run } from './stage/run.ts'

type Ended = Readonly<{ plan: RunPlan; run: Run; books: Books; startedAt: Date; interrupted: boolean }>

export async function resultOf({ plan, run, books, startedAt, interrupted }: Ended): Promise<RunResult> {
  const { scenario, load, command } = plan
  const main = run.measured.filter(window => window.main)
  const windows = main.length > 0 ? main : run.measured
  const seconds = sum(windows, ({ before, after }) => after.atUs - before.atUs) / 1e6
  const deliveries = sum(windows, ({ before, after }) => after.deliveries - before.deliveries)
  const all = latencyOf(windows, books)
  const first = createHistogram()
  const last = createHistogram()
  for (const { extremes } of windows) {
    first.add(extremes.first)
    last.add(extremes.last)
  }
  const ledger = ledgerTotals(books.receivers, books.progress?.published ?? NOTHING_PUBLISHED)
  const { offered, sent } = offeredIn(windows, books)
  const threads = run.uses.threads()
  const verdict = judge({
    promises: scenario.promises,
    ledger,
    latency: all.summary(),
    negativeLatencies: all.clamped().below,
    sent,
    complete: last.count(),
    offered,
    waitingMax: run.waitingMax,
    threads,
    faults: run.faults,
    remarks: [...run.remarks, ...observed(run, books)],
  })
  const server = serverUse(run, windows, seconds, deliveries)
  return {
    schema: RESULT_SCHEMA,
    scenario: scenario.name,
    question: scenario.question,
    startedAt: startedAt.toISOString(),
    tookS: (Date.now() - startedAt.getTime()) / 1000,
    command,
    ...(interrupted ? { interrupted } : {}),
    // Some scenarios decide themselves how many channels there are.
    load: { ...load, channels: run.fleet.channels.length },
    target: run.target.described,
    machine: describeMachine(),
    verdict,
    ledger,
    latency: { all: all.summary(), first: first.summary(), last: last.summary() },
    offered,
    deliveriesPerSecond: seconds > 0 ? deliveries / seconds : 0,
    ...(server === undefined ? {} : { server }),
    generator: {
      cores: seconds > 0 ? sum(windows, generatorCpuUs) / 1e6 / seconds : 0,
      bytesMax: run.series.generatorBytesMax,
      threads,
    },
    phases: run.series.phases,
    series: run.series.rows,
    findings: run.findings,
  }
}

const NOTHING_PUBLISHED = { sentTotal: 0, acknowledgedTotal: 0, refusedTotal: 0, unknownTotal: 0 }

function generatorCpuUs({ before, after }: Measured): number {
  return after.generatorCpuUs - before.generatorCpuUs
}

/** From the closed books, so that what came while draining is in it. */
function latencyOf(windows: readonly Measured[], { receivers }: Books): Histogram {
  const ids = new Set(windows.map(({ id }) => id))
  const parts = receivers.flatMap(receiver => receiver.windows.filter(([id]) => ids.has(id)))
  return histogramFrom(...parts.map(([, latency]) => latency))
}

function offeredIn(windows: readonly Measured[], { ends }: Books): { offered: Offered; sent: number } {
  const ids = new Set(windows.map(({ id }) => id))
  const published = (ends?.windows ?? []).filter(({ id }) => ids.has(id))
  const seconds = sum(windows, ({ fromUs, toUs }) => toUs - fromUs) / 1e6
  const lateness = histogramFrom(...published.map(window => window.lateness))
  const acknowledgement = histogramFrom(...published.map(window => window.acknowledgement))
  const sent = sum(published, window => window.sent)
  const wanted = sum(windows, ({ rate, fromUs, toUs }) => (rate * (toUs - fromUs)) / 1e6)
  return {
    sent,
    offered: {
      wantedPerSecond: seconds > 0 ? wanted / seconds : 0,
      sentPerSecond: seconds > 0 ? sent / seconds : 0,
      latenessP99Us: lateness.percentile(99),
      latenessMaxUs: lateness.maxUs(),
      acknowledgement: acknowledgement.summary(),
    },
  }
}

function serverUse(
  run: Run,
  windows: readonly Measured[],
  seconds: number,
  deliveries: number,
): ServerUse | undefined {
  const cpuUs = windows.reduce<number | undefined>(
    (total, { before, after }) =>
      total === undefined || before.serverCpuUs === undefined || after.serverCpuUs === undefined
        ? undefined
        : total + after.serverCpuUs - before.serverCpuUs,
    0,
  )
  const { serverBytesFirst: bytesBefore, serverBytes: bytesAfter } = run
  const { serverBytesMax: bytesMax } = run.series
  if (
    cpuUs === undefined ||
    bytesBefore === undefined ||
    bytesMax === undefined ||
    bytesAfter === undefined
  ) {
    return undefined
  }
  const shards = run.shards.means()
  return {
    cores: seconds > 0 ? cpuUs / 1e6 / seconds : 0,
    cpuUsPerDelivery: deliveries > 0 ? cpuUs / deliveries : 0,
    bytesBefore,
    bytesMax,
    bytesAfter,
    ...(shards.length > 0 ? { shardUtilizations: shards } : {}),
  }
}

/** What the server did and said, besides what the ledger counts. */
function observed(run: Run, { progress }: Books): string[] {
  const ended = [...run.ended].map(([code, count]) => `${code} × ${count}`)
  const errors = Object.entries(progress?.published?.errors ?? {}).map(
    ([text, count]) => `${text} × ${count}`,
  )
  const isHere = run.target.described.kind !== 'deployed'
  return [
    ...(isHere ? [`Server and generator shared ${availableParallelism()} cores.`] : []),
    ...(ended.length > 0
      ? [`Connections that the server ended or that were lost: ${ended.join(', ')}.`]
      : []),
    ...(errors.length > 0 ? [`Answers to publishing: ${errors.join('; ')}.`] : []),
  ]
}

function sum<T>(all: readonly T[], figure: (one: T) => number): number {
  return all.reduce((total, one) => total + figure(one), 0)
}
