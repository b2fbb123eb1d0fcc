// What tests of the receivers share: a receiver in its worker thread, and a source of publications that knows them all.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { onTestFinished } from 'vitest'
import { nowUs } from '../../../load/generator/clock.ts'
import { payloadText } from '../../../load/generator/payload.ts'
import type {
  ChannelEnd,
  Endpoint,
  PlannedSubscriber,
  ReceiverFinish,
} from '../../../load/generator/requests.ts'
import { type Receiver, startReceiver } from '../../../load/stage/thread.ts'
import { OPEN_CHANNELS, type TestRelay } from '../../support/relay.ts'

const SIZE = 64
const BATCH_MAX = 100

/** A relay with channels that have no history, enough of it (`kept:`), and too little (`short:`). */
const KEPT = { ...OPEN_CHANNELS, history_size: 10_000, history_ttl: '10m', force_recovery: true }
export const CONFIG = {
  channel: {
    namespaces: [
      { name: 'kept', ...KEPT },
      { name: 'short', ...KEPT, history_size: 5 },
    ],
  },
}

/** Each test has channels of its own, so that several can share a relay. */
let prefixes = 0

function endpointOf(relay: Pick<TestRelay, 'ports' | 'websocketUrl'>, namespace: string): Endpoint {
  return {
    dialect: new URL('../../../load/generator/fanwire.ts', import.meta.url).href,
    websocket: relay.websocketUrl,
    tcp: { host: '127.0.0.1', port: relay.ports.tcp },
    sources: [],
    channelPrefix: `${namespace}run-${prefixes++}-`,
  }
}

export type Receiving = Readonly<{ receiver: Receiver; source: Source; endpoint: Endpoint }>

export function startReceiving(relay: Pick<TestRelay, 'ports' | 'websocketUrl'>, namespace = ''): Receiving {
  const endpoint = endpointOf(relay, namespace)
  const receiver = startReceiver({ role: 'receiver', index: 0, endpoint, seed: 1 })
  onTestFinished(() => receiver.stop())
  return { receiver, source: createSource(endpoint.channelPrefix), endpoint }
}

/** All in the same channels. */
export function subscribers(
  count: number,
  transport: 'ws' | 'tcp',
  channels: readonly number[],
  options: Readonly<{ from?: number; aside?: boolean }> = {},
): PlannedSubscriber[] {
  const { from = 0, aside = false } = options
  return Array.from({ length: count }, (_, index) => ({
    subscriber: from + index,
    transport,
    channels,
    aside,
  }))
}

export type Source = Readonly<{
  /** So many to each of these channels, by the server API. */
  publish: (relay: TestRelay, channels: readonly number[], count: number) => Promise<void>
  ends: () => ChannelEnd[]
}>

function createSource(prefix: string): Source {
  const last = new Map<number, number>()
  const next = (channel: number) => {
    const sequence = (last.get(channel) ?? 0) + 1
    last.set(channel, sequence)
    const data: unknown = JSON.parse(payloadText(channel, sequence, nowUs(), SIZE))
    return { publish: { channel: `${prefix}${channel}`, data } }
  }
  return {
    async publish(relay, channels, count) {
      const due = Array.from({ length: count }, () => channels).flat()
      for (let from = 0; from < due.length; from += BATCH_MAX) {
        const { status, body } = await relay.api('batch', {
          commands: due.slice(from, from + BATCH_MAX).map(next),
        })
        const refused = status !== 200 || body.replies.some((reply: { error?: unknown }) => reply.error)
        if (refused) throw new Error(`not published: ${status} ${JSON.stringify(body)}`)
      }
    },
    ends: () => [...last].map(([channel, sequence]) => ({ channel, last: sequence, exceptions: [] })),
  }
}

/** Books without a fault. */
export const CLEAN = {
  lost: 0,
  toldLost: 0,
  duplicated: 0,
  outOfOrder: 0,
  recovered: 0,
  overflowed: 0,
  unreadable: 0,
}

export async function deliveredBy(receiver: Receiver): Promise<number> {
  return (await receiver.ask({ kind: 'progress' })).deliveredTotal
}

/** The books, without the windows. */
export async function booksOf(receiver: Receiver, source: Source): Promise<Omit<ReceiverFinish, 'windows'>> {
  const { windows: _, ...books } = await receiver.ask({ kind: 'finish', channels: source.ends() })
  return books
}

export type Door = Readonly<{
  port: number
  /** New connections go there from now on. */
  leadTo: (port: number) => void
}>

/** A port that stays the same while servers behind it come and go. Where nobody is, connections are broken. */
export async function openDoor(toPort: number): Promise<Door> {
  const server = createServer(near => {
    const far = connect(toPort, '127.0.0.1')
    near.on('error', () => {}).on('close', () => far.destroy())
    far.on('error', () => {}).on('close', () => near.resetAndDestroy())
    near.pipe(far).pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    leadTo(port) {
      toPort = port
    },
  }
}
