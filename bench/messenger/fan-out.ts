// Whether messages that are made durable cost the relay's fan-out anything: the load harness's receivers on a relay with
// the messenger, in turns with and without a stream of messages beside them.

import { parseOptions } from '../../load/options.ts'
import { runOn } from '../../load/run-load.ts'
import { scenarios } from '../../load/scenarios/list.ts'
import type { RunningTarget } from '../../load/target/target.ts'
import { type Senders, sendSteadily } from './send.ts'

export type FanOut = Readonly<{ p50Us: number; p99Us: number; lastP99Us: number; isClean: boolean }>

/** Namespace of the channels that are fanned out, beside the messenger's own. */
export const LOAD_NAMESPACE = {
  name: 'load',
  allow_subscribe_for_client: true,
  allow_publish_for_client: true,
}

export async function measureFanOut(options: {
  target: RunningTarget
  senders: Senders
  /** Messages a second beside it; 0: none. */
  messageRate: number
  seconds: number
  subscribers: number
}): Promise<FanOut> {
  const { target, senders, messageRate, seconds, subscribers } = options
  const token = senders.accounts[0]!.connectionToken
  const argv = ['--subscribers', String(subscribers), '--rate', '50', '--duration', `${seconds}s`]
  const plan = { ...parseOptions(argv, {}, scenarios), prefix: 'load:' }
  const isOver = new AbortController()
  const sending = messageRate === 0 ? undefined : sendUntil(isOver.signal, senders, messageRate)
  const result = await runOn({ ...target, endpoint: { ...target.endpoint, token } }, plan, {
    watch: () => {},
  })
  isOver.abort()
  await sending
  const { all, last } = result.latency
  return {
    p50Us: all.p50Us,
    p99Us: all.p99Us,
    lastP99Us: last.p99Us,
    isClean: result.verdict.exitCode === 0,
  }
}

const SLICE_MS = 500

async function sendUntil(over: AbortSignal, senders: Senders, rate: number): Promise<void> {
  for (const sender of senders.all) sender.onAcknowledged = () => {}
  while (!over.aborted) await sendSteadily(senders, rate, performance.now() + SLICE_MS)
}
