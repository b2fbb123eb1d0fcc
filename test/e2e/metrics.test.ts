import { expect, onTestFinished, test } from 'vitest'
import { WebSocket as PlainSocket } from 'ws'
import { type Family, parseExposition } from '../metrics/exposition.ts'
import { FrameClient } from '../support/frame-client.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { PATIENTLY } from '../support/sdk.ts'
import { TcpClient } from '../support/tcp-client.ts'

async function startRelay(): Promise<TestRelay> {
  const relay = await startTestRelay({
    channel: { namespaces: [{ name: 'kept', ...OPEN_CHANNELS, history_size: 100, history_ttl: '60s' }] },
  })
  onTestFinished(() => void relay.process.kill('SIGKILL'))
  return relay
}

async function scrape(relay: TestRelay): Promise<Map<string, Family>> {
  const response = await fetch(`http://127.0.0.1:${relay.ports.internal}/metrics`)
  return parseExposition(await response.text())
}

/** The sum of all series of a name that have these labels. */
function sumOf(families: Map<string, Family>, name: string, labels: Record<string, string> = {}): number {
  const family = families.get(name.replace(/_(bucket|sum|count)$/, '')) ?? families.get(name)
  const series = (family?.series ?? []).filter(
    entry =>
      entry.name === name && Object.entries(labels).every(([key, value]) => entry.labels[key] === value),
  )
  if (series.length === 0) throw new Error(`no series ${name} ${JSON.stringify(labels)}`)
  return series.reduce((sum, { value }) => sum + value, 0)
}

const isPublication = (line: any) => line.push?.pub !== undefined

/** Publisher (TCP), one subscriber of each kind, three publications, one refusal; each step waits for its effect. */
async function converse(relay: TestRelay) {
  const reader = await FrameClient.open(relay.websocketUrl)
  const plain = await TcpClient.open(relay.ports.tcp)
  const writer = await TcpClient.open(relay.ports.tcp)
  onTestFinished(() => {
    plain.close()
    writer.close()
  })
  for (const client of [reader, plain, writer]) await client.call({ id: 1, connect: {} })
  for (const client of [reader, plain]) await client.call({ id: 2, subscribe: { channel: 'kept:count' } })
  const arrived = (count: number) =>
    Promise.all([
      reader.next(() => reader.lines.filter(isPublication).length === count),
      plain.next(() => plain.lines.filter(isPublication).length === count),
    ])
  await relay.api('publish', { channel: 'kept:count', data: 1 })
  await arrived(1)
  await relay.api('publish', { channel: 'kept:count', data: 2 })
  await arrived(2)
  await writer.call({ id: 2, publish: { channel: 'kept:count', data: 3 } })
  await arrived(3)
  await reader.call({ id: 3, history: { channel: 'nothing-kept' } })
  await reader.call({ id: 4, rpc: { method: 'none', data: {} } })
  return { reader, plain, writer }
}

test('a command that ends its connection counts as that, and not as answered', async () => {
  const relay = await startTestRelay({
    client: {
      allow_anonymous_connect_without_token: false,
      token: { hmac_secret_key: 'a secret of this test' },
    },
  })
  onTestFinished(() => void relay.process.kill('SIGKILL'))
  for (const connect of [{}, { token: 'no token' }]) {
    const client = await TcpClient.open(relay.ports.tcp)
    client.send({ id: 1, connect })
    await client.ended
  }
  const counted = (outcome: string) =>
    relay.metric(`fanwire_commands_total{command="connect",outcome="${outcome}"}`)
  await expect.poll(() => counted('disconnect'), PATIENTLY).toBe(2)
  expect([await counted('ok'), await counted('error')]).toEqual([0, 0])
})

test('after a known conversation the counts are those of the conversation', async () => {
  const relay = await startRelay()
  const { reader } = await converse(relay)
  await fetch(`http://127.0.0.1:${relay.ports.http}/api/publish`, { method: 'POST', body: '{}' })
  await relay.api('publish', { channel: 'nowhere:x', data: 1 })
  await relay.api('dance', {})

  const expected: [string, Record<string, string>, number][] = [
    ['fanwire_connections', { transport: 'websocket' }, 1],
    ['fanwire_connections', { transport: 'tcp' }, 2],
    ['fanwire_sessions', {}, 3],
    ['fanwire_subscriptions', {}, 2],
    ['fanwire_channels', {}, 1],
    ['fanwire_commands_total', { command: 'connect', outcome: 'ok' }, 3],
    ['fanwire_commands_total', { command: 'subscribe', outcome: 'ok' }, 2],
    ['fanwire_commands_total', { command: 'publish', outcome: 'ok' }, 1],
    ['fanwire_commands_total', { command: 'history', outcome: 'error' }, 1],
    ['fanwire_commands_total', { command: 'history', outcome: 'ok' }, 0],
    ['fanwire_commands_total', { command: 'rpc', outcome: 'error' }, 1],
    ['fanwire_commands_total', {}, 8],
    ['fanwire_errors_total', { code: '108' }, 1],
    ['fanwire_errors_total', { code: '104' }, 1],
    ['fanwire_errors_total', {}, 2],
    ['fanwire_api_requests_total', { method: 'publish', outcome: 'ok' }, 2],
    ['fanwire_api_requests_total', { method: 'publish', outcome: 'error' }, 1],
    ['fanwire_api_requests_total', { method: 'publish', outcome: 'unauthorized' }, 1],
    ['fanwire_api_requests_total', { method: 'unknown', outcome: 'refused' }, 1],
    ['fanwire_api_requests_total', {}, 5],
    ['fanwire_publications_total', { source: 'api' }, 2],
    ['fanwire_publications_total', { source: 'client' }, 1],
    ['fanwire_deliveries_total', { transport: 'websocket' }, 3],
    ['fanwire_deliveries_total', { transport: 'tcp' }, 3],
    // Replies to connect and subscribe, three publications, two errors; on TCP five lines and two.
    ['fanwire_frames_sent_total', { transport: 'websocket' }, 7],
    ['fanwire_frames_sent_total', { transport: 'tcp' }, 7],
    ['fanwire_fanout_size_sum', {}, 6],
    ['fanwire_history_publications', {}, 3],
    ['fanwire_disconnects_total', {}, 0],
    ['fanwire_drops_total', {}, 0],
    ['fanwire_guard_errors_total', {}, 0],
    ['fanwire_table_used', { table: 'route' }, 1],
    ['fanwire_table_used', { table: 'presence' }, 0],
    ['fanwire_shards', {}, 2],
  ]
  const read = async () => {
    const families = await scrape(relay)
    return expected.map(([name, labels]) => [name, labels, sumOf(families, name, labels)])
  }
  await expect.poll(read, PATIENTLY).toEqual(expected)
  expect(reader.frames).toHaveLength(7)
  const families = await scrape(relay)
  for (const name of [
    'fanwire_first_recipient_seconds',
    'fanwire_last_recipient_seconds',
    'fanwire_fanout_size',
  ]) {
    // Once per publication and shard with recipients: three or six.
    expect([3, 6]).toContain(sumOf(families, `${name}_count`))
  }
})

test('limits and the clock stand beside what is measured by them', async () => {
  const relay = await startTestRelay({
    client: { connection_limit: 7 },
    channel: { history_memory_limit: 2 ** 20 },
  })
  onTestFinished(() => void relay.process.kill('SIGKILL'))
  const gauges = ['fanwire_ready', 'fanwire_connection_limit', 'fanwire_history_limit_bytes']
  expect(await Promise.all(gauges.map(name => relay.metric(name)))).toEqual([1, 7, 2 ** 20])
  const turned = (shard: number) => relay.metric(`fanwire_loop_turn_seconds{shard="${shard}"}`)
  for (const shard of [0, 1]) await expect.poll(() => turned(shard), PATIENTLY).toBeGreaterThan(0)
  const families = await scrape(relay)
  const clockSeconds = sumOf(families, 'fanwire_clock_seconds')
  for (const shard of ['0', '1']) {
    expect(sumOf(families, 'fanwire_loop_turn_seconds', { shard })).toBeLessThanOrEqual(clockSeconds)
  }
})

test('bytes are counted as they were on the wire', async () => {
  const relay = await startRelay()
  const client = await FrameClient.open(relay.websocketUrl)
  const tcp = await TcpClient.open(relay.ports.tcp)
  onTestFinished(() => tcp.close())
  const commands = [
    { id: 1, connect: {} },
    { id: 2, subscribe: { channel: 'bytes' } },
    { id: 3, publish: { channel: 'bytes', data: '€uro' } },
  ]
  for (const command of commands) await client.call(command)
  await client.next(isPublication)
  for (const command of commands.slice(0, 2)) await tcp.call(command)
  await relay.api('publish', { channel: 'bytes', data: 'größer' })
  await tcp.next(isPublication)
  await client.next(() => client.lines.filter(isPublication).length === 2)
  const lengthOf = (texts: readonly string[]) => texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  const sentByClient = lengthOf(commands.map(command => JSON.stringify(command)))
  const sentByTcp = lengthOf(commands.slice(0, 2).map(command => `${JSON.stringify(command)}\n`))
  const counts = async () => {
    const families = await scrape(relay)
    const both = (name: string) => ['websocket', 'tcp'].map(transport => sumOf(families, name, { transport }))
    return { received: both('fanwire_received_bytes_total'), sent: both('fanwire_sent_bytes_total') }
  }
  await expect
    .poll(counts, PATIENTLY)
    .toEqual({ received: [sentByClient, sentByTcp], sent: [lengthOf(client.frames), tcp.socket.bytesRead] })
})

/** What only trouble moves: slow clients, full rings and tables, errors of ours. */
const MOVED_BY_TROUBLE = [
  'fanwire_drops_total',
  'fanwire_lagging_connections',
  'fanwire_outbox_bytes',
  'fanwire_catch_ups_total',
  'fanwire_caught_up_publications_total',
  'fanwire_ring_full_total',
  'fanwire_ring_backlog_bytes',
  'fanwire_ring_used_bytes',
  'fanwire_table_refusals_total',
  'fanwire_guard_errors_total',
  'fanwire_flush_delay_seconds',
  'fanwire_event_loop_delay_seconds',
  'fanwire_event_loop_utilization',
]

test('every metric that ordinary use moves has moved', async () => {
  const relay = await startRelay()
  const { reader, plain } = await converse(relay)
  // Over many channels, so that some are at home on the other shard.
  for (let n = 0; n < 20; n++) await plain.call({ id: 10 + n, subscribe: { channel: `many-${n}` } })
  const foreign = new PlainSocket(relay.websocketUrl, { origin: 'https://elsewhere.example' })
  await new Promise(resolve => foreign.on('error', resolve))
  const bad = await TcpClient.open(relay.ports.tcp)
  bad.send('nonsense')
  await bad.ended
  const still = async () => {
    const families = await scrape(relay)
    return [...families.values()]
      .filter(({ name }) => name.startsWith('fanwire_') && !MOVED_BY_TROUBLE.includes(name))
      .filter(({ name }) => !name.startsWith('fanwire_messenger_'))
      .filter(({ series }) => series.every(({ value }) => value === 0))
      .map(({ name }) => name)
  }
  await expect.poll(still, PATIENTLY).toEqual(['fanwire_unsubscribes_total', 'fanwire_quarantines_total'])
  await relay.quarantine(0)
  await relay.quarantine(1)
  await reader.ended
  expect(await relay.metric('fanwire_quarantines_total')).toBe(2)
})

test('when all have gone, so have the counts of what is open', async () => {
  const relay = await startRelay()
  const { reader, plain, writer } = await converse(relay)
  reader.socket.close()
  plain.close()
  writer.close()
  const gauges = [
    'fanwire_connections',
    'fanwire_sessions',
    'fanwire_subscriptions',
    'fanwire_lagging_connections',
  ]
  const read = async () => {
    const families = await scrape(relay)
    return gauges.map(name => [name, sumOf(families, name)])
  }
  await expect.poll(read, PATIENTLY).toEqual(gauges.map(name => [name, 0]))
  expect(sumOf(await scrape(relay), 'fanwire_disconnects_total', { code: '3000' })).toBe(3)
  // The history is kept: 3 publications.
  expect(sumOf(await scrape(relay), 'fanwire_history_publications')).toBe(3)
})
