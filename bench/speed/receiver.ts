// The subscribers, in a process of their own: opens connections, subscribes, counts what comes.
// Reports its own use of the processor too: if it is full, the figures tell its limit and not the server's.

import { performance } from 'node:perf_hooks'
import { cpuUsOf, residentBytesOf } from '../../load/target/usage.ts'
import { serveParent } from './child.ts'
import { Client, type Endpoint } from './client.ts'
import { countFrames, countLines, type Tally } from './counting.ts'
import {
  CONNECTED,
  channelName,
  connectCommand,
  SUBSCRIBED,
  subscribeCommand,
  type Target,
} from './messages.ts'

export type OpenRequest = Readonly<{
  kind: 'open'
  target: Target
  serverPid: number
  endpoint: Endpoint
  subscribers: number
  /** Subscriber i is subscribed to channel i modulo this. */
  channels: number
  lineBytes: number
}>

/** What has been counted and used since the process began. */
export type Sample = Tally &
  Readonly<{
    atMs: number
    ended: number
    serverCpuUs: number
    serverBytes: number
    idleMs: number
    activeMs: number
  }>

export type Opened = Readonly<{ tookMs: number }>

/** Connections that are opened at the same time: enough to keep the server busy, few enough for its backlog. */
const OPENING_MAX = 256

const tally: Tally = { publications: 0, frames: 0, odd: 0 }
const clients: Client[] = []
let ended = 0
let serverPid = 0

async function open(request: OpenRequest): Promise<Opened> {
  serverPid = request.serverPid
  const startMs = performance.now()
  let next = 0
  const openNext = async () => {
    while (next < request.subscribers) await subscribe(request, channelName(next++ % request.channels))
  }
  await Promise.all(Array.from({ length: OPENING_MAX }, openNext))
  return { tookMs: performance.now() - startMs }
}

async function subscribe({ target, endpoint, lineBytes }: OpenRequest, channel: string): Promise<void> {
  const client = await Client.open(endpoint, () => ended++)
  const connect = connectCommand(target)
  // As the official SDKs do: connect, and when that is answered subscribe.
  if (connect !== undefined) await client.ask(connect, CONNECTED)
  await client.ask(subscribeCommand(target, channel), SUBSCRIBED)
  client.onBytes = (endpoint.transport === 'tcp' ? countLines : countFrames)(tally, lineBytes)
  clients.push(client)
}

function sample(): Sample {
  const { idle: idleMs, active: activeMs } = performance.eventLoopUtilization()
  return {
    ...tally,
    atMs: performance.now(),
    ended,
    serverCpuUs: cpuUsOf(serverPid)!,
    serverBytes: residentBytesOf(serverPid)!,
    idleMs,
    activeMs,
  }
}

serveParent(request => (request.kind === 'open' ? open(request) : sample()))
