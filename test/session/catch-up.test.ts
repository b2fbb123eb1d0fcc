// A connection that lagged catches up from a home on another shard.

import { expect, onTestFinished, test } from 'vitest'
import { slots } from '../../src/metrics/slots.ts'
import { OPEN_CHANNELS } from '../support/relay.ts'
import { blockWay, connectSession, createShardPair } from './shard-pair.ts'

const PATIENTLY = { timeout: 10_000, interval: 5 }
/** The smallest rings and limits there may be. */
const CONFIG = {
  mesh: { ring_size: 65_536, backlog_max_size: 65_536 },
  client: { message_size_limit: 8192, queue_soft_size: 4096, allow_anonymous_connect_without_token: true },
  channel: {
    namespaces: [
      { name: 'kept', ...OPEN_CHANNELS, force_recovery: true, history_size: 20, history_ttl: '1h' },
    ],
  },
}
const PUBLICATIONS = 10

test('a home that has no room for its answers is asked again, and nobody is told of a loss that was none', async () => {
  const pair = createShardPair(CONFIG)
  onTestFinished(() => pair.close())
  const [here, there] = pair.shards
  const { session, wire, send, lines } = connectSession(here)
  const channel = pair.channelAtHomeOnSecond('kept:')
  send({ id: 2, subscribe: { channel } })
  await expect.poll(() => lines().find(({ id }) => id === 2)?.subscribe, PATIENTLY).toBeDefined()

  wire.stuck = true
  for (let n = 1; n <= PUBLICATIONS; n++) {
    const data = JSON.stringify({ n, text: 'x'.repeat(5000) })
    const ask = { channel, data, info: '', tags: '', skipHistory: false, idempotencyKey: '' }
    await expect.poll(() => there.relay.home.publish(ask).ok, PATIENTLY).toBe(true)
    await expect.poll(() => session.outbox.lagging, PATIENTLY).toBe(true)
  }
  const heldAt = () =>
    session.state.kind === 'live' && session.state.subscriptions.get(channel)!.subscriber.heldAt
  await expect.poll(heldAt, PATIENTLY).toBe(1)
  wire.drained()
  session.onDrained()
  // The ask for the first page is in the ring; when it is read there is no room for the page, nor for an error.
  blockWay(there, 0)
  there.links.drain()

  const numbers = () => lines().flatMap(({ push }) => (push?.pub === undefined ? [] : [push.pub.data.n]))
  await expect.poll(numbers, PATIENTLY).toEqual(Array.from({ length: PUBLICATIONS }, (_, i) => i + 1))
  expect(lines().filter(({ push }) => push?.unsubscribe !== undefined)).toEqual([])
  expect([here.row[slots.catchUps.complete], here.row[slots.catchUps.insufficient]]).toEqual([1, 0])
  expect(pair.errors).toEqual([])
})
