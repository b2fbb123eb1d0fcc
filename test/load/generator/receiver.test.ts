// The receivers in their thread, against the real relay: what they count is what was published, whatever happens to
// their connections.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { nowUs } from '../../../load/generator/clock.ts'
import { RECORD_NUMBERS } from '../../../load/ledger/recipients.ts'
import type { Receiver } from '../../../load/stage/thread.ts'
import { startTestRelay, type TestRelay } from '../../support/relay.ts'
import { until } from '../../support/serving.ts'
import { countOf } from './publishing.ts'
import { booksOf, CLEAN, CONFIG, deliveredBy, openDoor, startReceiving, subscribers } from './receiving.ts'

/** For tests that do it no harm. */
let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay(CONFIG)
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
})

async function connect(receiver: Receiver, planned: ReturnType<typeof subscribers>): Promise<void> {
  expect(await receiver.ask({ kind: 'connect', subscribers: planned })).toMatchObject({
    connected: planned.length,
    failed: 0,
    errors: [],
  })
}

const connectionsOf = async (receiver: Receiver) => (await receiver.ask({ kind: 'progress' })).connections
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

describe.each(['ws', 'tcp'] as const)('over %s', transport => {
  test('every delivery is counted once, and each latency in its window', async () => {
    const { receiver, source } = startReceiving(relay)
    await connect(receiver, subscribers(10, transport, [0, 12, 345]))
    await connect(receiver, subscribers(5, transport, [0], { from: 10, aside: true }))
    await source.publish(relay, [0, 12, 345], 50)
    const fromUs = nowUs()
    await receiver.ask({ kind: 'window', id: 7, fromUs })
    await source.publish(relay, [0, 12, 345], 20)
    await receiver.ask({ kind: 'window', id: 7, fromUs, toUs: nowUs() })
    await source.publish(relay, [0], 5)
    let [deliveries, latencies, complete] = [0, 0, 0]
    const expected = 10 * 215 + 5 * 75
    await until(async () => {
      const progress = await receiver.ask({ kind: 'progress' })
      deliveries += progress.deliveries
      latencies += countOf(progress.latency)
      complete += progress.complete.length / RECORD_NUMBERS
      expect(progress).toMatchObject({ connections: 15, ended: {}, deliveredTotal: deliveries })
      return deliveries >= expected
    })
    // Those aside are in no latency.
    expect([deliveries, latencies, complete]).toEqual([expected, 10 * 215, 215])
    const windows = await receiver.ask({ kind: 'windows' })
    expect(windows.map(([id, latency]) => [id, countOf(latency)])).toEqual([[7, 10 * 60]])
    expect(await booksOf(receiver, source)).toEqual({ ...CLEAN, expected, delivered: expected })
    await receiver.ask({ kind: 'close' })
  })

  test('a subscriber that is paused reads nothing until it goes on', async () => {
    const { receiver, source } = startReceiving(relay)
    await connect(receiver, subscribers(4, transport, [0]))
    await receiver.ask({ kind: 'pause', subscribers: [1, 2] })
    await source.publish(relay, [0], 200)
    await until(async () => (await deliveredBy(receiver)) >= 400)
    expect(await deliveredBy(receiver)).toBe(400)
    await receiver.ask({ kind: 'resume', subscribers: [1, 2] })
    await until(async () => (await deliveredBy(receiver)) >= 800)
    expect(await booksOf(receiver, source)).toEqual({ ...CLEAN, expected: 800, delivered: 800 })
  })

  test('those that are cut come back and recover what they missed', async () => {
    const { receiver, source } = startReceiving(relay, 'kept:')
    await connect(receiver, subscribers(20, transport, [0, 1]))
    await source.publish(relay, [0, 1], 30)
    await until(async () => (await deliveredBy(receiver)) >= 20 * 60)
    await receiver.ask({ kind: 'cut', subscribers: numbers(0, 12) })
    expect(await connectionsOf(receiver)).toBe(8)
    await source.publish(relay, [0, 1], 40)
    await until(async () => (await deliveredBy(receiver)) >= 20 * 60 + 8 * 80)
    const back = await receiver.ask({ kind: 'reconnect', subscribers: numbers(0, 12) })
    expect(back).toMatchObject({ recovered: 24, notRecovered: 0, failed: 0 })
    expect(back.backMs).toHaveLength(12)
    expect(back.backMs.every(ms => ms > 0)).toBe(true)
    await source.publish(relay, [0, 1], 10)
    const expected = 20 * 160
    await until(async () => (await deliveredBy(receiver)) >= expected)
    expect(await booksOf(receiver, source)).toEqual({
      ...CLEAN,
      expected,
      delivered: expected,
      recovered: 12 * 80,
    })
  })

  test.each([
    ['a history that is too short', 'short:'],
    ['no history', ''],
  ])('with %s they are told of what they lost', async (_, namespace) => {
    const { receiver, source } = startReceiving(relay, namespace)
    await connect(receiver, subscribers(3, transport, [0]))
    await source.publish(relay, [0], 10)
    await until(async () => (await deliveredBy(receiver)) >= 30)
    await receiver.ask({ kind: 'cut', subscribers: [0] })
    await source.publish(relay, [0], 20)
    expect(await receiver.ask({ kind: 'reconnect', subscribers: [0] })).toMatchObject({
      recovered: 0,
      notRecovered: 1,
    })
    await source.publish(relay, [0], 30)
    await until(async () => (await deliveredBy(receiver)) >= 3 * 60 - 20)
    expect(await booksOf(receiver, source)).toEqual({
      ...CLEAN,
      expected: 180,
      delivered: 160,
      toldLost: 20,
    })
  })

  test('those that leave and come again are owed what is published while they are there', async () => {
    const { receiver, source } = startReceiving(relay, 'kept:')
    await connect(receiver, subscribers(5, transport, [0, 1]))
    await connect(receiver, subscribers(8, transport, [0, 1], { from: 5, aside: true }))
    const churn = { connectionsPerSecond: 50, subscriptionsPerSecond: 50, subscribers: numbers(5, 13) }
    await receiver.ask({ kind: 'churn', ...churn })
    const endUs = nowUs() + 500_000
    await until(async () => {
      await source.publish(relay, [0, 1], 5)
      return nowUs() > endUs
    })
    const { reconnects, resubscriptions, failed } = await receiver.ask({ kind: 'stopChurn' })
    expect(failed).toBe(0)
    expect(reconnects).toBeGreaterThan(0)
    expect(resubscriptions).toBeGreaterThan(0)
    expect(await connectionsOf(receiver)).toBe(13)
    await source.publish(relay, [0, 1], 1)
    // The last one has come to all.
    await until(async () => (await booksOf(receiver, source)).lost === 0)
    const books = await booksOf(receiver, source)
    expect(books).toMatchObject({ ...CLEAN, expected: books.delivered })
    const all = source.ends().reduce((sum, { last }) => sum + last, 0)
    expect(books.delivered).toBeGreaterThanOrEqual(5 * all)
    expect(books.delivered).toBeLessThanOrEqual(13 * all)
  })
})

test('when a shard ends its connections they come back by themselves, and nothing is lost in silence', async () => {
  const relay = await startTestRelay(CONFIG)
  const { receiver, source } = startReceiving(relay, 'kept:')
  const channels = numbers(0, 6)
  await connect(receiver, [
    ...subscribers(10, 'ws', channels),
    ...subscribers(10, 'tcp', channels, { from: 10 }),
  ])
  await receiver.ask({ kind: 'reconnectWhenEnded', on: true })
  await source.publish(relay, channels, 10)
  await until(async () => (await deliveredBy(receiver)) >= 20 * 60)
  await relay.quarantine(0)
  await until(async () => (await connectionsOf(receiver)) === 20)
  const { recovered, notRecovered, failed } = await receiver.ask({ kind: 'reconnectWhenEnded', on: false })
  expect(recovered + notRecovered).toBeGreaterThan(0)
  expect(failed).toBe(0)
  await source.publish(relay, channels, 10)
  await until(async () => (await booksOf(receiver, source)).lost === 0)
  const books = await booksOf(receiver, source)
  expect(books).toMatchObject({ lost: 0, duplicated: 0, outOfOrder: 0, unreadable: 0, expected: 20 * 120 })
  expect(books.delivered + books.toldLost).toBe(books.expected)
})

test('without that they stay away, and the ends are counted by their codes', async () => {
  const relay = await startTestRelay()
  const { receiver } = startReceiving(relay)
  await connect(receiver, [...subscribers(3, 'ws', [0]), ...subscribers(4, 'tcp', [0], { from: 3 })])
  expect(await relay.stop()).toBe(0)
  const ended: Record<string, number> = {}
  await until(async () => {
    const progress = await receiver.ask({ kind: 'progress' })
    for (const [code, count] of Object.entries(progress.ended)) ended[code] = (ended[code] ?? 0) + count
    return progress.connections === 0
  })
  expect(ended).toEqual({ 3001: 7 })
})

test('a relay that was killed is asked again until another is there', async () => {
  const relay = await startTestRelay(CONFIG)
  const [http, tcp] = await Promise.all([openDoor(relay.ports.http), openDoor(relay.ports.tcp)])
  const { receiver, source } = startReceiving(
    {
      websocketUrl: `ws://127.0.0.1:${http.port}/connection/websocket`,
      ports: { ...relay.ports, tcp: tcp.port },
    },
    'kept:',
  )
  await connect(receiver, [...subscribers(3, 'ws', [0]), ...subscribers(3, 'tcp', [0], { from: 3 })])
  await source.publish(relay, [0], 10)
  await until(async () => (await deliveredBy(receiver)) >= 60)
  relay.process.kill('SIGKILL')
  await until(async () => (await connectionsOf(receiver)) === 0)
  const back = receiver.ask({ kind: 'reconnect', subscribers: numbers(0, 6) })
  const next = await startTestRelay(CONFIG)
  http.leadTo(next.ports.http)
  tcp.leadTo(next.ports.tcp)
  expect(await back).toMatchObject({ recovered: 0, notRecovered: 6, failed: 0 })
  await source.publish(next, [0], 10)
  await until(async () => (await deliveredBy(receiver)) >= 120)
  expect(await booksOf(receiver, source)).toEqual({ ...CLEAN, expected: 120, delivered: 120 })
})

test('those that get in too late are not owed what came before', async () => {
  const { receiver, source } = startReceiving(relay)
  await connect(receiver, subscribers(1, 'ws', [0]))
  await source.publish(relay, [0], 10)
  await until(async () => (await deliveredBy(receiver)) >= 10)
  await connect(receiver, subscribers(1, 'ws', [0], { from: 1 }))
  await source.publish(relay, [0], 5)
  await until(async () => (await deliveredBy(receiver)) >= 20)
  expect(await booksOf(receiver, source)).toEqual({ ...CLEAN, expected: 20, delivered: 20 })
})

test('nor are those of a thread to which nothing had come yet, where the relay says how far it is', async () => {
  const { receiver, source } = startReceiving(relay, 'kept:')
  await source.publish(relay, [0], 10)
  await connect(receiver, subscribers(2, 'ws', [0]))
  await source.publish(relay, [0], 5)
  await until(async () => (await deliveredBy(receiver)) >= 10)
  expect(await booksOf(receiver, source)).toEqual({ ...CLEAN, expected: 10, delivered: 10 })
})

test('why some could not connect is told, with how many', async () => {
  const relay = await startTestRelay({ client: { connection_limit: 4 } })
  const { receiver, source } = startReceiving(relay)
  const connected = await receiver.ask({ kind: 'connect', subscribers: subscribers(20, 'ws', [0]) })
  expect(connected.connected + connected.failed).toBe(20)
  expect(connected.failed).toBeGreaterThan(0)
  expect(connected.errors).toEqual([`status 503 (${connected.failed}×)`])
  expect(await booksOf(receiver, source)).toMatchObject({ expected: 0, lost: 0 })

  const refused = await startTestRelay({ channel: { without_namespace: {} } })
  const { errors } = await startReceiving(refused).receiver.ask({
    kind: 'connect',
    subscribers: subscribers(2, 'tcp', [0]),
  })
  expect(errors).toEqual(['error 103: permission denied (2×)'])
})

test('a request that can’t be carried out is answered with the reason', async () => {
  const { receiver } = startReceiving(relay)
  await expect(receiver.ask({ kind: 'cut', subscribers: [3] })).rejects.toThrow(
    'subscriber 3 is not one of this thread',
  )
  await expect(receiver.ask({ kind: 'stopChurn' })).rejects.toThrow('there is no churn')
})
