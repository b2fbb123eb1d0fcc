import { afterAll, beforeAll, expect, test } from 'vitest'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import {
  codeOf,
  connectedClient,
  nextEvent,
  PATIENTLY,
  record,
  signToken,
  subscribe,
} from '../support/sdk.ts'

const SECRET = 'a-secret-of-the-back-end'

let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({
    client: { token: { hmac_secret_key: SECRET }, history_max_publication_limit: 5 },
    channel: {
      namespaces: [
        { name: 'kept', ...OPEN_CHANNELS, history_size: 20, history_ttl: '60s', allow_recovery: true },
        { name: 'loud', ...OPEN_CHANNELS, force_push_join_leave: true },
        { name: 'silent', ...OPEN_CHANNELS, join_leave: false },
      ],
    },
  })
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
})

const asUser = async (user: string, info?: unknown) =>
  connectedClient(relay.websocketUrl, { token: await signToken({ sub: user, info }, SECRET) })

test('a publication tells who published it', async () => {
  const [ann, bob] = [await asUser('ann', { name: 'Ann' }), await asUser('bob')]
  const received = record(await subscribe(bob, 'lobby'), 'publication')
  await ann.publish('lobby', { text: 'hello' })
  const [publication] = await received.until(1)
  expect(publication).toMatchObject({
    channel: 'lobby',
    data: { text: 'hello' },
    info: { user: 'ann', connInfo: { name: 'Ann' } },
  })
  expect(publication.info.client).toMatch(/^[0-9a-f-]{36}$/)
  expect(publication.offset).toBeUndefined()
})

test('publications of one client arrive at all subscribers in the order they were sent', async () => {
  const [ann, bob, eve] = await Promise.all([asUser('ann'), asUser('bob'), asUser('eve')])
  const recordings = await Promise.all(
    [ann, bob, eve].map(async client => record(await subscribe(client, 'order'), 'publication')),
  )
  const numbers = Array.from({ length: 200 }, (_, i) => i)
  for (const n of numbers) void ann.publish('order', n)
  for (const recording of recordings) {
    expect((await recording.until(200)).map(({ data }) => data)).toEqual(numbers)
  }
})

test('two publishers on different shards: all subscribers see one and the same order', async () => {
  const clients = await Promise.all([asUser('ann'), asUser('bob'), asUser('eve'), asUser('max')])
  const recordings = await Promise.all(
    clients.map(async client => record(await subscribe(client, 'one-order'), 'publication')),
  )
  for (let n = 0; n < 50; n++)
    for (const [who, client] of clients.entries()) void client.publish('one-order', [who, n])
  const seen = await Promise.all(
    recordings.map(async recording => (await recording.until(200)).map(({ data }) => data)),
  )
  for (const order of seen) expect(order).toEqual(seen[0])
})

test('presence lists who is there, and its counts tell clients from users', async () => {
  const [ann, annAgain, bob] = [
    await asUser('ann', { name: 'Ann' }),
    await asUser('ann'),
    await asUser('bob'),
  ]
  const first = await subscribe(ann, 'room')
  await subscribe(annAgain, 'room')
  await subscribe(bob, 'room')
  expect(await first.presenceStats()).toEqual({ numClients: 3, numUsers: 2 })
  const { clients } = await bob.presence('room')
  expect(
    Object.values(clients)
      .map(({ user }) => user)
      .sort(),
  ).toEqual(['ann', 'ann', 'bob'])
  expect(Object.values(clients)).toContainEqual(
    expect.objectContaining({ user: 'ann', connInfo: { name: 'Ann' } }),
  )
  const left = nextEvent(first, 'unsubscribed')
  first.unsubscribe()
  await left
  annAgain.disconnect()
  await expect.poll(() => bob.presenceStats('room'), PATIENTLY).toEqual({ numClients: 1, numUsers: 1 })
})

test('who asks for it is told who joins and who leaves; others are not', async () => {
  const [ann, bob, eve] = [await asUser('ann'), await asUser('bob'), await asUser('eve', { name: 'Eve' })]
  const watching = await subscribe(ann, 'door', { joinLeave: true })
  const plain = await subscribe(bob, 'door')
  const joined = nextEvent(watching, 'join', ({ info }) => info.user === 'eve')
  const leaves = record(watching, 'leave')
  const unasked = [record(plain, 'join'), record(plain, 'leave')]
  const published = record(plain, 'publication')
  const visit = await subscribe(eve, 'door')
  expect(await joined).toMatchObject({ channel: 'door', info: { user: 'eve', connInfo: { name: 'Eve' } } })
  visit.unsubscribe()
  expect((await leaves.until(1))[0]).toMatchObject({ info: { user: 'eve' } })
  await ann.publish('door', 'end')
  await published.until(1)
  for (const recording of unasked) expect(recording.all).toEqual([])
})

test('a namespace can tell everybody, or nobody, who joins', async () => {
  const [ann, bob] = [await asUser('ann'), await asUser('bob')]
  const loud = await subscribe(ann, 'loud:x')
  const heard = nextEvent(loud, 'join', ({ info }) => info.user === 'bob')
  const silent = await subscribe(ann, 'silent:x', { joinLeave: true })
  const unheard = record(silent, 'join')
  await subscribe(bob, 'silent:x')
  await subscribe(bob, 'loud:x')
  await heard
  const published = record(silent, 'publication')
  await bob.publish('silent:x', 'end')
  await published.until(1)
  expect(unheard.all).toEqual([])
})

test('a client that goes without a goodbye leaves', async () => {
  const [ann, bob] = [await asUser('ann'), await asUser('bob')]
  const watching = await subscribe(ann, 'exit', { joinLeave: true })
  await subscribe(bob, 'exit')
  const left = nextEvent(watching, 'leave', ({ info }) => info.user === 'bob')
  bob.disconnect()
  await left
})

test('history comes in pages, forwards and backwards', async () => {
  const client = await asUser('ann')
  const subscription = await subscribe(client, 'kept:pages')
  for (let n = 1; n <= 12; n++) await client.publish('kept:pages', n)
  const dataOf = ({ publications }: { publications: { data: unknown }[] }) =>
    publications.map(({ data }) => data)

  const position = await subscription.history({})
  expect(position).toMatchObject({ publications: [], offset: 12 })
  const { epoch } = position
  expect(dataOf(await subscription.history({ limit: 4 }))).toEqual([1, 2, 3, 4])
  expect(dataOf(await subscription.history({ limit: 4, since: { offset: 4, epoch } }))).toEqual([5, 6, 7, 8])
  expect(dataOf(await subscription.history({ limit: 4, since: { offset: 11, epoch } }))).toEqual([12])
  expect(dataOf(await subscription.history({ limit: 4, since: { offset: 12, epoch } }))).toEqual([])
  expect(dataOf(await subscription.history({ limit: 3, reverse: true }))).toEqual([12, 11, 10])
  expect(
    dataOf(await subscription.history({ limit: 3, reverse: true, since: { offset: 10, epoch } })),
  ).toEqual([9, 8, 7])
  expect(
    dataOf(await subscription.history({ limit: 3, reverse: true, since: { offset: 2, epoch } })),
  ).toEqual([1])
  // Whoever wants all gets as much as the configuration allows a client.
  expect(dataOf(await subscription.history({ limit: -1 }))).toEqual([1, 2, 3, 4, 5])
  expect(dataOf(await subscription.history({ limit: 100 }))).toEqual([1, 2, 3, 4, 5])
  const [first] = (await subscription.history({ limit: 1 })).publications
  expect(first).toMatchObject({ data: 1, offset: 1, info: { user: 'ann' } })
  expect(await codeOf(subscription.history({ limit: 4, since: { offset: 4, epoch: 'other' } }))).toBe(112)
})

test('the history forgets the oldest first', async () => {
  const client = await asUser('ann')
  for (let n = 1; n <= 25; n++) await client.publish('kept:window', n)
  const { publications, offset } = await client.history('kept:window', { limit: 2 })
  expect(publications.map(entry => [entry.offset, entry.data])).toEqual([
    [6, 6],
    [7, 7],
  ])
  expect(offset).toBe(25)
})

test('positioned and recoverable subscriptions are told where they stand', async () => {
  const client = await asUser('ann')
  await client.publish('kept:where', 1)
  for (const options of [{ positioned: true }, { recoverable: true }]) {
    const subscription = client.newSubscription('kept:where', options)
    const subscribed = nextEvent(subscription, 'subscribed')
    subscription.subscribe()
    const context = await subscribed
    expect(context).toMatchObject({ positioned: true, streamPosition: { offset: 1 } })
    expect(context.recoverable).toBe(options.recoverable === true)
    expect(context.wasRecovering).toBe(false)
    client.removeSubscription(subscription)
  }
  // Where nothing is kept there is no position.
  const plain = client.newSubscription('nothing-kept', { positioned: true, recoverable: true })
  const subscribed = nextEvent(plain, 'subscribed')
  plain.subscribe()
  expect(await subscribed).toMatchObject({ positioned: false, recoverable: false })
})

test('a subscription can begin at a position of the past', async () => {
  const client = await asUser('ann')
  for (let n = 1; n <= 5; n++) await client.publish('kept:since', n)
  const { epoch } = await client.history('kept:since')
  const subscription = client.newSubscription('kept:since', {
    since: { offset: 2, epoch },
    recoverable: true,
  })
  const received = record(subscription, 'publication')
  const subscribed = nextEvent(subscription, 'subscribed')
  subscription.subscribe()
  expect(await subscribed).toMatchObject({ wasRecovering: true, recovered: true })
  await client.publish('kept:since', 6)
  expect((await received.until(4)).map(({ offset, data }) => [offset, data])).toEqual([
    [3, 3],
    [4, 4],
    [5, 5],
    [6, 6],
  ])
})
