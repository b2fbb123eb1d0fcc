// A steady load for an hour or days, with some clients that come and go and some that stop reading now and then.

import { formatBytes } from '../report/units.ts'
import type { Scenario, Stage } from '../scenario.ts'
import { rowsOf } from './figures.ts'
import { oneChannelEach, PATIENT, SMOKE, USUAL, warmUp, windDown } from './plan.ts'
import { trendOf } from './trend.ts'

const CHURNING_SHARE = 0.1
/** How often a second each of them comes again, and its subscription besides. */
const RECONNECTS_PER_CLIENT = 0.1
const RESUBSCRIPTIONS_PER_CLIENT = 0.1
const SLOW_SHARE = 0.05
/** In each of these the slow ones stop reading once: long enough that the kernel does not hold it all. */
const ROUND_S = 120
const STOPPED_S = 50
/** Growth is a fault when it is certain and faster than that: a relay that lasts for months must not need more. */
const GROWTH_BYTES_PER_HOUR_MAX = 16 * 2 ** 20
/** Before that caches, histories and heaps still find their size. */
const JUDGED_FROM_S = 1200
const SOAK = 'soak'
const S_PER_HOUR = 3600

export const soak: Scenario = {
  name: 'soak',
  question: 'Does memory stay the same for hours, with clients that come, go and read slowly?',
  defaults: { ...USUAL, subscribers: 200, channels: 2, rate: 200, size: 2048, durationS: 3600 },
  smoke: { ...SMOKE, durationS: 3 },
  recoverable: true,
  promises: 'complete',
  relay: () => PATIENT,
  async run(stage) {
    const { subscribers, durationS } = stage.load
    const churning = Math.max(1, Math.round(CHURNING_SHARE * subscribers))
    const slow = Math.max(1, Math.round(SLOW_SHARE * subscribers))
    const steady = subscribers - churning - slow
    await stage.connect(
      oneChannelEach(stage.load).map((subscriber, index) => ({ ...subscriber, aside: index >= steady })),
    )
    await warmUp(stage)
    await stage.reconnectWhenEnded(true)
    await stage.churn({
      chosen: { from: steady + slow, to: subscribers },
      connectionsPerSecond: churning * RECONNECTS_PER_CLIENT,
      subscriptionsPerSecond: churning * RESUBSCRIPTIONS_PER_CLIENT,
    })
    await stage.measure(SOAK, durationS, {
      main: true,
      while: () => stopAndRead(stage, { from: steady, to: steady + slow }),
    })
    const { reconnects, resubscriptions, failed } = await stage.stopChurn()
    await stage.reconnectWhenEnded(false)
    await windDown(stage)

    if (failed > 0) stage.fault(`${failed} clients that left could not come back`)
    stage.find({ key: 'soak_reconnects', label: 'Reconnects', value: reconnects, unit: 'count' })
    stage.find({
      key: 'soak_resubscriptions',
      label: 'Resubscriptions',
      value: resubscriptions,
      unit: 'count',
    })
    await tellRelay(stage)
    tellGrowth(stage)
  },
}

/** The slow ones, round after round; the last round ends with them reading. */
async function stopAndRead(stage: Stage, chosen: Readonly<{ from: number; to: number }>): Promise<void> {
  const { durationS } = stage.load
  const rounds = Math.max(1, Math.floor(durationS / ROUND_S))
  const roundS = durationS / rounds
  const stoppedS = Math.min(STOPPED_S, roundS / 2)
  for (let round = 0; round < rounds; round++) {
    await stage.pause(chosen)
    await stage.wait(stoppedS)
    await stage.resume(chosen)
    await stage.wait(roundS - stoppedS)
  }
}

async function tellRelay(stage: Stage): Promise<void> {
  const figure = await stage.metrics()
  if (figure === undefined) return
  stage.find({
    key: 'soak_catch_ups',
    label: 'Slow clients caught up in place',
    value: figure('fanwire_catch_ups_total', 'outcome="complete"'),
    unit: 'count',
  })
  stage.find({
    key: 'soak_history_bytes',
    label: 'Histories at the end',
    value: figure('fanwire_history_bytes'),
    unit: 'bytes',
  })
}

function tellGrowth(stage: Stage): void {
  const rows = rowsOf(stage.series(), SOAK)
  const secondHalf = rows.slice(Math.floor(rows.length / 2))
  const points = secondHalf.flatMap(({ atS, serverBytes }) =>
    serverBytes === undefined ? [] : [{ atS, value: serverBytes }],
  )
  const trend = trendOf(points)
  if (trend === undefined) {
    stage.remark(
      'The slope of the memory is not known: the run was too short, or the server’s process can’t be seen.',
    )
    return
  }
  const perHour = trend.perSecond * S_PER_HOUR
  const uncertainty = trend.uncertainty * S_PER_HOUR
  const text = `${formatBytes(perHour)} an hour, ± ${formatBytes(uncertainty)} at 95 %`
  stage.find({
    key: 'memory_slope',
    label: 'Growth of the server’s memory, second half',
    value: trend.perSecond,
    unit: 'bytes/s',
    better: 'lower',
    note: text,
  })
  if (!trend.isGrowth || perHour <= GROWTH_BYTES_PER_HOUR_MAX) return
  const limit = `${formatBytes(GROWTH_BYTES_PER_HOUR_MAX)} an hour`
  if (stage.load.durationS >= JUDGED_FROM_S) stage.fault(`memory grew by ${text}; allowed are ${limit}`)
  else stage.remark(`Memory grew by ${text}. In less than ${JUDGED_FROM_S / 60} minutes that is no leak yet.`)
}
