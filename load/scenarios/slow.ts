// Some clients stop reading for a while: what the others notice of it, and whether the slow ones get everything later.

import type { LatencySummary } from '../model.ts'
import { formatCount } from '../report/units.ts'
import type { Metrics, Scenario, Stage, Window } from '../scenario.ts'
import { oneChannelEach, PATIENT, SMOKE, USUAL, warmUp, windDown } from './plan.ts'

/** Of all subscribers. */
const SLOW_SHARE = 0.1
/** Catching up is waited for at most that long, and looked at so often. */
const CATCH_UP_S = 30
const LOOK_S = 0.05

export const slow: Scenario = {
  name: 'slow',
  question:
    'Do clients that stop reading slow the others down, and do they get everything when they read on?',
  // 2 MB/s for each client: the kernel holds some MB of a connection before the server sees that its client is slow.
  defaults: { ...USUAL, subscribers: 200, channels: 2, rate: 500, size: 8192, durationS: 8 },
  smoke: { ...SMOKE, size: 4096 },
  recoverable: true,
  promises: 'complete',
  relay: () => PATIENT,
  async run(stage) {
    const { subscribers, durationS } = stage.load
    const slowOnes = Math.max(1, Math.round(SLOW_SHARE * subscribers))
    const fastOnes = subscribers - slowOnes
    const chosen = { from: fastOnes, to: subscribers }
    await stage.connect(
      oneChannelEach(stage.load).map((subscriber, index) => ({ ...subscriber, aside: index >= fastOnes })),
    )
    await warmUp(stage)
    const allRead = await stage.measure('all read', durationS)
    const before = await relayState(stage)
    await stage.pause(chosen)
    const someStopped = await stage.measure('some stopped', durationS, { main: true })
    const stopped = await relayState(stage)
    const catchUp = { seconds: 0 }
    const reading = await stage.measure('catching up', durationS / 2, {
      while: async () => {
        await stage.resume(chosen)
        if (stopped !== undefined) catchUp.seconds = await untilCaughtUp(stage, stopped)
      },
    })
    const after = await relayState(stage)
    await windDown(stage)

    await tellLatencies(stage, { allRead, someStopped, reading })
    if (before === undefined || stopped === undefined || after === undefined) {
      stage.remark('Whether the server noticed that they were slow is not known: its metrics can not be had.')
      return
    }
    tellRelay(stage, slowOnes, { before, stopped, after })
    if (stopped.lagging > 0) {
      stage.find({
        key: 'catch_up_time',
        label: 'All caught up after',
        value: catchUp.seconds,
        unit: 's',
        better: 'lower',
        note: 'from reading on until the server had replayed everything to all of them',
      })
    }
  },
}

type RelayState = Readonly<{
  lagging: number
  outboxBytes: number
  historyBytes: number
  caughtUp: number
  insufficient: number
  cutOff: number
  bytes: number | undefined
}>

async function relayState(stage: Stage): Promise<RelayState | undefined> {
  const figure: Metrics | undefined = await stage.metrics()
  if (figure === undefined) return undefined
  return {
    lagging: figure('fanwire_lagging_connections'),
    outboxBytes: figure('fanwire_outbox_bytes'),
    historyBytes: figure('fanwire_history_bytes'),
    caughtUp: figure('fanwire_catch_ups_total', 'outcome="complete"'),
    insufficient: figure('fanwire_catch_ups_total', 'outcome="insufficient"'),
    cutOff: figure('fanwire_disconnects_total', 'code="3008"'),
    bytes: stage.series().at(-1)?.serverBytes,
  }
}

/** Seconds until all that it lagged behind for have caught up, or can't any more: one channel each. */
async function untilCaughtUp(stage: Stage, stopped: RelayState): Promise<number> {
  const doneBefore = doneOf(stopped)
  const fromMs = performance.now()
  for (;;) {
    const now = await relayState(stage)
    const seconds = (performance.now() - fromMs) / 1000
    // Those that lag now may be between two pages: only what is done tells.
    const isDone = now !== undefined && doneOf(now) - doneBefore >= stopped.lagging
    if (isDone || seconds > CATCH_UP_S) return seconds
    await stage.wait(LOOK_S)
  }
}

function doneOf({ caughtUp, insufficient, cutOff }: RelayState): number {
  return caughtUp + insufficient + cutOff
}

async function tellLatencies(
  stage: Stage,
  windows: Readonly<{ allRead: Window; someStopped: Window; reading: Window }>,
): Promise<void> {
  const of = async (window: Window): Promise<LatencySummary> => (await window.latency()).all
  const allRead = await of(windows.allRead)
  const phases = [
    ['all_read', 'all read', allRead],
    ['stopped', 'some have stopped', await of(windows.someStopped)],
    ['catching_up', 'they catch up', await of(windows.reading)],
  ] as const
  stage.remark(
    'While the slow ones catch up, the same threads of the load that read for the others read all that was missed: what ' +
      'latencies rise by then is theirs as well as the server’s.',
  )
  for (const [key, label, { p50Us, p99Us }] of phases) {
    stage.find({ key: `p50_${key}`, label: `p50 while ${label}`, value: p50Us, unit: 'us', better: 'lower' })
    stage.find({ key: `p99_${key}`, label: `p99 while ${label}`, value: p99Us, unit: 'us', better: 'lower' })
    if (key === 'all_read' || allRead.p50Us === 0) continue
    const ratio = (p: 'p50Us' | 'p99Us') => ({ p50Us, p99Us })[p] / allRead[p]
    stage.find({
      key: `p50_ratio_${key}`,
      label: 'p50 as a multiple',
      value: ratio('p50Us'),
      unit: 'ratio',
      better: 'lower',
    })
    stage.find({
      key: `p99_ratio_${key}`,
      label: 'p99 as a multiple',
      value: ratio('p99Us'),
      unit: 'ratio',
      better: 'lower',
    })
  }
}

function tellRelay(
  stage: Stage,
  slowOnes: number,
  { before, stopped, after }: Readonly<{ before: RelayState; stopped: RelayState; after: RelayState }>,
): void {
  stage.find({
    key: 'lagging',
    label: 'Slow clients that the server lagged behind for',
    value: stopped.lagging,
    unit: 'count',
    note: `of ${slowOnes}`,
  })
  if (stopped.lagging < slowOnes) {
    stage.remark(
      `Of ${slowOnes} clients that stopped reading the server noticed ${formatCount(stopped.lagging)}: the kernel held the rest. ` +
        'More --size, --rate or --duration shows more.',
    )
  }
  stage.find({
    key: 'outbox_bytes',
    label: 'What the server held for a slow client',
    value: stopped.outboxBytes / slowOnes,
    unit: 'bytes',
    better: 'lower',
  })
  if (stopped.bytes !== undefined && before.bytes !== undefined) {
    const histories = stopped.historyBytes - before.historyBytes
    stage.find({
      key: 'slow_bytes',
      label: 'Memory of the server gained by a slow client',
      value: (stopped.bytes - before.bytes - histories) / slowOnes,
      unit: 'bytes',
      better: 'lower',
      note: 'without what histories gained; garbage is in it',
    })
  }
  stage.find({
    key: 'catch_ups',
    label: 'Caught up in place',
    value: after.caughtUp - before.caughtUp,
    unit: 'count',
    note: `${formatCount(after.insufficient - before.insufficient)} fell behind the history`,
  })
  stage.find({
    key: 'cut_off',
    label: 'Ended for being slow (3008)',
    value: after.cutOff - before.cutOff,
    unit: 'count',
    better: 'lower',
  })
  const left = stopped.lagging - (doneOf(after) - doneOf(stopped))
  if (left > 0)
    stage.fault(`${formatCount(left)} clients read on and did not catch up within ${CATCH_UP_S} s`)
}
