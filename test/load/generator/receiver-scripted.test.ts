// The receivers in their thread, against a server that says what the test says: what no real one does when it is asked to.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { RECORD_NUMBERS } from '../../../load/ledger/recipients.ts'
import type { Receiver } from '../../../load/stage/thread.ts'
import { until } from '../../support/serving.ts'
import { CLEAN, deliveredBy, startReceiving, subscribers } from './receiving.ts'

type Command = Readonly<{ id: string; text: string; socket: WebSocket }>

/** Receivers of a server that accepts whoever connects, and leaves all else to the test. */
async function startScripted(onCommand: (command: Command) => void): Promise<Receiver> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  onTestFinished(() => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  await once(server, 'listening')
  server.on('connection', socket => {
    socket.on('message', data => {
      const text = String(data)
      if (text.includes('"connect"')) socket.send('{"id":1,"connect":{"client":"c","ping":25,"pong":true}}')
      else onCommand({ id: /"id":(\d+)/.exec(text)?.[1] ?? '', text, socket })
    })
  })
  const { port } = server.address() as AddressInfo
  const peer = { websocketUrl: `ws://127.0.0.1:${port}/`, ports: { http: port, tcp: 0, internal: 0 } }
  return startReceiving(peer).receiver
}

/** A publication to channel 0. */
const line = (sequence: number) =>
  `{"push":{"channel":"c","pub":{"data":"~fw~000000${String(sequence).padStart(10, '0')}0000000000000001~"}}}`

async function connect(receiver: Receiver, count: number): Promise<void> {
  const planned = subscribers(count, 'ws', [0])
  expect(await receiver.ask({ kind: 'connect', subscribers: planned })).toMatchObject({ connected: count })
}

/** After so many publications to channel 0. */
async function booksAfter(receiver: Receiver, last: number) {
  const channels = [{ channel: 0, last, exceptions: [] }]
  const { windows, ...books } = await receiver.ask({ kind: 'finish', channels })
  return books
}

test('pings of the protocol are answered, in the middle of publications too', async () => {
  const pongs: string[] = []
  const receiver = await startScripted(({ text, socket }) => {
    if (text.includes('"subscribe"')) {
      socket.send(`{}\n{"id":2,"subscribe":{}}\n{}`)
      socket.send(`${line(1)}\n${line(2)}\n{}\n${line(3)}`)
      socket.send('{}')
    } else pongs.push(text)
  })
  await connect(receiver, 1)
  await until(() => pongs.length >= 4)
  expect(pongs).toEqual(['{}', '{}', '{}', '{}'])
  expect(await deliveredBy(receiver)).toBe(3)
})

test.each([
  ['is asked to make anew, and then refused', true],
  ['has lost', false],
])('nobody waits for the publications of a subscription that one %s', async (_, reconnects) => {
  const subscribed: WebSocket[] = []
  const receiver = await startScripted(({ id, text, socket }) => {
    if (subscribed.includes(socket)) {
      socket.send(`{"id":${id},"error":{"code":103,"message":"permission denied"}}`)
      return
    }
    socket.send(`{"id":${id},"subscribe":{}}`)
    if (subscribed.push(socket) !== 2) return
    const [, channel] = /"channel":"([^"]*)"/.exec(text)!
    socket.send(`{"push":{"channel":"${channel}","unsubscribe":{"code":2500}}}`)
  })
  await receiver.ask({ kind: 'reconnectWhenEnded', on: reconnects })
  await connect(receiver, 3)
  let ends = 0
  await until(async () => {
    ends += (await receiver.ask({ kind: 'progress' })).ended['2500'] ?? 0
    return ends === 1
  })
  const failed = reconnects ? 1 : 0
  expect(await receiver.ask({ kind: 'reconnectWhenEnded', on: false })).toMatchObject({ failed })
  for (const socket of [subscribed[0]!, subscribed[2]!]) socket.send(line(1))
  let complete = 0
  await until(async () => {
    const progress = await receiver.ask({ kind: 'progress' })
    complete += progress.complete.length / RECORD_NUMBERS
    return progress.deliveredTotal >= 2
  })
  expect(complete).toBe(1)
  expect(await booksAfter(receiver, 1)).toEqual({ ...CLEAN, expected: 3, delivered: 2, toldLost: 1 })
})

test('who is on the way back knows of what is missed meanwhile', async () => {
  let subscribed = 0
  const receiver = await startScripted(({ id, socket }) => {
    // The second time it has no answer.
    if (++subscribed > 1) return
    socket.send(`{"id":${id},"subscribe":{}}`)
    socket.send(line(1), () => socket.terminate())
  })
  await receiver.ask({ kind: 'reconnectWhenEnded', on: true })
  await receiver.ask({ kind: 'connect', subscribers: subscribers(1, 'ws', [0]) })
  await until(() => subscribed > 1)
  expect(await booksAfter(receiver, 3)).toEqual({ ...CLEAN, expected: 3, delivered: 1, toldLost: 2 })
})

test('what a server leaves out that says “recovered” is lost in silence', async () => {
  const sockets: WebSocket[] = []
  const where = '"recoverable":true,"epoch":"e","offset":0'
  const receiver = await startScripted(({ id, socket }) => {
    const recovered = sockets.push(socket) > 1 ? ',"recovered":true,"was_recovering":true' : ''
    socket.send(`{"id":${id},"subscribe":{${where}${recovered}}}`)
  })
  await connect(receiver, 1)
  sockets[0]!.send(`${line(1)}\n${line(2)}`)
  await until(async () => (await deliveredBy(receiver)) === 2)
  await receiver.ask({ kind: 'cut', subscribers: [0] })
  expect(await receiver.ask({ kind: 'reconnect', subscribers: [0] })).toMatchObject({ recovered: 1 })
  sockets[1]!.send(line(4))
  await until(async () => (await deliveredBy(receiver)) === 3)
  expect(await booksAfter(receiver, 4)).toEqual({ ...CLEAN, expected: 4, delivered: 3, lost: 1 })
})

test('who loses the connection while coming back to a channel comes back by itself', async () => {
  let departures = 0
  const receiver = await startScripted(({ id, text, socket }) => {
    if (text.includes('"subscribe"')) socket.send(`{"id":${id},"subscribe":{}}`)
    else if (departures++ === 0) socket.terminate()
    else socket.send(`{"id":${id},"unsubscribe":{}}`)
  })
  await connect(receiver, 1)
  await receiver.ask({ kind: 'reconnectWhenEnded', on: true })
  const churn = { connectionsPerSecond: 0, subscriptionsPerSecond: 100, subscribers: [0] }
  await receiver.ask({ kind: 'churn', ...churn })
  await until(() => departures >= 3)
  const { failed, resubscriptions } = await receiver.ask({ kind: 'stopChurn' })
  expect(failed).toBe(0)
  expect(resubscriptions).toBeGreaterThan(1)
  expect((await receiver.ask({ kind: 'progress' })).connections).toBe(1)
  expect((await receiver.ask({ kind: 'reconnectWhenEnded', on: false })).backMs).toHaveLength(1)
})
