// Rings that are full: with the smallest ring and backlog, and more publications than they carry. Publishers are told
// (111, temporary); what was acknowledged arrives, whole and in order.

import { expect, onTestFinished, test } from 'vitest'
import { RawClient } from '../support/raw-client.ts'
import { OPEN_CHANNELS, startTestRelay } from '../support/relay.ts'
import { expectServing, sumOf, until } from '../support/serving.ts'

const KIB = 1024
const DATA = 'x'.repeat(6 * KIB)
const CHANNELS = 8
/** The smallest there may be: a ring must hold a few messages of the largest size. */
const TINY = {
  mesh: { ring_size: 64 * KIB, backlog_max_size: 64 * KIB },
  // Nobody is pinged: the clients of this test answer nothing, however long it takes.
  client: { message_size_limit: 8 * KIB, ping_interval: '10m' },
}
const PER_PUBLISHER = 2_000
/** Together more than the rings hold, and for each connection less than may wait of its commands (1 MiB). */
const AT_ONCE = 100

test('a flood through tiny rings is refused in part with 111, and loses nothing that was acknowledged', async () => {
  const relay = await startTestRelay({
    ...TINY,
    channel: {
      namespaces: [
        { name: 'flood', ...OPEN_CHANNELS, force_recovery: true, history_size: 50_000, history_ttl: '5m' },
      ],
    },
  })
  onTestFinished(async () => {
    expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
    expect(await relay.stop()).toBe(0)
  })
  const channels = Array.from({ length: CHANNELS }, (_, i) => `flood:${i}`)
  // WebSocket connections go round the shards, so two subscribers are on both, and every channel crosses a ring.
  const subscribers = await Promise.all([0, 1, 2, 3].map(() => RawClient.connect(relay, 'websocket')))
  for (const subscriber of subscribers) {
    for (const [i, channel] of channels.entries()) await subscriber.subscribe(2 + i, channel)
  }
  const publishers = await Promise.all(
    channels.map((_, i) => RawClient.connect(relay, i % 2 === 0 ? 'websocket' : 'tcp')),
  )

  const outcomes = await Promise.all(
    publishers.map(async (publisher, i) => {
      const isReply = ({ id }: any) => id >= 10
      for (let n = 0; n < PER_PUBLISHER; n++) {
        publisher.send({ id: 10 + n, publish: { channel: channels[i]!, data: { n, DATA } } })
        if ((n + 1) % AT_ONCE > 0) continue
        // A refusal may overtake the answers of a home that has more to do: the last command's reply need not be last.
        let count = 0
        await publisher.next(line => isReply(line) && ++count > n)
      }
      const replies = publisher.lines.filter(isReply)
      const refused = replies.filter(({ error }) => error?.code === 111)
      // Carried out, but there was no room for the answer.
      const unanswered = replies.filter(({ error }) => error?.code === 100)
      const taken = replies.filter(({ error }) => error === undefined)
      expect(refused.length + unanswered.length + taken.length).toBe(PER_PUBLISHER)
      const numbersOf = (some: any[]) => some.map(({ id }) => id - 10)
      return { taken: numbersOf(taken), unanswered: numbersOf(unanswered) }
    }),
  )

  const taken = outcomes.reduce((sum, { taken }) => sum + taken.length, 0)
  expect(taken).toBeGreaterThan(0)
  expect(taken).toBeLessThan(CHANNELS * PER_PUBLISHER)
  expect(await relay.metric('fanwire_ring_full_total')).toBeGreaterThan(0)
  for (const [i, channel] of channels.entries()) {
    // The last word in each channel: behind it nothing can be missing any more.
    await until(
      async () => (await relay.api('publish', { channel, data: { n: -1 } })).body.error === undefined,
    )
    for (const subscriber of subscribers) {
      await subscriber.next(({ push }) => push?.channel === channel && push.pub?.data.n === -1)
      const publications = subscriber.publications(channel)
      const numbers = publications.map(({ data }) => data.n).filter(n => n >= 0)
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
      const { taken, unanswered } = outcomes[i]!
      expect(taken.filter(n => !numbers.includes(n))).toEqual([])
      const promised = new Set([...taken, ...unanswered])
      expect(numbers.filter(n => !promised.has(n))).toEqual([])
      expect(publications.map(({ offset }) => offset)).toEqual(publications.map((_, at) => at + 1))
    }
  }
  await until(async () => (await relay.metric('fanwire_ring_backlog_bytes')) === 0)
  await until(async () => (await sumOf(relay, 'fanwire_ring_used_bytes')) === 0)
  await expectServing(relay)
})

test('replies too many for the rings are refused or end their own connection, and the rings work on', async () => {
  const relay = await startTestRelay({
    ...TINY,
    channel: {
      namespaces: [{ name: 'long', ...OPEN_CHANNELS, history_size: 100, history_ttl: '5m' }],
    },
  })
  onTestFinished(async () => {
    expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
    expect(await relay.stop()).toBe(0)
  })
  const channels = Array.from({ length: 8 }, (_, i) => `long:${i}`)
  for (const channel of channels) await relay.api('publish', { channel, data: 'x'.repeat(6 * KIB) })
  for (const transport of ['websocket', 'tcp'] as const) {
    for (const channel of channels) {
      const client = await RawClient.connect(relay, transport)
      for (let id = 2; id <= 1_501; id++) client.send({ id, history: { channel, limit: -1 } })
      const outcome = await Promise.race([client.next(({ id }) => id === 1_501), client.ended])
      expect([3008, 111, undefined]).toContain(outcome.code ?? outcome.error?.code)
      client.close()
    }
  }
  await until(async () => (await sumOf(relay, 'fanwire_sessions')) === 0)
  expect(await relay.metric('fanwire_guard_errors_total{place="ring"}')).toBe(0)
  await expectServing(relay)
})
