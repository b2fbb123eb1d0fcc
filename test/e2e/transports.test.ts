import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { FrameClient } from '../support/frame-client.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { connectedClient, record, subscribe } from '../support/sdk.ts'
import { TcpClient } from '../support/tcp-client.ts'

const SHARDS = 4

let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({
    shards: SHARDS,
    channel: { namespaces: [{ name: 'kept', ...OPEN_CHANNELS, history_size: 100, history_ttl: '60s' }] },
  })
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
})

async function openTcp(): Promise<TcpClient> {
  const tcp = await TcpClient.open(relay.ports.tcp)
  onTestFinished(() => tcp.close())
  await tcp.call({ id: 1, connect: {} })
  return tcp
}

async function openFrames(): Promise<FrameClient> {
  const client = await FrameClient.open(relay.websocketUrl)
  await client.call({ id: 1, connect: {} })
  return client
}

/** The text of a TCP connection as it came, from now on. */
function textOf(tcp: TcpClient): { read(): string } {
  let text = ''
  tcp.socket.on('data', chunk => {
    text += chunk
  })
  return { read: () => text }
}

const isPublication = (line: any) => line.push?.pub !== undefined

test('a WebSocket client and a TCP client get the very same text', async () => {
  const data = '{"big": 12345678901234567890,  "float":1.10,"text":"€ \\u20ac 😀", "list":[1, 2,{ }]}'
  const frames = await openFrames()
  const tcp = await openTcp()
  await frames.call({ id: 2, subscribe: { channel: 'kept:same' } })
  await tcp.call({ id: 2, subscribe: { channel: 'kept:same' } })
  const text = textOf(tcp)
  const seen = frames.frames.length
  await relay.api('publish', `{"channel":"kept:same","data":${data}}`)
  await frames.next(isPublication)
  await tcp.next(isPublication)
  const line = `{"push":{"channel":"kept:same","pub":{"data":${data},"offset":1}}}`
  expect(frames.frames.slice(seen)).toEqual([line])
  expect(text.read()).toBe(`${line}\n`)
})

test('what a client publishes arrives as it was written, from WebSocket to TCP and back', async () => {
  const data = '{"id":9007199254740993,"price":1.50}'
  const frames = await openFrames()
  const tcp = await openTcp()
  await frames.call({ id: 2, subscribe: { channel: 'written' } })
  await tcp.call({ id: 2, subscribe: { channel: 'written' } })
  const text = textOf(tcp)
  frames.socket.send(`{"id":3,"publish":{"channel":"written","data":${data}}}`)
  await tcp.next(isPublication)
  expect(text.read()).toContain(`"data":${data}`)
  tcp.send(`{"id":3, "publish": {"data" : ${data} , "channel":"written"}}`)
  await frames.next(() => frames.lines.filter(isPublication).length === 2)
  expect(frames.frames.join('\n').split(`"data":${data}`)).toHaveLength(3)
})

test('line breaks inside the data of the back end break neither frames nor lines', async () => {
  const frames = await openFrames()
  const tcp = await openTcp()
  await frames.call({ id: 2, subscribe: { channel: 'kept:pretty' } })
  await tcp.call({ id: 2, subscribe: { channel: 'kept:pretty' } })
  const data = { text: 'a\nb', list: [1, { deep: [true, null] }] }
  const body = JSON.stringify({ channel: 'kept:pretty', data, tags: { a: 'b' } }, null, 2).replaceAll(
    '\n',
    '\r\n',
  )
  expect((await relay.api('publish', body)).body.result.offset).toBe(1)
  for (const client of [frames, tcp]) {
    expect((await client.next(isPublication)).push.pub).toEqual({ data, offset: 1, tags: { a: 'b' } })
  }
  // From the history, too.
  for (const client of [frames, tcp]) {
    const { history } = await client.call({ id: 3, history: { channel: 'kept:pretty', limit: 10 } })
    expect(history.publications).toEqual([{ data, offset: 1, tags: { a: 'b' } }])
  }
})

test('publications of one moment are joined into few frames, and all are there', async () => {
  const count = 500
  const channels = ['joined-a', 'joined-b']
  const frames = await openFrames()
  const tcp = await openTcp()
  for (const [index, channel] of channels.entries()) {
    await frames.call({ id: 2 + index, subscribe: { channel } })
    await tcp.call({ id: 2 + index, subscribe: { channel } })
  }
  const seen = frames.frames.length
  const publisher = await openTcp()
  const commands = Array.from({ length: count }, (_, n) =>
    JSON.stringify({ id: 10 + n, publish: { channel: channels[n % 2], data: n } }),
  )
  publisher.socket.write(`${commands.join('\n')}\n`)
  const all = Array.from({ length: count }, (_, n) => n)
  for (const client of [frames, tcp]) {
    await client.next(line => line.push?.pub?.data === count - 1)
    await client.next(line => line.push?.pub?.data === count - 2)
    const got = client.lines.filter(isPublication).map(({ push }) => push)
    for (const [index, channel] of channels.entries()) {
      expect(got.filter(push => push.channel === channel).map(({ pub }) => pub.data)).toEqual(
        all.filter(n => n % 2 === index),
      )
    }
  }
  expect(frames.frames.length - seen).toBeLessThan(count)
})

test('one publisher, subscribers of both kinds on all shards', async () => {
  const officials = await Promise.all(Array.from({ length: 12 }, () => connectedClient(relay.websocketUrl)))
  const plain = await Promise.all(Array.from({ length: 40 }, () => openTcp()))
  const recordings = await Promise.all(
    officials.map(async client => record(await subscribe(client, 'kept:everybody'), 'publication')),
  )
  for (const tcp of plain) await tcp.call({ id: 2, subscribe: { channel: 'kept:everybody' } })
  for (let shard = 0; shard < SHARDS; shard++) {
    expect(await relay.metric(`fanwire_subscriptions{shard="${shard}"}`)).toBeGreaterThan(0)
  }
  const numbers = Array.from({ length: 50 }, (_, n) => n)
  for (const n of numbers) void officials[0]!.publish('kept:everybody', n)
  for (const recording of recordings) {
    expect((await recording.until(50)).map(({ data }) => data)).toEqual(numbers)
  }
  for (const tcp of plain) {
    await tcp.next(line => line.push?.pub?.data === 49)
    const got = tcp.lines.filter(isPublication).map(({ push }) => [push.pub.offset, push.pub.data])
    expect(got).toEqual(numbers.map(n => [n + 1, n]))
  }
})

test('presence of three hundred clients is complete', async () => {
  const clients = await Promise.all(Array.from({ length: 300 }, () => openTcp()))
  await Promise.all(clients.map(tcp => tcp.call({ id: 2, subscribe: { channel: 'crowd' } })))
  const { presence } = (await relay.api('presence', { channel: 'crowd' })).body.result
  expect(Object.keys(presence)).toHaveLength(300)
  for (const [client, info] of Object.entries<any>(presence)) expect(info).toEqual({ user: '', client })
  const { presence: seen } = await clients[0]!.call({ id: 3, presence: { channel: 'crowd' } })
  expect(Object.keys(seen.presence).sort()).toEqual(Object.keys(presence).sort())
  expect((await relay.api('presence_stats', { channel: 'crowd' })).body.result).toEqual({
    num_clients: 300,
    num_users: 1,
  })
  expect((await relay.api('channels', { pattern: 'crowd' })).body.result).toEqual({
    channels: { crowd: { num_clients: 300 } },
  })
})
