// What a receiver's core bears: the reader alone with all its books, on bytes that are in memory already, and a whole
// receiver that reads from loopback what a plain program writes as fast as the sockets take it.

import { readFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { nowUs } from '../../load/generator/clock.ts'
import { dialect } from '../../load/generator/fanwire.ts'
import { type Cutter, FrameCutter, LineCutter } from '../../load/generator/frames.ts'
import { MARK } from '../../load/generator/payload.ts'
import { Reader } from '../../load/generator/reader.ts'
import { createReceiver } from '../../load/generator/receiver.ts'
import type { Connected, ReceiverFinish, ReceiverProgress } from '../../load/generator/requests.ts'
import { type Subscription, Tally } from '../../load/generator/tally.ts'
import { SubscriptionLedger } from '../../load/ledger/subscription.ts'
import { type Benchmark, type BenchRow, type BenchSize, perCall } from '../bench.ts'
import { CHANNEL_PREFIX, deliveryLine, PAYLOAD_BYTES, serverFrame } from './deliveries.ts'
import type { BlastJob } from './workers/blaster.ts'

const CONNECTIONS = 50
const PUBLICATIONS = 100

type Case = Readonly<{
  joined: number
  channels: readonly number[]
  history: boolean
  transport: 'ws' | 'tcp'
}>

const BASE: Case = { joined: 100, channels: [0], history: false, transport: 'ws' }
const CASES: Readonly<Record<string, Case>> = {
  'read 100 publications a frame': BASE,
  'read 100 publications a frame, with history': { ...BASE, history: true },
  // Their names, and so the lines, are of different lengths: nothing can be predicted.
  'read 100 publications a frame, 4 channels in turn': {
    ...BASE,
    channels: [1, 20, 300, 4000],
    history: true,
  },
  'read 10 publications a frame': { ...BASE, joined: 10 },
  'read 1 publication a frame': { ...BASE, joined: 1 },
  'read lines of TCP': { ...BASE, transport: 'tcp' },
}

/** One call: 50 connections read the same 100 publications, which are new ones in each call. */
function readCase({ joined, channels, history, transport }: Case): () => void {
  const dueUs = nowUs()
  const lines = Array.from({ length: PUBLICATIONS }, (_, index) =>
    deliveryLine(channels[index % channels.length]!, 1, dueUs, history ? 12_345_678 : 0),
  )
  const frames: Buffer[] = []
  for (let from = 0; from < PUBLICATIONS; from += joined) {
    const some = lines.slice(from, from + joined)
    frames.push(transport === 'ws' ? serverFrame(some) : Buffer.from(`${some.join('\n')}\n`))
  }
  const chunk = Buffer.concat(frames)
  const places: number[] = []
  for (let at = chunk.indexOf(MARK); at >= 0; at = chunk.indexOf(MARK, at + 1)) places.push(at + MARK.length)
  const tally = new Tally()
  tally.window(1, 0)
  const cutters = Array.from({ length: CONNECTIONS }, () => cutterOf(tally, channels, history, transport))
  let sequence = 0
  let calls = 0
  return () => {
    for (let index = 0; index < PUBLICATIONS; index += channels.length) {
      sequence++
      for (const place of places.slice(index, index + channels.length)) writeSequence(chunk, place, sequence)
    }
    const atUs = nowUs()
    for (const cutter of cutters) cutter.take(chunk, 0, chunk.length, atUs)
    // As each second of a run.
    if (++calls % 100 === 0) tally.progress()
  }
}

/** Behind the digits of the channel. */
function writeSequence(chunk: Buffer, place: number, sequence: number): void {
  chunk.write(String(sequence).padStart(10, '0'), place + 6, 'latin1')
}

function cutterOf(
  tally: Tally,
  channels: readonly number[],
  history: boolean,
  transport: 'ws' | 'tcp',
): Cutter {
  const subscriptions = new Map<number, Subscription>()
  for (const channel of channels) {
    tally.recipients.join(channel)
    subscriptions.set(channel, {
      channel,
      name: `${CHANNEL_PREFIX}${channel}`,
      aside: false,
      ledger: new SubscriptionLedger(),
      epoch: history ? 'abcdefgh' : undefined,
      offset: 0,
      counted: true,
    })
  }
  const reader = new Reader(dialect, tally, {
    subscriptionOf: channel => subscriptions.get(channel),
    onMessage: () => false,
  })
  const fail = (reason: unknown) => {
    throw new Error(String(reason))
  }
  const events = {
    onBlock: (bytes: Buffer, from: number, end: number, atUs: number) =>
      reader.readBlock(bytes, from, end, atUs),
    onPing: fail,
    onClose: fail,
    onError: fail,
  }
  return transport === 'ws' ? new FrameCutter(events) : new LineCutter(events)
}

const BLAST = {
  full: { connections: 20, publications: 250_000 },
  smoke: { connections: 2, publications: 500 },
}

async function receive(size: BenchSize, joined: number): Promise<BenchRow> {
  const job: BlastJob = { ...BLAST[size], joined }
  const blaster = new Worker(new URL('workers/blaster.ts', import.meta.url), { workerData: job })
  const port = await new Promise<number>((resolve, reject) => {
    blaster.once('message', resolve)
    blaster.once('error', reject)
  })
  const receiver = await createReceiver({
    role: 'receiver',
    index: 0,
    endpoint: {
      dialect: new URL('../../load/generator/fanwire.ts', import.meta.url).href,
      websocket: `ws://127.0.0.1:${port}/connection/websocket`,
      sources: [],
      channelPrefix: CHANNEL_PREFIX,
    },
    seed: 1,
  })
  const subscribers = Array.from({ length: job.connections }, (_, subscriber) => ({
    subscriber,
    transport: 'ws',
    channels: [0],
    aside: false,
  }))
  await receiver.answer({ kind: 'window', id: 1, fromUs: 0 })
  const connected = (await receiver.answer({ kind: 'connect', subscribers } as never)) as Connected
  if (connected.failed > 0) throw new Error(`not connected: ${connected.errors}`)
  const total = job.connections * job.publications
  const begin = { us: nowUs(), cpuUs: threadCpuUs() }
  blaster.postMessage('go')
  for (;;) {
    await new Promise(resolve => setTimeout(resolve, size === 'smoke' ? 1 : 100))
    const { deliveredTotal } = (await receiver.answer({ kind: 'progress' })) as ReceiverProgress
    if (deliveredTotal >= total) break
  }
  const [us, cpuUs] = [nowUs() - begin.us, threadCpuUs() - begin.cpuUs]
  const channels = [{ channel: 0, last: job.publications, exceptions: [] }]
  const books = (await receiver.answer({ kind: 'finish', channels })) as ReceiverFinish
  await receiver.answer({ kind: 'close' })
  await blaster.terminate()
  if (books.lost + books.duplicated + books.outOfOrder + books.unreadable > 0)
    throw new Error(JSON.stringify(books))
  return {
    case: `receive over loopback, ${joined} a frame, per core`,
    opsPerSecond: (total * 1e6) / cpuUs,
    note: `${((total * 1e6) / us / 1e6).toFixed(3)} M/s by the clock, ${Math.round((100 * cpuUs) / us)} % of a core`,
  }
}

/** Of this thread alone, with what the system did for it. Linux only; elsewhere the clock is as good as it gets. */
function threadCpuUs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e3
  } catch {
    return nowUs()
  }
}

export default {
  name: `receivers of the load: rates are publications of ${PAYLOAD_BYTES} bytes, in all books`,
  async run(size) {
    const cases = Object.entries(CASES).map(([name, one]) => [name, readCase(one)] as const)
    const rows = await perCall('', CONNECTIONS * PUBLICATIONS, Object.fromEntries(cases)).run(size)
    for (const joined of [100, 10, 1]) rows.push(await receive(size, joined))
    return rows
  },
} satisfies Benchmark
