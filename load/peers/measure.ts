// One measurement of a peer: its server is started, loaded, and stopped. Main thread.
// Invariant: each measurement has a server of its own, so that none inherits what another left behind.

import { LoadError, OptionError, reasonOf } from '../errors.ts'
import { findHighest, type Probed } from '../knee/search.ts'
import { isClean } from '../ledger/verdict.ts'
import { checkFits } from '../machine.ts'
import type { Load, RunResult } from '../model.ts'
import { formatCount } from '../report/units.ts'
import { runOn } from '../run-load.ts'
import type { Scenario } from '../scenario.ts'
import { fanout } from '../scenarios/fanout.ts'
import { idle } from '../scenarios/idle.ts'
import type { PeersOptions } from './options.ts'
import type { Peer } from './peer.ts'
import { figureOf, type Idle, type Knee, type Measurement, type Shape } from './result.ts'

/** Deliveries that came while they were due; the rest is where a window begins and ends. */
const KEPT_UP = 0.97
/** The search for a knee ends when it is known to so much: the machine's noise is not smaller. */
const KNEE_PRECISION = 1.15
/** It goes up by this at first, and by less where another round has found one already. */
const KNEE_STEP = 2
const KNEE_STEP_AGAIN = 1.3

export type Context = Readonly<{ options: PeersOptions; signal: AbortSignal }>

/** @throws LoadError where it can't be started */
export async function measureCost(
  peer: Peer,
  { subscribers, rate }: Pick<Shape, 'subscribers' | 'rate'>,
  context: Context,
): Promise<Measurement> {
  const load = { subscribers, rate, durationS: context.options.secondsEach }
  const outcome = await loadPeer(peer, fanout, load, context)
  if (outcome instanceof LoadError)
    return { state: 'full', why: firstLine(outcome.message), deliveriesPerSecond: 0 }
  return measurementOf(outcome)
}

/**
 * @param from publications a second, to begin with
 * @param before what other rounds found
 */
export async function measureKnee(
  peer: Peer,
  from: number,
  before: readonly Knee[],
  context: Context,
): Promise<Knee> {
  const { kneeSubscribers, kneeP99Ms, kneeRateMin, kneeRateMax } = context.options
  const search = {
    from: figureOf(before.map(({ highest }) => highest))?.median ?? from,
    step: before.length > 0 ? KNEE_STEP_AGAIN : KNEE_STEP,
    min: kneeRateMin,
    max: kneeRateMax,
    precision: KNEE_PRECISION,
  }
  return findHighest(async rate => {
    const measured = await measureCost(peer, { subscribers: kneeSubscribers, rate }, context)
    const { state, why, lastP99Us = Number.POSITIVE_INFINITY } = measured
    if (state !== 'clean') return { state, why: `at ${rate}/s: ${why}` }
    if (lastP99Us <= kneeP99Ms * 1000) return { state, why }
    return {
      state: 'full',
      why: `at ${rate}/s: p99 to the last recipient was ${Math.round(lastP99Us / 1000)} ms`,
    }
  }, search)
}

/** @throws LoadError where it can't be started, or ends */
export async function measureIdle(peer: Peer, context: Context): Promise<Idle> {
  const { idleConnections, idleSeconds } = context.options
  const load = { subscribers: idleConnections, rate: 0, durationS: idleSeconds }
  const outcome = await loadPeer(peer, idle, load, context)
  if (outcome instanceof LoadError) throw outcome
  const findingOf = (wanted: string) =>
    outcome.findings.find(({ key }) => key === wanted)?.value ?? Number.NaN
  return {
    bytesPerConnection: findingOf('bytes_per_connection'),
    connectsPerSecond: findingOf('connects_per_second'),
  }
}

/**
 * One run on a server of its own.
 * @returns the error where the server ended or cut everyone off under the load: that is an answer, too
 * @throws LoadError where it can't be started
 */
export async function loadPeer(
  peer: Peer,
  scenario: Scenario,
  wanted: Partial<Load>,
  { options, signal }: Context,
): Promise<RunResult | LoadError> {
  const load = loadOf(scenario, wanted, options)
  const target = await peer.start()
  try {
    return await runOn(
      target,
      { scenario, load, prefix: '', command: options.command },
      { watch: () => {}, signal },
    )
  } catch (error) {
    if (error instanceof LoadError) return error
    throw error
  } finally {
    await target.stop()
    // Whoever asked for the end gets no figures of a run that was cut short.
    signal.throwIfAborted()
  }
}

/** Whether this machine bears all that is to be measured: better known now than in half an hour. @throws OptionError */
export function checkAllFit(options: PeersOptions): void {
  for (const { subscribers, rate } of options.shapes)
    checkFits(loadOf(fanout, { subscribers, rate }, options), true)
  if (!options.parts.includes('memory')) return
  try {
    checkFits(loadOf(idle, { subscribers: options.idleConnections, rate: 0 }, options), true)
  } catch (error) {
    throw new OptionError(`${reasonOf(error)}; here it is --connections that says how many`)
  }
}

function loadOf({ defaults }: Scenario, wanted: Partial<Load>, { size, receivers }: PeersOptions): Load {
  return {
    ...defaults,
    channels: 1,
    size,
    publish: 'client',
    publishers: 1,
    ...(receivers === undefined ? {} : { receivers }),
    ...wanted,
  }
}

/** What a server said before it ended comes in further lines. */
function firstLine(text: string): string {
  return text.split('\n', 1)[0]!
}

function measurementOf(result: RunResult): Measurement {
  const { latency, deliveriesPerSecond, server } = result
  return {
    ...verdictOn(result),
    deliveriesPerSecond,
    ...(server === undefined ? {} : { cpuUsPerDelivery: server.cpuUsPerDelivery }),
    ...(latency.last.count === 0 ? {} : { lastP50Us: latency.last.p50Us, lastP99Us: latency.last.p99Us }),
  }
}

function verdictOn(result: RunResult): Probed {
  const { verdict, deliveriesPerSecond, load } = result
  const due = load.rate * load.subscribers
  const came = `${formatCount(deliveriesPerSecond)} of ${formatCount(due)} deliveries a second came while they were due`
  const isBehind = deliveriesPerSecond < KEPT_UP * due
  // What a server that is behind still has when the run ends is no loss that it is to blame for.
  if (verdict.faults.length > 0) return { state: 'full', why: isBehind ? came : verdict.faults[0]! }
  if (verdict.generatorLimits.length > 0) return { state: 'generator', why: verdict.generatorLimits[0]! }
  if (isBehind) return { state: 'full', why: came }
  return isClean(result) ? { state: 'clean', why: '' } : { state: 'full', why: verdict.headline }
}
