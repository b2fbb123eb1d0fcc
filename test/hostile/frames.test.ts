// Wrong bytes below the commands: WebSocket frames, lines and UTF-8. What the library itself refuses ends without a
// close frame (code 0 here, 1006 at a browser).

import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { exchange, openSocket, RawClient, upgradeRequest } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { expectServing, sumOf, until } from '../support/serving.ts'
import { clientFrame, OPCODE } from '../support/websocket-frames.ts'

const KIB = 1024
const MIB = KIB * KIB
const PING = '{"id":2,"ping":{}}'
let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({ tcp: { line_timeout: '300ms' } })
})

afterEach(() => expectServing(relay))

afterAll(async () => {
  expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
  expect(await relay.stop()).toBe(0)
})

describe('a WebSocket frame', () => {
  test.each<[string, (client: RawClient) => void]>([
    ['of text that is not UTF-8', client => client.frame(Buffer.from([0x22, 0xff, 0x22]), {})],
    [
      'with a surrogate in its UTF-8',
      client => client.frame(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), {}),
    ],
    ['of an opcode nobody has defined', client => client.frame(PING, { opcode: 3 })],
    ['with a reserved bit', client => client.socket.write(Buffer.from([0xc1, 0x80, 0, 0, 0, 0]))],
    ['of 72 KiB and a byte', client => client.frame('x'.repeat(72 * KIB + 1), {})],
    ['that claims 2 GiB', client => client.frame('', { claimedBytes: 2 ** 31 })],
    [
      'that claims more than numbers hold',
      client => client.frame('', { claimedBytes: Number.MAX_SAFE_INTEGER }),
    ],
    ['that goes on with nothing', client => client.frame(PING, { opcode: OPCODE.continuation })],
    ['of control in parts', client => client.frame('x', { opcode: OPCODE.ping, final: false })],
    ['of control with 126 bytes', client => client.frame('x'.repeat(126), { opcode: OPCODE.ping })],
    [
      'that begins a message within another',
      client => {
        client.frame('{"id"', { final: false })
        client.frame(PING, {})
      },
    ],
  ])('%s ends the connection without a word', async (_name, write) => {
    const client = await RawClient.connect(relay, 'websocket')
    write(client)
    expect(await client.ended).toEqual({ code: 0, reason: '' })
  })

  test('that is not masked is read as if it were, and is no command', async () => {
    const client = await RawClient.connect(relay, 'websocket')
    client.socket.write(Buffer.from([0x81, PING.length, ...Buffer.from(`${PING}    `)]))
    expect(await client.ended).toMatchObject({ code: 3501, reason: 'bad request: not JSON' })
  })

  test('of binary ends the connection with 3501', async () => {
    const client = await RawClient.connect(relay, 'websocket')
    client.frame(PING, { opcode: OPCODE.binary })
    expect(await client.ended).toMatchObject({
      code: 3501,
      reason: expect.stringContaining('a binary frame'),
    })
  })

  test('in parts is one message, with control frames in between', async () => {
    const client = await RawClient.connect(relay, 'websocket')
    client.frame(PING.slice(0, 5), { final: false })
    client.frame('are you there', { opcode: OPCODE.ping })
    client.frame(PING.slice(5, 9), { opcode: OPCODE.continuation, final: false })
    client.frame(PING.slice(9), { opcode: OPCODE.continuation })
    expect(await client.next(({ id }) => id === 2)).toEqual({ id: 2, ping: {} })
    expect(client.pongs).toBe(1)
    client.close()
  })

  test('in parts that are too large together ends the connection', async () => {
    const client = await RawClient.connect(relay, 'websocket')
    client.frame('x'.repeat(40 * KIB), { final: false })
    client.frame('x'.repeat(40 * KIB), { opcode: OPCODE.continuation })
    expect(await client.ended).toEqual({ code: 0, reason: '' })
  })

  test('byte by byte is understood', async () => {
    const client = await RawClient.connect(relay, 'websocket')
    client.socket.setNoDelay(true)
    for (const byte of clientFrame(PING)) {
      await new Promise(resolve => client.socket.write(Buffer.of(byte), resolve))
    }
    expect(await client.next(({ id }) => id === 2)).toEqual({ id: 2, ping: {} })
    client.close()
  })

  test('of 2,048 commands is carried out, of 2,049 it ends the connection with 3501', async () => {
    const pings = (count: number) =>
      Array.from({ length: count }, (_, i) => `{"id":${i + 2},"ping":{}}`).join('\n')
    const client = await RawClient.connect(relay, 'websocket')
    client.text(pings(2048))
    await client.next(({ id }) => id === 2049)
    expect(client.lines.map(({ id }) => id)).toEqual(Array.from({ length: 2049 }, (_, i) => i + 1))
    client.text(pings(2049))
    expect(await client.ended).toMatchObject({
      code: 3501,
      reason: 'bad request: more than 2048 commands in a frame',
    })
  })
})

test('20,000 WebSocket pings are answered, 20,000 pongs that nobody asked for are ignored', async () => {
  const client = await RawClient.connect(relay, 'websocket')
  const many = (opcode: number) =>
    Buffer.concat(Array.from({ length: 20_000 }, () => clientFrame('x', { opcode })))
  client.socket.write(many(OPCODE.ping))
  client.socket.write(many(OPCODE.pong))
  expect(await client.call({ id: 2, ping: {} })).toEqual({ id: 2, ping: {} })
  expect(client.pongs).toBe(20_000)
  client.close()
})

test('pings of a client that does not read end its connection before their pongs take much memory', async () => {
  const before = (await relay.metric('fanwire_disconnects_total{code="3008"}'))!
  const client = await RawClient.connect(relay, 'websocket')
  client.pause()
  const flood = Buffer.concat(
    Array.from({ length: 2_000 }, () => clientFrame('x'.repeat(125), { opcode: OPCODE.ping })),
  )
  const pour = () => {
    while (!client.socket.destroyed && client.socket.write(flood));
  }
  client.socket.on('drain', pour)
  pour()
  await until(async () => (await relay.metric('fanwire_disconnects_total{code="3008"}'))! > before)
  client.close()
})

test('2,000 connections whose frames claim 70 KB and bring nothing take little memory', async () => {
  const residentBytes = () => {
    const status = readFileSync(`/proc/${relay.process.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * KIB
  }
  const clients = await Promise.all(Array.from({ length: 2_000 }, () => RawClient.open(relay, 'websocket')))
  await until(async () => (await sumOf(relay, 'fanwire_connections', 'transport="websocket"')) >= 2_000)
  const before = residentBytes()
  for (const client of clients) client.frame('x', { claimedBytes: 70_000 })
  await expectServing(relay)
  // All that they claim would be 134 MiB.
  expect(residentBytes() - before).toBeLessThan(40 * MIB)
  for (const client of clients) client.close()
  await until(async () => (await sumOf(relay, 'fanwire_connections', 'transport="websocket"')) === 0)
})

describe('a TCP line', () => {
  test('that is not UTF-8 ends the connection with 3501', async () => {
    const client = await RawClient.connect(relay, 'tcp')
    client.socket.write(Buffer.from([0x22, 0xff, 0x22, 0x0a]))
    expect(await client.ended).toMatchObject({ code: 3501, reason: 'bad request: a line is not UTF-8' })
  })

  test('that never ends is cut at 64 KiB', async () => {
    const client = await RawClient.connect(relay, 'tcp')
    client.socket.write(Buffer.alloc(64 * KIB + 1, 'x'))
    expect(await client.ended).toMatchObject({ code: 3501, reason: 'bad request: a line is too long' })
  })

  test('that stops half way ends the connection after line_timeout, live or not', async () => {
    for (const open of [RawClient.open, RawClient.connect]) {
      const client = await open(relay, 'tcp')
      client.socket.write('{"id":2,')
      expect(await client.ended).toMatchObject({
        code: 3501,
        reason: 'bad request: a line took too long to end',
      })
    }
  })

  test('that trickles has the time of its first byte, not of its last', async () => {
    const client = await RawClient.connect(relay, 'tcp')
    const trickle = setInterval(() => client.socket.write('x'), 20)
    expect(await client.ended).toMatchObject({
      code: 3501,
      reason: 'bad request: a line took too long to end',
    })
    clearInterval(trickle)
  })

  test('that is empty, or ends with CR LF, does no harm', async () => {
    const client = await RawClient.connect(relay, 'tcp')
    client.socket.write(`\n\r\n \t\n${PING}\r\n`)
    expect(await client.next(({ id }) => id === 2)).toEqual({ id: 2, ping: {} })
    client.close()
  })
})

test('HTTP to the TCP port gets a goodbye in its own protocol', async () => {
  const { socket } = await openSocket(relay.ports.tcp)
  const { head } = await exchange(socket, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  expect(JSON.parse(head)).toEqual({
    push: { disconnect: { code: 3501, reason: 'bad request: not JSON' } },
  })
})

test('an upgrade that asks for compression or protobuf gets neither', async () => {
  const { socket } = await openSocket(relay.ports.http)
  const deflate = upgradeRequest({ 'Sec-WebSocket-Extensions': 'permessage-deflate' })
  const { head } = await exchange(socket, deflate)
  expect(head).toContain('101 Switching Protocols')
  expect(head.toLowerCase()).not.toContain('sec-websocket-extensions')
  socket.destroy()
  const other = await openSocket(relay.ports.http)
  const protobuf = upgradeRequest({ 'Sec-WebSocket-Protocol': 'centrifuge-protobuf' })
  expect((await exchange(other.socket, protobuf)).head).toContain('400 Bad Request')
  other.socket.destroy()
})
