// All clients lose their connection in the same moment and come back at once, with recovery, while publishing goes on.

import { formatCores, formatCount } from '../report/units.ts'
import type { Reconnected, Scenario, Span, Stage } from '../scenario.ts'
import { max, mean, recoveredOf, rowsOf, settled } from './figures.ts'
import { oneChannelEach, SMOKE, USUAL, warmUp, windDown } from './plan.ts'

/** Long enough to see in the series what the storm leaves behind. */
const STORM_S = 5
const EVERYONE = { share: 1 } as const
const STORM = 'storm'
/** The threads that come back are the limit when they are busier than that. */
const BUSY = 0.9

export const storm: Scenario = {
  name: 'storm',
  question: 'When all connections are lost at once, how soon is everyone back, and is anything missed?',
  // Few publications a channel: what is missed stays far below what a recovery replays (300, 512 KiB).
  defaults: { ...USUAL, subscribers: 5000, channels: 50, rate: 200, durationS: 10 },
  smoke: SMOKE,
  recoverable: true,
  promises: 'complete',
  async run(stage) {
    const { durationS } = stage.load
    await stage.connect(oneChannelEach(stage.load))
    await warmUp(stage)
    const before = await stage.measure('before', durationS)
    const bytesBefore = settled(stage.series()).bytes
    const outcome: { back?: Reconnected } = {}
    const span = await stage.quiet(STORM, Math.min(STORM_S, durationS), {
      while: async () => {
        await stage.cut(EVERYONE)
        outcome.back = await stage.reconnect(EVERYONE)
      },
    })
    const after = await stage.measure('after', durationS)
    await windDown(stage)

    tellReturn(stage, outcome.back!)
    tellServer(stage, span, bytesBefore)
    const p99Us = { before: (await before.latency()).all.p99Us, after: (await after.latency()).all.p99Us }
    stage.find({ key: 'p99_before', label: 'p99 before', value: p99Us.before, unit: 'us', better: 'lower' })
    stage.find({ key: 'p99_after', label: 'p99 after', value: p99Us.after, unit: 'us', better: 'lower' })
  },
}

function tellReturn(stage: Stage, back: Reconnected): void {
  const { count, failed, p50Ms, p99Ms, allMs } = back
  const times = [
    ['half', 'Half of them back after', p50Ms],
    ['p99', '99 % back after', p99Ms],
    ['all', 'All back after', allMs],
  ] as const
  for (const [key, label, value] of times) {
    stage.find({ key: `back_${key}`, label, value, unit: 'ms', better: 'lower' })
  }
  stage.find({
    key: 'connects_per_second',
    label: 'Connected, subscribed and recovered',
    value: allMs > 0 ? (count * 1000) / allMs : 0,
    unit: '1/s',
    better: 'higher',
  })
  stage.find(recoveredOf(back))
  if (failed > 0) stage.fault(`${formatCount(failed)} clients did not come back`)
}

function tellServer(stage: Stage, { seconds, serverCpuUs }: Span, bytesBefore: number | undefined): void {
  const rows = rowsOf(stage.series(), STORM)
  const bytesMax = max(rows.map(row => row.serverBytes))
  if (bytesMax !== undefined && bytesBefore !== undefined) {
    stage.find({
      key: 'storm_bytes',
      label: 'Memory of the server at its peak, above that before',
      value: bytesMax - bytesBefore,
      unit: 'bytes',
      better: 'lower',
      note: 'seen once a second',
    })
  }
  if (serverCpuUs !== undefined) {
    const usual = mean(rowsOf(stage.series(), 'before').map(row => row.serverCores)) ?? 0
    stage.find({
      key: 'cpu_of_return',
      label: 'Processor time of the server for each that came back',
      value: (serverCpuUs - usual * seconds * 1e6) / stage.load.subscribers,
      unit: 'us',
      better: 'lower',
      note: 'above what it used before',
    })
  }
  const generatorCores = Math.max(0, ...rows.map(row => row.generatorCores))
  if (generatorCores > BUSY * stage.load.receivers) {
    stage.remark(
      `While all came back the receivers used up to ${formatCores(generatorCores)} cores: the times are theirs as well as ` +
        'the server’s.',
    )
  }
}
