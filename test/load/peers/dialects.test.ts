// The dialects of the peers against their real servers, spoken through a WebSocket client of someone else.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import type { Answer, Dialect } from '../../../load/generator/dialect.ts'
import { MARK, payloadText, readMark } from '../../../load/generator/payload.ts'
import { readCommands } from '../../../load/peers/lines.ts'
import * as mosquitto from '../../../load/peers/mosquitto.ts'
import * as nats from '../../../load/peers/nats.ts'
import * as socketio from '../../../load/peers/socketio.ts'
import * as uwebsockets from '../../../load/peers/uwebsockets.ts'
import * as ws from '../../../load/peers/ws.ts'

const modules = [uwebsockets, ws, socketio, nats, mosquitto]
const versions = await Promise.all(modules.map(({ peer }) => peer.version()))
const cases = modules.map((module, index) => ({
  ...module,
  name: module.peer.name,
  installed: versions[index] !== undefined,
}))

type Client = Readonly<{
  send: (data: string | Uint8Array) => void
  /** Messages that came and were not asked for, oldest first. */
  next: () => Promise<Buffer>
  /** Resolves with the first message that is an answer. */
  answer: (answerOf: (message: Buffer) => Answer) => Promise<Answer>
}>

async function openClient(url: string, dialect: Dialect): Promise<Client> {
  const socket = new WebSocket(url, dialect.subprotocol ?? [])
  onTestFinished(() => socket.terminate())
  const came: Buffer[] = []
  let wake = () => {}
  socket.on('message', message => {
    came.push(message as Buffer)
    wake()
  })
  await once(socket, 'open')
  const next = async () => {
    while (came.length === 0) await new Promise<void>(resolve => (wake = resolve))
    return came.shift()!
  }
  const client: Client = {
    send: data => socket.send(data),
    next,
    async answer(answerOf) {
      for (;;) {
        const answer = answerOf(await next())
        if (answer.state !== 'none') return answer
      }
    },
  }
  const hello = dialect.connect?.(1, undefined)
  if (hello !== undefined) {
    client.send(hello)
    expect(await client.answer(dialect.connected)).toEqual({ state: 'ok' })
  }
  return client
}

describe.each(cases)('$name', ({ peer, dialect, installed }) => {
  test.skipIf(!installed)('passes publications on in order, with their bytes as they were', async () => {
    const target = await peer.start()
    onTestFinished(target.stop)
    const url = target.endpoint.websocket!
    const subscriber = await openClient(url, dialect)
    const bystander = await openClient(url, dialect)
    const publisher = await openClient(url, dialect)
    // Ids of subscriptions go beyond what a protocol may have as id.
    const channel = `run-${randomBytes(4).toString('hex')}-7`
    subscriber.send(dialect.subscribe(70_000, channel, undefined))
    expect(await subscriber.answer(message => dialect.subscribed(message, 70_000))).toEqual({ state: 'ok' })
    bystander.send(dialect.subscribe(2, `${channel}0`, undefined))
    expect(await bystander.answer(message => dialect.subscribed(message, 2))).toEqual({ state: 'ok' })

    const payloads = [64, 128, 1000, 20_000].map((size, index) => payloadText(7, index + 1, 1e9, size))
    payloads.forEach((payload, index) => {
      publisher.send(dialect.publish(3 + index, channel, payload))
    })
    const bytes: Buffer[] = []
    while (!Buffer.concat(bytes).includes(payloads.at(-1)!)) bytes.push(await subscriber.next())
    const all = Buffer.concat(bytes)
    let at = 0
    for (const payload of payloads) {
      at = all.indexOf(payload, at)
      expect(at).toBeGreaterThanOrEqual(0)
      expect(readMark(all, all.indexOf(MARK, at))).toBe(1e9)
      at += payload.length
    }
    expect(all.indexOf(MARK, at)).toBe(-1)

    publisher.send(dialect.publish(9, `${channel}0`, payloads[0]!))
    expect((await bystander.next()).includes(payloads[0]!)).toBe(true)
  })

  test.skipIf(!installed)('tells what its process uses, and is gone once it is stopped', async () => {
    const target = await peer.start()
    const { cpuUs, bytes } = await target.use()
    if (process.platform === 'linux') {
      expect(cpuUs).toBeGreaterThanOrEqual(0)
      expect(bytes).toBeGreaterThan(1e6)
    }
    await target.stop()
    const socket = new WebSocket(target.endpoint.websocket!)
    await expect(once(socket, 'open')).rejects.toThrow('ECONNREFUSED')
  })
})

describe('refusals', () => {
  test('of MQTT: to connect, to subscribe', () => {
    const { dialect } = mosquitto
    expect(dialect.connected(Buffer.from([0x20, 2, 0, 5]))).toEqual({ state: 'error', reason: 'CONNACK 5' })
    const id = 1
    const suback = (code: number) => Buffer.from([0x90, 3, 0, id + 1, code])
    expect(dialect.subscribed(suback(0), id)).toEqual({ state: 'ok' })
    expect(dialect.subscribed(suback(0x80), id)).toEqual({ state: 'error', reason: 'SUBACK 128' })
    expect(dialect.subscribed(suback(0), id + 1)).toEqual({ state: 'none' })
  })

  test('of NATS: any error', () => {
    const error = Buffer.from("-ERR 'Authorization Violation'\r\n")
    expect(nats.dialect.connected(error)).toMatchObject({ state: 'error' })
    expect(nats.dialect.connected(Buffer.from('INFO {}\r\n'))).toEqual({ state: 'none' })
  })

  test('of Socket.IO: to connect', () => {
    expect(socketio.dialect.connected(Buffer.from('44{"message":"no"}'))).toMatchObject({ state: 'error' })
    expect(socketio.dialect.connected(Buffer.from('0{"sid":"40"}'))).toEqual({ state: 'none' })
  })
})

describe('MQTT packets', () => {
  test.each([
    { bytes: 127, header: [0x30, 127] },
    { bytes: 128, header: [0x30, 0x80, 1] },
    { bytes: 16_383, header: [0x30, 0xff, 0x7f] },
    { bytes: 16_384, header: [0x30, 0x80, 0x80, 1] },
  ])('of $bytes bytes have their length in groups of seven bits', ({ bytes, header }) => {
    // Two bytes for the length of the channel's name, one for the name.
    const packet = mosquitto.dialect.publish(1, 'c', 'x'.repeat(bytes - 3)) as Buffer
    expect([...packet.subarray(0, header.length)]).toEqual(header)
    expect(packet.length).toBe(header.length + bytes)
  })
})

describe('pings', () => {
  test('are answered, and nothing else is', () => {
    expect(socketio.dialect.pong!(Buffer.from('2'))).toBe('3')
    expect(socketio.dialect.pong!(Buffer.from('43'))).toBeUndefined()
    expect(nats.dialect.pong!(Buffer.from('PING\r\n'))).toBe('PONG\r\n')
    expect(nats.dialect.pong!(Buffer.from('+OK\r\n'))).toBeUndefined()
  })
})

test('the plain protocol takes several commands in a frame', () => {
  const { dialect } = ws
  const frame = [dialect.subscribe(2, 'a-1', undefined), dialect.publish(3, 'b-2', '"x y"')].join('\n')
  expect(readCommands(frame)).toEqual([
    { kind: 'subscribe', channel: 'a-1', answer: '{"subscribed":2}' },
    { kind: 'publish', channel: 'b-2', message: '{"channel":"b-2","data":"x y"}' },
  ])
})
