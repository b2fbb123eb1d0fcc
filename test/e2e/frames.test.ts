import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { FrameClient } from '../support/frame-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { codeOf, connectedClient, PATIENTLY, record, subscribe } from '../support/sdk.ts'
import { TcpClient } from '../support/tcp-client.ts'

let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({
    client: { ping_interval: '1s', pong_timeout: '300ms', message_size_limit: 8192 },
  })
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
})

async function openTcp(): Promise<TcpClient> {
  const tcp = await TcpClient.open(relay.ports.tcp)
  onTestFinished(() => tcp.close())
  return tcp
}

test('a hundred subscriptions in one frame', async () => {
  const client = await connectedClient(relay.websocketUrl)
  const names = Array.from({ length: 100 }, (_, n) => `batch-${n}`)
  const subscriptions = names.map(name => client.newSubscription(name))
  client.startBatching()
  for (const subscription of subscriptions) subscription.subscribe()
  client.stopBatching()
  await Promise.all(subscriptions.map(subscription => subscription.ready()))
  const recordings = subscriptions.map(subscription => record(subscription, 'publication'))
  const { body } = await relay.api('broadcast', { channels: names, data: 'all' })
  expect(body.result.responses).toHaveLength(100)
  for (const recording of recordings) expect((await recording.until(1))[0].data).toBe('all')
})

test('several commands in one frame are all answered, and a subscription ends where its end was sent', async () => {
  const client = await FrameClient.open(relay.websocketUrl)
  await client.call({ id: 1, connect: {} })
  // Of many channels some are at home on another shard, which answers later.
  for (let n = 0; n < 16; n++) {
    const channel = `order-${n}`
    const first = 10 * (n + 1)
    client.send(
      { id: first, subscribe: { channel } },
      { id: first + 1, publish: { channel, data: 'one' } },
      { id: first + 2, unsubscribe: { channel } },
      { id: first + 3, publish: { channel, data: 'two' } },
      { id: first + 4, subscribe: { channel } },
      { id: first + 5, publish: { channel, data: 'three' } },
      { id: first + 6, ping: {} },
    )
    for (let id = first; id < first + 7; id++)
      expect((await client.next(line => line.id === id)).error).toBe(undefined)
    await client.next(({ push }) => push?.channel === channel && push.pub.data === 'three')
    const at = (id: number) => client.lines.findIndex(line => line.id === id)
    expect(at(first)).toBeLessThan(at(first + 2))
    expect(at(first + 2)).toBeLessThan(at(first + 4))
    const got = client.lines.filter(({ push }) => push?.channel === channel).map(({ push }) => push.pub.data)
    expect(got).not.toContain('two')
  }
})

test('commands sent before the reply to connect wait for it', async () => {
  const tcp = await openTcp()
  tcp.socket.write(
    '{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"early"}}\n\n \r\n{"id":3,"publish":{"channel":"early","data":1}}\n',
  )
  await tcp.next(line => line.push?.pub?.data === 1)
  expect(tcp.lines[0].id).toBe(1)
})

test('rpc: server.info tells name, version and time; an unknown method is error 104', async () => {
  const client = await connectedClient(relay.websocketUrl)
  const { data } = await client.rpc('server.info', {})
  expect(data).toEqual({ name: 'fanwire', version: expect.any(String), time: expect.any(Number) })
  expect(await codeOf(client.rpc('no.such.method', {}))).toBe(104)
  expect(await codeOf(client.rpc('constructor', {}))).toBe(104)
})

test('send is taken without a reply', async () => {
  const client = await connectedClient(relay.websocketUrl)
  await client.send({ any: 'thing' })
  await client.rpc('server.info', {})
  const tcp = await openTcp()
  await tcp.call({ id: 1, connect: {} })
  tcp.send({ send: { data: {} } })
  await tcp.call({ id: 2, ping: {} })
  expect(tcp.lines.filter(line => Object.keys(line).length > 0).map(({ id }) => id)).toEqual([1, 2])
})

test('an official client answers pings and stays', async () => {
  const client = await connectedClient(relay.websocketUrl)
  const connecting = record(client, 'connecting')
  const pongs = 'fanwire_commands_total{command="pong",outcome="ok"}'
  const before = (await relay.metric(pongs)) ?? 0
  await expect.poll(() => relay.metric(pongs), PATIENTLY).toBeGreaterThanOrEqual(before + 2)
  expect(connecting.all).toEqual([])
})

test('a WebSocket client that answers no ping is disconnected with 3012', async () => {
  const client = await FrameClient.open(relay.websocketUrl)
  const { connect } = await client.call({ id: 1, connect: {} })
  expect(connect).toMatchObject({ ping: 1, pong: true })
  expect(await client.ended).toEqual({ code: 3012, reason: 'no pong' })
  expect(client.lines).toContainEqual({})
})

test('a TCP client need not answer pings', async () => {
  const tcp = await openTcp()
  const { connect } = await tcp.call({ id: 1, connect: {} })
  expect(connect.ping).toBe(1)
  expect(connect.pong).toBeUndefined()
  const pings = () => tcp.lines.filter(line => Object.keys(line).length === 0).length
  await expect.poll(pings, PATIENTLY).toBeGreaterThanOrEqual(2)
  expect(await tcp.call({ id: 2, ping: {} })).toEqual({ id: 2, ping: {} })
})

test('a pong that nobody asked for ends the connection', async () => {
  const client = await FrameClient.open(relay.websocketUrl)
  await client.call({ id: 1, connect: {} })
  client.send({})
  expect((await client.ended).code).toBe(3501)
})

test('a frame or line that is too large ends the connection', async () => {
  const text = 'x'.repeat(9000)
  const client = await FrameClient.open(relay.websocketUrl)
  await client.call({ id: 1, connect: {} })
  client.send({ id: 2, publish: { channel: 'large', data: text } })
  expect((await client.ended).code).toBe(1009)
  const tcp = await openTcp()
  await tcp.call({ id: 1, connect: {} })
  tcp.send({ id: 2, publish: { channel: 'large', data: text } })
  const { push } = await tcp.next(line => line.push?.disconnect !== undefined)
  expect(push.disconnect.code).toBe(3501)
})

test('a binary frame ends the connection', async () => {
  const client = await FrameClient.open(relay.websocketUrl)
  await client.call({ id: 1, connect: {} })
  client.socket.send(new Uint8Array([1, 2, 3]))
  expect((await client.ended).code).toBe(3501)
})

test('a connection that never sends connect is disconnected with 3502', async () => {
  const other = await startTestRelay({ shards: 1, client: { stale_close_delay: '100ms' } })
  onTestFinished(async () => void (await other.stop()))
  const client = await FrameClient.open(other.websocketUrl)
  expect((await client.ended).code).toBe(3502)
})

test('too many bad commands end the connection with 3509', async () => {
  const tcp = await openTcp()
  await tcp.call({ id: 1, connect: {} })
  for (let id = 2; id < 100; id++) tcp.send({ id, subscribe: {} })
  const { push } = await tcp.next(line => line.push?.disconnect !== undefined)
  expect(push.disconnect.code).toBe(3509)
  expect(tcp.lines.find(({ id }) => id === 2).error.code).toBe(107)
})

test('a subscription is renewed by the client after unsubscribe, as often as it likes', async () => {
  const client = await connectedClient(relay.websocketUrl)
  const subscription = await subscribe(client, 'again')
  const received = record(subscription, 'publication')
  for (let round = 1; round <= 5; round++) {
    subscription.unsubscribe()
    subscription.subscribe()
    await subscription.ready()
    await client.publish('again', round)
    await received.until(round)
  }
  expect(received.all.map(({ data }) => data)).toEqual([1, 2, 3, 4, 5])
})
