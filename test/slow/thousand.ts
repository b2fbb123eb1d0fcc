// A thousand clients that stop reading, all at once, beside a few that read: how much memory the relay takes for them,
// what the others notice, and that all catch up. `node test/slow/thousand.ts [--clients 1000] [--messages 2500]`.
//
// The bound: a lagging connection keeps at most its soft limit and the one flush that passed it, and of one channel a
// flush has at most BATCH_BYTES_MAX; beside that the heaps of the threads grow by what they let lie for later.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { BATCH_BYTES_MAX } from '../../src/fanout/batch-memory.ts'
import { RawClient, type Transport } from '../support/raw-client.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { sumOf, until } from '../support/serving.ts'
import { CountingClient } from './counting-client.ts'

const CHANNEL = 'kept:all'
const SOFT_BYTES = 65_536
const DATA = 'x'.repeat(6_000)
const FAST_CLIENTS = 10
/** Garbage of three threads under load, whatever the number of clients. */
const HEAPS_BYTES = 96 << 20
/** Paced, so that the fast clients keep up and their latency means something. */
const BURST = 5
const BURST_EVERY_MS = 10

export type Result = Readonly<{
  lagging: number
  /** Growth of the relay's resident memory while they lag, without that of the history, and its bound. */
  grownBytes: number
  boundBytes: number
  /** Median latency from publish to a fast client in milliseconds: before there are slow ones, and beside them. */
  latencyMs: Readonly<{ alone: number; beside: number }>
  /** Slow clients that did not get all publications in order. */
  incomplete: number
  replayed: number
  disconnects: number
}>

export async function runThousand(clients: number, messages: number): Promise<Result> {
  const relay = await startTestRelay({
    client: { queue_soft_size: SOFT_BYTES, ping_interval: '10m', slow_timeout: '10m' },
    channel: {
      namespaces: [
        { name: 'kept', ...OPEN_CHANNELS, force_recovery: true, history_size: 100_000, history_ttl: '1h' },
      ],
    },
  })
  try {
    return await measure(relay, clients, messages)
  } finally {
    await relay.stop()
  }
}

async function measure(relay: TestRelay, clients: number, messages: number): Promise<Result> {
  const fast = await Promise.all(
    upTo(FAST_CLIENTS).map(i => CountingClient.open(relay, transportOf(i), CHANNEL)),
  )
  const publisher = await RawClient.connect(relay, 'tcp')
  const aloneMs = await publishPaced(publisher, fast, 0, Math.ceil(messages / 5))

  const slow: CountingClient[] = []
  for (let from = 0; from < clients; from += 100) {
    const some = upTo(Math.min(100, clients - from))
    slow.push(...(await Promise.all(some.map(i => CountingClient.open(relay, transportOf(i), CHANNEL)))))
  }
  for (const client of slow) client.socket.pause()
  const residentBefore = residentBytes(relay)
  const historyBefore = await sumOf(relay, 'fanwire_history_bytes')
  // While the kernel's buffers fill, each publication is still copied a thousand times; then they lag.
  await publishPaced(publisher, fast, fast[0]!.lastOffset, messages)
  await until(async () => (await sumOf(relay, 'fanwire_lagging_connections')) === clients)
  const grownBytes =
    residentBytes(relay) - residentBefore - (await sumOf(relay, 'fanwire_history_bytes')) + historyBefore
  const besideMs = await publishPaced(publisher, fast, fast[0]!.lastOffset, Math.ceil(messages / 5))
  const lagging = await sumOf(relay, 'fanwire_lagging_connections')

  for (const client of slow) client.socket.resume()
  const last = fast[0]!.lastOffset
  await until(() => slow.every(client => client.lastOffset >= last || client.closed))
  const result = {
    lagging,
    grownBytes,
    boundBytes: HEAPS_BYTES + clients * (SOFT_BYTES + BATCH_BYTES_MAX),
    latencyMs: { alone: aloneMs, beside: besideMs },
    incomplete: slow.filter(client => client.gaps > 0 || client.lastOffset !== last).length,
    replayed: (await relay.metric('fanwire_caught_up_publications_total'))!,
    disconnects: (await relay.metric('fanwire_disconnects_total{code="3008"}'))!,
  }
  for (const client of [...slow, ...fast]) client.socket.destroy()
  publisher.close()
  return result
}

/** Publishes so many; resolves with the fast clients' median latency when they have all. */
async function publishPaced(
  publisher: RawClient,
  fast: readonly CountingClient[],
  seen: number,
  count: number,
): Promise<number> {
  const sentMs: number[] = []
  const latencies: number[] = []
  for (const client of fast) {
    client.onOffset = offset => latencies.push(performance.now() - sentMs[offset - seen - 1]!)
  }
  for (let from = 0; from < count; from += BURST) {
    const burst = upTo(Math.min(BURST, count - from)).map(i => from + i)
    for (const n of burst) sentMs[n] = performance.now()
    publisher.send(...burst.map(n => ({ id: 10 + seen + n, publish: { channel: CHANNEL, data: DATA } })))
    await new Promise(resolve => setTimeout(resolve, BURST_EVERY_MS))
  }
  await until(() => fast.every(client => client.lastOffset === seen + count))
  latencies.sort((one, other) => one - other)
  return latencies[Math.trunc(latencies.length / 2)]!
}

function residentBytes(relay: TestRelay): number {
  const status = readFileSync(`/proc/${relay.process.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1024
}

function transportOf(i: number): Transport {
  return i % 2 === 0 ? 'websocket' : 'tcp'
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      clients: { type: 'string', default: '1000' },
      messages: { type: 'string', default: '2500' },
    },
  })
  const result = await runThousand(Number(values.clients), Number(values.messages))
  const { alone, beside } = result.latencyMs
  process.stdout.write(`${JSON.stringify({ ...result, latencyRatio: beside / alone }, undefined, 2)}\n`)
}
