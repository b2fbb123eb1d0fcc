// Connections that are subscribed and silent: what each costs in memory, and all of them in processor time.

import type { Scenario } from '../scenario.ts'
import { SETTLED_S, settled } from './figures.ts'
import { oneChannelEach, SMOKE, USUAL } from './plan.ts'

export const idle: Scenario = {
  name: 'idle',
  question: 'How much memory and processor time does a silent connection cost?',
  // The phase is longer than the relay's ping_interval (25 s), so that pings and pongs are in it.
  defaults: { ...USUAL, subscribers: 10_000, channels: 100, rate: 0, durationS: 30 },
  smoke: { ...SMOKE, rate: 0, subscribers: 100 },
  recoverable: false,
  promises: 'complete',
  ignores: ['rate', 'size', 'publish', 'publishers'],
  async run(stage) {
    const { subscribers, durationS } = stage.load
    await stage.quiet('empty', durationS)
    const empty = settled(stage.series())
    const { tookMs, failed } = await stage.connect(oneChannelEach(stage.load))
    const connected = subscribers - failed
    await stage.quiet('settle', durationS)
    const window = await stage.measure('idle', durationS, { main: true })
    const full = settled(stage.series())
    stage.find({
      key: 'connects_per_second',
      label: 'Connected and subscribed',
      value: (connected * 1000) / tookMs,
      unit: '1/s',
      better: 'higher',
    })
    if (empty.bytes !== undefined && full.bytes !== undefined) {
      stage.find({
        key: 'bytes_per_connection',
        label: 'Resident memory of a connection',
        value: (full.bytes - empty.bytes) / connected,
        unit: 'bytes',
        better: 'lower',
        note: `the last ${Math.min(SETTLED_S, durationS)} s of the phases before and after connecting`,
      })
    }
    if (window.serverCpuUs !== undefined) {
      stage.find({
        key: 'cores_per_1000_connections',
        label: 'Processor for 1,000 connections, pings included',
        value: (window.serverCpuUs / 1e6 / window.seconds - (empty.cores ?? 0)) / (connected / 1000),
        unit: 'cores',
        better: 'lower',
        note: 'above that of the empty relay',
      })
    }
  },
}
