// What scenarios have in common: the usual load, who subscribes to what, and the usual steps. Main thread.

import { availableParallelism } from 'node:os'
import type { Load, Transport } from '../model.ts'
import type { Stage, Subscriber } from '../scenario.ts'

/** Half of the cores make the load, the other half is for the relay; a few threads receive as much as a machine sends. */
const RECEIVERS_MAX = 8
const RECEIVERS = Math.max(1, Math.min(RECEIVERS_MAX, Math.floor(availableParallelism() / 2)))

/** Publications before the measured phase: V8 has compiled what is hot, buffers have their size. */
const WARM_UP_S = 3

/** What every scenario starts from: one place to change the usual size of messages and the like. */
export const USUAL: Load = {
  subscribers: 1000,
  channels: 4,
  rate: 100,
  size: 128,
  durationS: 20,
  transport: 'ws',
  publish: 'api',
  publishers: 4,
  receivers: RECEIVERS,
  sources: [],
  seed: 1,
}

/**
 * For an own relay whose clients stop reading: they answer no pings either, and until the relay sees that they are slow
 * it would take them for dead (3012). Longer than clients stop for.
 */
export const PATIENT = { client: { ping_interval: '2m', pong_timeout: '1m' } } as const

/** So small that a scenario ends within a few seconds. */
export const SMOKE = {
  subscribers: 24,
  channels: 3,
  rate: 60,
  durationS: 1,
  publishers: 2,
  receivers: 2,
} as const

export function transportOf(transport: Transport, subscriber: number): 'ws' | 'tcp' {
  if (transport !== 'mixed') return transport
  return subscriber % 2 === 0 ? 'ws' : 'tcp'
}

/** Each subscriber has one channel; the channels have equally many. With `mixed` each channel has both transports. */
export function oneChannelEach({ subscribers, channels, transport }: Load): Subscriber[] {
  return Array.from({ length: subscribers }, (_, index) => ({
    transport: transportOf(transport, Math.floor(index / channels)),
    channels: [index % channels],
  }))
}

/** Publishing begins, and goes on for a moment before it counts. */
export async function warmUp(stage: Stage): Promise<void> {
  await stage.publish()
  await stage.quiet('warm-up', Math.min(WARM_UP_S, stage.load.durationS))
}

/** Publishing ends, and everything owed is waited for. */
export async function windDown(stage: Stage): Promise<void> {
  await stage.stopPublishing()
  await stage.drain()
}

/** The steps that most scenarios take. */
export async function loadOnce(stage: Stage, subscribers: readonly Subscriber[]): Promise<void> {
  await stage.connect(subscribers)
  await warmUp(stage)
  await stage.measure('load', stage.load.durationS, { main: true })
  await windDown(stage)
}
