// The relay is stopped in order (SIGTERM) under load and started again; clients come back by themselves, with recovery.

import { formatCount } from '../report/units.ts'
import type { Reconnected, Scenario, Stage } from '../scenario.ts'
import { recoveredOf } from './figures.ts'
import { oneChannelEach, SMOKE, USUAL, warmUp, windDown } from './plan.ts'

export const drain: Scenario = {
  name: 'drain',
  question:
    'When the relay is restarted in order under load, is anything missed, and how long is everyone away?',
  // Few publications a channel: what is missed stays below what a recovery replays (300, 512 KiB).
  defaults: { ...USUAL, channels: 20, durationS: 10 },
  smoke: SMOKE,
  recoverable: true,
  // Whether a relay that keeps its histories kept this promise shows in who could not recover: see below.
  promises: 'told',
  ownRelayOnly: true,
  async run(stage) {
    const { durationS } = stage.load
    const relay = stage.relay!
    await stage.connect(oneChannelEach(stage.load))
    await warmUp(stage)
    await stage.reconnectWhenEnded(true)
    const before = await stage.measure('before', durationS, { main: true })
    const restarted: { restart?: Restart } = {}
    await stage.quiet('restart', 1, {
      while: async () => {
        restarted.restart = await restart(stage)
      },
    })
    const after = await stage.measure('after', durationS, { main: true })
    await windDown(stage)
    tell(stage, restarted.restart!)
    if (relay.keepsHistories) judgeRecovery(stage, restarted.restart!.back)
    else
      stage.remark(
        'This relay keeps no histories over a restart: who comes back is told that it missed something.',
      )
    const p99Us = { before: (await before.latency()).all.p99Us, after: (await after.latency()).all.p99Us }
    stage.find({ key: 'p99_before', label: 'p99 before', value: p99Us.before, unit: 'us', better: 'lower' })
    stage.find({ key: 'p99_after', label: 'p99 after', value: p99Us.after, unit: 'us', better: 'lower' })
  },
}

type Restart = Readonly<{
  exitCode: number | null
  stopMs: number
  startMs: number
  allMs: number
  back: Reconnected
}>

async function restart(stage: Stage): Promise<Restart> {
  const relay = stage.relay!
  const beganMs = performance.now()
  const { code, tookMs } = await relay.terminate()
  const startedMs = performance.now()
  await relay.start()
  const startMs = performance.now() - startedMs
  const back = await stage.reconnectWhenEnded(false)
  return { exitCode: code, stopMs: tookMs, startMs, allMs: performance.now() - beganMs, back }
}

function tell(stage: Stage, { exitCode, stopMs, startMs, allMs, back }: Restart): void {
  const { count, failed } = back
  const times = [
    ['stop', 'From SIGTERM to the end of the process', stopMs],
    ['start', 'From its start to ready', startMs],
    ['all_back', 'From SIGTERM until all were back', allMs],
    ['away_p50', 'A client was away for, p50', back.p50Ms],
    ['away_max', 'The longest', back.allMs],
  ] as const
  for (const [key, label, value] of times) {
    stage.find({ key: `drain_${key}`, label, value, unit: 'ms', better: 'lower' })
  }
  stage.find({ key: 'came_back', label: 'Clients that came back', value: count, unit: 'count' })
  stage.find(recoveredOf(back))
  if (exitCode !== 0)
    stage.fault(`the relay ended with ${exitCode === null ? 'a signal' : `exit code ${exitCode}`}`)
  if (failed > 0) stage.fault(`${formatCount(failed)} clients did not come back`)
}

/** What was acknowledged must have come to everyone, though connections ended. */
function judgeRecovery(stage: Stage, { notRecovered }: Reconnected): void {
  if (notRecovered === 0) return
  stage.fault(
    `${formatCount(notRecovered)} subscriptions could not recover, though the relay keeps its histories`,
  )
}
