// One run from beginning to end: the server, the threads, the scenario, the books, the result. Main thread.
// Invariant: whatever happens, no thread and no process of the run is left when it is over.

import { randomBytes } from 'node:crypto'
import { LoadError } from './errors.ts'
import { checkFits, checkSources } from './machine.ts'
import type { Interval, RunResult } from './model.ts'
import type { Options, RunPlan, TargetOptions } from './options.ts'
import { resultOf } from './result.ts'
import { shownUrl } from './shown-url.ts'
import { Run } from './stage/run.ts'
import { createStage } from './stage/stage.ts'
import { deployedRelay } from './target/deployed.ts'
import { OWN_PREFIX, startOwnRelay } from './target/own.ts'
import { fetchMetrics } from './target/prometheus.ts'
import type { RunningTarget } from './target/target.ts'

export type RunIo = Readonly<{
  /** After each second. */
  watch: (interval: Interval) => void
  /** Ends the run early; what there is until then becomes its result. */
  signal?: AbortSignal
}>

/** @throws LoadError, OptionError */
export async function runLoad(plan: RunPlan & Pick<Options, 'target'>, io: RunIo): Promise<RunResult> {
  checkFits(plan.load, plan.target.kind === 'own')
  await checkSources(plan.load.sources)
  const target = await startTarget(plan, plan.target)
  try {
    return await runOn(target, { ...plan, prefix: plan.prefix ?? prefixOf(plan.target) }, io)
  } finally {
    await target.stop()
  }
}

async function startTarget({ scenario, load }: RunPlan, options: TargetOptions): Promise<RunningTarget> {
  if (options.kind === 'own') return startOwnRelay(scenario, load, options)
  const { kind, ...addresses } = options
  const { metricsUrl } = addresses
  if (metricsUrl !== undefined && (await fetchMetrics(metricsUrl)) === undefined) {
    throw new LoadError(`--metrics: ${shownUrl(metricsUrl)} gives no Prometheus page`)
  }
  return deployedRelay(addresses)
}

function prefixOf({ kind }: TargetOptions): string {
  return kind === 'own' ? OWN_PREFIX : ''
}

/** The same on a server that is running already, and that someone else stops. */
export async function runOn(target: RunningTarget, plan: RunPlan, io: RunIo): Promise<RunResult> {
  const { scenario, load, prefix = '' } = plan
  const startedAt = new Date()
  const run = new Run({
    target,
    load,
    channelPrefix: `${prefix}${randomBytes(3).toString('hex')}-`,
    watch: io.watch,
  })
  const interrupted = new Interrupted()
  const onAbort = () => run.trouble.raise(interrupted)
  io.signal?.addEventListener('abort', onAbort)
  if (io.signal?.aborted) onAbort()
  try {
    const whole = await takePlace(run, scenario.run, interrupted)
    const books = await run.close()
    return await resultOf({ plan, run, books, startedAt, interrupted: !whole })
  } finally {
    io.signal?.removeEventListener('abort', onAbort)
    await run.stop()
  }
}

/** Whether it went to its end. */
async function takePlace(
  run: Run,
  scenario: RunPlan['scenario']['run'],
  interrupted: Interrupted,
): Promise<boolean> {
  try {
    await run.open()
    await scenario(createStage(run))
    return true
  } catch (error) {
    if (error !== interrupted) throw error
    await run.interrupt()
    await run.stopPublishing()
    await run.drain()
    return false
  }
}

class Interrupted extends Error {
  override name = 'Interrupted'
}
