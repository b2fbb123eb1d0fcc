// One measurement: a server, its subscribers and publishers, each in a process of its own, over one window of time.

import { setTimeout as pause } from 'node:timers/promises'
import { startChild } from './child.ts'
import { channelName, deliveredLine } from './messages.ts'
import type { PublishRequest } from './publisher.ts'
import type { Opened, OpenRequest, Sample } from './receiver.ts'
import type { Scenario, Variant } from './scenarios.ts'
import { startServer } from './servers.ts'

export type Measured = Readonly<{
  /** Processor time of the server for each delivery, in microseconds; 0 where nothing was published. */
  cpuUsPerDelivery: number
  deliveriesPerSecond: number
  /** How busy the receivers' thread was, of 1: near 1 they were the limit. */
  receiverLoad: number
  /** Deliveries that a read brought on average. */
  deliveriesPerFrame: number
  connectsPerSecond: number
  cpuUsPerConnect: number
  bytesPerConnection: number
  /** Publications that were sent but did not reach every subscriber, and what else came. */
  missing: number
  odd: number
}>

export type Times = Readonly<{ warmUpMs: number; windowMs: number }>

export async function measure(scenario: Scenario, variant: Variant, times: Times): Promise<Measured> {
  const { subscribers, channels, publishers, perSecond, transport, idleMs = 0 } = scenario
  const server = await startServer(variant)
  const receiver = startChild('./receiver.ts')
  const publisher = startChild('./publisher.ts')
  const { target } = variant
  const websocket = { transport: 'websocket', port: server.websocketPort } as const
  const withOffsets = variant.target === 'relay' && variant.history
  const toOpen = (count: number): OpenRequest => ({
    kind: 'open',
    target,
    serverPid: server.pid,
    // The raw server has no TCP: its WebSocket is what TCP is compared with.
    endpoint: transport === 'tcp' && target === 'relay' ? { transport, port: server.tcpPort } : websocket,
    subscribers: count,
    channels,
    // An offset's digits vary.
    lineBytes: withOffsets ? 0 : deliveredLine(channelName(0)).length,
  })
  const sample = (): Promise<Sample> => receiver.ask({ kind: 'sample' })
  try {
    await receiver.ask(toOpen(0))
    await pause(idleMs)
    const before = await sample()
    const opened: Opened = await receiver.ask(toOpen(subscribers))
    const open = await sample()
    if (perSecond === 0) {
      await pause(idleMs)
      const settled = await sample()
      return {
        ...NOTHING,
        connectsPerSecond: (subscribers * 1000) / opened.tookMs,
        cpuUsPerConnect: (open.serverCpuUs - before.serverCpuUs) / subscribers,
        bytesPerConnection: (settled.serverBytes - before.serverBytes) / subscribers,
        odd: settled.odd + settled.ended,
      }
    }
    const request: PublishRequest = {
      kind: 'publish',
      target,
      endpoint: websocket,
      publishers,
      channels,
      perSecond,
    }
    await publisher.ask(request)
    await pause(times.warmUpMs)
    const first = await sample()
    await pause(times.windowMs)
    const last = await sample()
    const { sent } = (await publisher.ask({ kind: 'stop' })) as { sent: number }
    const expected = (sent * subscribers) / channels
    const all = await settled(sample, expected)
    return {
      ...NOTHING,
      ...window(first, last),
      missing: expected - all.publications,
      odd: all.odd + all.ended,
    }
  } finally {
    await Promise.all([publisher.stop(), receiver.stop(), server.stop()])
  }
}

const NOTHING: Measured = {
  cpuUsPerDelivery: 0,
  deliveriesPerSecond: 0,
  receiverLoad: 0,
  deliveriesPerFrame: 0,
  connectsPerSecond: 0,
  cpuUsPerConnect: 0,
  bytesPerConnection: 0,
  missing: 0,
  odd: 0,
}

function window(first: Sample, last: Sample): Partial<Measured> {
  const deliveries = last.publications - first.publications
  const activeMs = last.activeMs - first.activeMs
  return {
    cpuUsPerDelivery: (last.serverCpuUs - first.serverCpuUs) / deliveries,
    deliveriesPerSecond: (deliveries * 1000) / (last.atMs - first.atMs),
    receiverLoad: activeMs / (activeMs + last.idleMs - first.idleMs),
    deliveriesPerFrame: deliveries / (last.frames - first.frames),
  }
}

const POLL_MS = 50
const SETTLED_WITHIN_MS = 5000

/** The sample with everything that was sent, or the last one if it does not all come. */
async function settled(sample: () => Promise<Sample>, expected: number): Promise<Sample> {
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const now = await sample()
    if (now.publications >= expected || waitedMs >= SETTLED_WITHIN_MS) return now
    await pause(POLL_MS)
  }
}
