// Clients that come and go beside others that stay: what those who stay notice of it, and what it costs.

import { formatCount } from '../report/units.ts'
import type { Scenario, Stage, Window } from '../scenario.ts'
import { settled } from './figures.ts'
import { oneChannelEach, SMOKE, USUAL, warmUp, windDown } from './plan.ts'

/** Of all subscribers. The others stay, and theirs are the latencies. */
const CHURNING_SHARE = 0.3
/** How often a second each of them leaves and comes again: with its connection … */
const RECONNECTS_PER_CLIENT = 2
/** … or only with its subscription, which is less work. */
const RESUBSCRIPTIONS_PER_CLIENT = 10
/** After the churn, for the memory. */
const REST_S = 5

export const churn: Scenario = {
  name: 'churn',
  question: 'Do clients that come and go disturb those who stay, and what does coming cost?',
  // So few publications that what the churn costs is not lost in the noise of what they cost.
  defaults: { ...USUAL, rate: 100, durationS: 10 },
  smoke: SMOKE,
  recoverable: false,
  promises: 'complete',
  async run(stage) {
    const { load } = stage
    const churning = Math.max(1, Math.round(CHURNING_SHARE * load.subscribers))
    const staying = load.subscribers - churning
    await stage.connect(
      oneChannelEach(load).map((subscriber, index) => ({ ...subscriber, aside: index >= staying })),
    )
    await warmUp(stage)
    const steady = await stage.measure('steady', load.durationS)
    const bytesBefore = settled(stage.series()).bytes
    const connections = await churnFor(stage, 'connections', churning, {
      connectionsPerSecond: churning * RECONNECTS_PER_CLIENT,
      subscriptionsPerSecond: 0,
    })
    const subscriptions = await churnFor(stage, 'subscriptions', churning, {
      connectionsPerSecond: 0,
      subscriptionsPerSecond: churning * RESUBSCRIPTIONS_PER_CLIENT,
    })
    await stage.quiet('rest', Math.min(REST_S, load.durationS))
    const bytesAfter = settled(stage.series()).bytes
    await windDown(stage)

    stage.remark(
      'The threads of the load that read for those who stay also make the others come and go: what p99 rises by is theirs ' +
        'as well as the server’s.',
    )
    const { p99Us } = (await steady.latency()).all
    stage.find({
      key: 'p99_steady',
      label: 'p99, nobody comes or goes',
      value: p99Us,
      unit: 'us',
      better: 'lower',
    })
    await tell(stage, { name: 'reconnect', label: 'Reconnects' }, connections, steady)
    await tell(stage, { name: 'resubscribe', label: 'Resubscriptions' }, subscriptions, steady)
    if (bytesBefore !== undefined && bytesAfter !== undefined) {
      stage.find({
        key: 'churn_bytes_gained',
        label: 'Resident memory gained by all of it',
        value: bytesAfter - bytesBefore,
        unit: 'bytes',
        better: 'lower',
        note: `after ${formatCount(connections.done + subscriptions.done)} comings`,
      })
    }
  },
}

type Churning = Readonly<{
  window: Window
  wantedPerSecond: number
  reachedPerSecond: number
  done: number
  failed: number
}>

/** The last of the subscribers, those aside, come and go. */
async function churnFor(
  stage: Stage,
  phase: string,
  churning: number,
  rates: Readonly<{ connectionsPerSecond: number; subscriptionsPerSecond: number }>,
): Promise<Churning> {
  const { durationS, subscribers } = stage.load
  const beganMs = performance.now()
  await stage.churn({ chosen: { from: subscribers - churning, to: subscribers }, ...rates })
  const window = await stage.measure(phase, durationS, { main: true })
  const { reconnects, resubscriptions, failed } = await stage.stopChurn()
  const done = reconnects + resubscriptions
  return {
    window,
    wantedPerSecond: rates.connectionsPerSecond + rates.subscriptionsPerSecond,
    reachedPerSecond: (done * 1000) / (performance.now() - beganMs),
    done,
    failed,
  }
}

async function tell(
  stage: Stage,
  { name, label }: Readonly<{ name: string; label: string }>,
  { window, wantedPerSecond, reachedPerSecond, failed }: Churning,
  steady: Window,
): Promise<void> {
  const { p99Us } = (await window.latency()).all
  const steadyP99Us = (await steady.latency()).all.p99Us
  stage.find({
    key: `${name}_rate`,
    label,
    value: reachedPerSecond,
    unit: '1/s',
    note: `of ${formatCount(wantedPerSecond)}/s; failed: ${failed}`,
  })
  stage.find({
    key: `p99_${name}`,
    label: `${label}: p99 of those who stay`,
    value: p99Us,
    unit: 'us',
    better: 'lower',
  })
  if (steadyP99Us > 0) {
    stage.find({
      key: `p99_${name}_ratio`,
      label: `${label}: that as a multiple`,
      value: p99Us / steadyP99Us,
      unit: 'ratio',
      better: 'lower',
    })
  }
  const cpuUs = costOfEach(window, steady, reachedPerSecond)
  if (cpuUs !== undefined) {
    stage.find({
      key: `cpu_${name}`,
      label: `${label}: processor time of the server for each`,
      value: cpuUs,
      unit: 'us',
      better: 'lower',
      note: 'above what it used without',
    })
  }
  if (failed > 0) stage.fault(`${failed} clients that left could not come back (${label.toLowerCase()})`)
}

function costOfEach(window: Window, steady: Window, perSecond: number): number | undefined {
  if (window.serverCpuUs === undefined || steady.serverCpuUs === undefined || perSecond === 0)
    return undefined
  const added = window.serverCpuUs / window.seconds - steady.serverCpuUs / steady.seconds
  return added / perSecond
}
