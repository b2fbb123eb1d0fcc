// The faulty relay itself, in front of a server that says what the test says: what is not the fault passes unharmed,
// and its counts are true. What the harness makes of it: faults.test.ts.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Fault, type FaultyRelay, startFaultyRelay } from '../support/faulty.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

type Setup = Readonly<{ proxy: FaultyRelay; client: Socket; server: Socket; received: () => Buffer }>

/** One connection through the proxy; the same port plays both transports. */
async function lay(fault: Fault, transport: 'http' | 'tcp'): Promise<Setup> {
  const upstream = createServer()
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const { port } = upstream.address() as AddressInfo
  const proxy = await startFaultyRelay({ ports: { http: port, tcp: port } }, fault)
  const accepted = once(upstream, 'connection')
  const client = connect(proxy.ports[transport], '127.0.0.1')
  const chunks: Buffer[] = []
  client.on('data', chunk => chunks.push(chunk))
  const [server] = (await accepted) as [Socket]
  closing.push(() => {
    proxy.close()
    client.destroy()
    server.destroy()
    upstream.close()
  })
  return { proxy, client, server, received: () => Buffer.concat(chunks) }
}

/** Writes in pieces of any size, and reads all that comes of it. */
async function pass({ server, client, received }: Setup, bytes: Buffer, pieceBytes: number): Promise<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    server.write(bytes.subarray(at, at + pieceBytes))
    if (bytes.length < 10_000) await new Promise(setImmediate)
  }
  server.end()
  await once(client, 'close')
  return received()
}

const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'

const publication = (channel: string, n: number) =>
  `{"push":{"channel":"${channel}","pub":{"data":"${'x'.repeat(n % 300)}","offset":${n}}}}`

/** Unmasked, as servers write them. */
function frame(text: string, opcode = 0x81): Buffer {
  const payload = Buffer.from(text)
  const header =
    payload.length < 126
      ? [opcode, payload.length]
      : payload.length < 65_536
        ? [opcode, 126, payload.length >> 8, payload.length & 0xff]
        : [
            opcode,
            127,
            0,
            0,
            0,
            0,
            0,
            payload.length >> 16,
            (payload.length >> 8) & 0xff,
            payload.length & 0xff,
          ]
  return Buffer.concat([Buffer.from(header), payload])
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

/** Channel → offsets in the order in which they came. */
function offsetsOf(bytes: Buffer): Record<string, number[]> {
  const offsets: Record<string, number[]> = {}
  for (const [, channel, offset] of bytes
    .toString('latin1')
    .matchAll(/"channel":"(\w+)","pub":\{"data":"x*","offset":(\d+)/g)) {
    offsets[channel!] = [...(offsets[channel!] ?? []), Number(offset)]
  }
  return offsets
}

describe.each([1, 7, 100_000])('in pieces of %i bytes', pieceBytes => {
  test('what comes by WebSocket passes unharmed', async () => {
    const setup = await lay({ kind: 'none' }, 'http')
    const bytes = Buffer.concat([
      Buffer.from(UPGRADED),
      frame('{"id":1,"connect":{}}'),
      frame(
        range(40)
          .map(n => publication('a', n))
          .join('\n'),
      ),
      frame('', 0x89),
      frame('half', 0x01),
      frame('whole', 0x80),
      ...(pieceBytes > 1000 ? [frame(publication('a', 1).padEnd(70_000))] : []),
      frame('\u0003\u00e8', 0x88),
    ])
    expect((await pass(setup, bytes, pieceBytes)).equals(bytes)).toBe(true)
    expect(setup.proxy.counts.publications).toBe(pieceBytes > 1000 ? 41 : 40)
  })

  test('what comes by TCP passes unharmed', async () => {
    const setup = await lay({ kind: 'none' }, 'tcp')
    const bytes = Buffer.from(
      `{}\n${range(40)
        .map(n => `${publication('a', n)}\n`)
        .join('')}{"id":2,"subscribe":{}}\n`,
    )
    expect((await pass(setup, bytes, pieceBytes)).equals(bytes)).toBe(true)
    expect(setup.proxy.counts).toMatchObject({ publications: 40, dropped: 0, swapped: 0, repeated: 0 })
  })

  test('other answers over HTTP pass unharmed', async () => {
    const setup = await lay({ kind: 'drop', every: 1 }, 'http')
    const bytes = Buffer.from(`HTTP/1.1 503 Service Unavailable\r\n\r\n${publication('a', 1)}\n`)
    expect((await pass(setup, bytes, pieceBytes)).equals(bytes)).toBe(true)
  })
})

/** 300 publications to two channels in turn, joined by seven. */
function stream(transport: 'http' | 'tcp'): Buffer {
  const lines = range(300).map(n => publication(n % 2 === 0 ? 'even' : 'odd', n))
  const groups = range(Math.ceil(lines.length / 7)).map(i => lines.slice((i - 1) * 7, i * 7))
  return transport === 'tcp'
    ? Buffer.from(lines.map(line => `${line}\n`).join(''))
    : Buffer.concat([Buffer.from(UPGRADED), ...groups.map(group => frame(group.join('\n')))])
}

describe.each(['http', 'tcp'] as const)('over %s', transport => {
  test('one of 25 is dropped', async () => {
    const setup = await lay({ kind: 'drop', every: 25 }, transport)
    const { even, odd } = offsetsOf(await pass(setup, stream(transport), 1000))
    expect([...even!, ...odd!].sort((a, b) => a - b)).toEqual(range(300).filter(n => n % 25 !== 0))
    expect(setup.proxy.counts).toEqual({ publications: 300, dropped: 12, swapped: 0, repeated: 0, stalls: 0 })
    expect([...setup.proxy.perSubscription].map(([name, counts]) => [name, counts.dropped])).toEqual([
      ['1 odd', 6],
      ['1 even', 6],
    ])
  })

  test('one of 25 comes twice', async () => {
    const setup = await lay({ kind: 'repeat', every: 25 }, transport)
    const { even, odd } = offsetsOf(await pass(setup, stream(transport), 1000))
    const twice = range(300).flatMap(n => (n % 25 === 0 ? [n, n] : [n]))
    expect(even).toEqual(twice.filter(n => n % 2 === 0))
    expect(odd).toEqual(twice.filter(n => n % 2 === 1))
    expect(setup.proxy.counts.repeated).toBe(12)
  })

  test('one of 25 comes after the next of its channel; the last, which has none, as it is', async () => {
    const setup = await lay({ kind: 'swap', every: 25 }, transport)
    setup.server.write(stream(transport))
    const all = () => Object.values(offsetsOf(setup.received())).flat()
    await expect.poll(() => all().length, { timeout: 20_000 }).toBe(300)
    const { even, odd } = offsetsOf(setup.received())
    const swapped = (offsets: number[]) => offsets.filter((n, i) => i > 0 && n < offsets[i - 1]!)
    expect(swapped(even!)).toEqual([50, 100, 150, 200, 250])
    expect(swapped(odd!)).toEqual([25, 75, 125, 175, 225, 275])
    expect(setup.proxy.counts.swapped).toBe(11)
  })

  test('everything stands still, and then goes on in order', async () => {
    const setup = await lay({ kind: 'stall', every: 100, ms: 60 }, transport)
    const startMs = performance.now()
    const { even } = offsetsOf(await pass(setup, stream(transport), 1000))
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(60)
    expect(even).toEqual(range(300).filter(n => n % 2 === 0))
    expect(setup.proxy.counts.stalls).toBe(3)
  })
})

test('what the client says goes on to the relay', async () => {
  const { client, server } = await lay({ kind: 'drop', every: 1 }, 'tcp')
  onTestFinished(() => void client.destroy())
  client.write(publication('a', 1))
  const [chunk] = (await once(server, 'data')) as [Buffer]
  expect(chunk.toString()).toBe(publication('a', 1))
})
