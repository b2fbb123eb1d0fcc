import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type Cable, layCable } from '../support/cable.ts'
import { homeOf, shardOf } from '../support/places.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import {
  connectedClient,
  newClient,
  nextEvent,
  PATIENTLY,
  record,
  signToken,
  subscribe,
} from '../support/sdk.ts'
import { TcpClient } from '../support/tcp-client.ts'

const SECRET = 'a-secret-of-the-back-end'

let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({
    client: { token: { hmac_secret_key: SECRET }, recovery_max_publication_limit: 50 },
    channel: {
      namespaces: [
        { name: 'kept', ...OPEN_CHANNELS, history_size: 100, history_ttl: '60s', force_recovery: true },
        { name: 'brief', ...OPEN_CHANNELS, history_size: 3, history_ttl: '60s', force_recovery: true },
      ],
    },
  })
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
})

async function cableOfTest(): Promise<Cable & { url: string }> {
  const cable = await layCable(relay.ports.http)
  onTestFinished(() => cable.close())
  return { ...cable, url: `ws://127.0.0.1:${cable.port}/connection/websocket` }
}

const publish = (channel: string, data: unknown) => relay.api('publish', { channel, data })
const asUser = async (user: string, url = relay.websocketUrl) =>
  newClient(url, { token: await signToken({ sub: user }, SECRET) })

test('what was published while the network was cut comes after it, in order, nothing twice', async () => {
  const cable = await cableOfTest()
  const client = await connectedClient(cable.url)
  const subscription = await subscribe(client, 'kept:cut')
  const received = record(subscription, 'publication')
  await publish('kept:cut', 1)
  await received.until(1)
  for (let round = 0; round < 3; round++) {
    const lost = nextEvent(client, 'connecting')
    cable.cut()
    await lost
    for (let n = 0; n < 5; n++) await publish('kept:cut', `${round}.${n}`)
    const again = nextEvent(subscription, 'subscribed')
    cable.mend()
    expect(await again).toMatchObject({
      wasRecovering: true,
      recovered: true,
      hasRecoveredPublications: true,
      streamPosition: { offset: 1 + (round + 1) * 5 },
    })
  }
  await publish('kept:cut', 'last')
  const all = await received.until(17)
  expect(all.map(({ offset }) => offset)).toEqual(Array.from({ length: 17 }, (_, i) => i + 1))
})

test('nothing was missed: recovered, without publications', async () => {
  const cable = await cableOfTest()
  const client = await connectedClient(cable.url)
  const subscription = await subscribe(client, 'kept:quiet')
  await publish('kept:quiet', 1)
  const lost = nextEvent(client, 'connecting')
  const again = nextEvent(subscription, 'subscribed')
  cable.cut()
  await lost
  cable.mend()
  expect(await again).toMatchObject({ wasRecovering: true, recovered: true })
})

test('more was missed than the history holds: the client is told so', async () => {
  const cable = await cableOfTest()
  const client = await connectedClient(cable.url)
  const subscription = await subscribe(client, 'brief:cut')
  const received = record(subscription, 'publication')
  const lost = nextEvent(client, 'connecting')
  cable.cut()
  await lost
  for (let n = 1; n <= 5; n++) await publish('brief:cut', n)
  const again = nextEvent(subscription, 'subscribed')
  cable.mend()
  expect(await again).toMatchObject({
    wasRecovering: true,
    recovered: false,
    hasRecoveredPublications: false,
    streamPosition: { offset: 5 },
  })
  await publish('brief:cut', 6)
  expect((await received.until(1)).map(({ data }) => data)).toEqual([6])
})

test('more was missed than one reply may bring: the client is told so', async () => {
  const cable = await cableOfTest()
  const client = await connectedClient(cable.url)
  const subscription = await subscribe(client, 'kept:many')
  const lost = nextEvent(client, 'connecting')
  cable.cut()
  await lost
  for (let n = 1; n <= 51; n++) await publish('kept:many', n)
  const again = nextEvent(subscription, 'subscribed')
  cable.mend()
  expect(await again).toMatchObject({ wasRecovering: true, recovered: false })
})

test('history that was removed can not be recovered, and the position goes on', async () => {
  const cable = await cableOfTest()
  const client = await connectedClient(cable.url)
  const subscription = await subscribe(client, 'kept:removed')
  const lost = nextEvent(client, 'connecting')
  cable.cut()
  await lost
  await publish('kept:removed', 1)
  await relay.api('history_remove', { channel: 'kept:removed' })
  const again = nextEvent(subscription, 'subscribed')
  cable.mend()
  expect(await again).toMatchObject({ recovered: false, streamPosition: { offset: 1 } })
})

/** Channels for a test of quarantine: one at home on each of the two shards. */
async function channelsByHome(base: string): Promise<[string, string]> {
  const found: [string | undefined, string | undefined] = [undefined, undefined]
  for (let n = 0; found[0] === undefined || found[1] === undefined; n++) {
    const channel = `kept:${base}-${n}`
    const home = await homeOf(relay, channel)
    found[home as 0 | 1] ??= channel
  }
  return [found[0], found[1]]
}

test('a shard is replaced: clients elsewhere stay, its clients return, its channels begin anew', async () => {
  const [onLost, onOther] = await channelsByHome('a')
  // Two connections one after the other come to different shards.
  const clients = [await asUser('ann'), await asUser('bob')]
  const shards: number[] = []
  for (const client of clients) {
    shards.push(
      await shardOf(relay, () => {
        client.connect()
        return client.ready()
      }),
    )
  }
  expect([...shards].sort()).toEqual([0, 1])
  const [lostClient, otherClient] = shards[0] === 0 ? clients : clients.toReversed()

  await publish(onLost, 'before')
  await publish(onOther, 'before')
  const subscriptions = {
    lost: { onLost: await subscribe(lostClient!, onLost), onOther: await subscribe(lostClient!, onOther) },
    other: { onLost: await subscribe(otherClient!, onLost), onOther: await subscribe(otherClient!, onOther) },
  }
  const disconnects = record(otherClient!, 'connecting')
  const undisturbed = record(subscriptions.other.onOther, 'subscribing')
  const cameBack = nextEvent(lostClient!, 'connecting')
  const events = {
    lostOnLost: nextEvent(subscriptions.lost.onLost, 'subscribed'),
    lostOnOther: nextEvent(subscriptions.lost.onOther, 'subscribed'),
    otherOnLost: nextEvent(subscriptions.other.onLost, 'subscribed'),
  }
  await relay.quarantine(0)

  // Its channels start over, and say so to everybody; the others' recover.
  expect(await cameBack).toMatchObject({ code: 3004 })
  expect(await events.lostOnLost).toMatchObject({ wasRecovering: true, recovered: false })
  expect(await events.otherOnLost).toMatchObject({ wasRecovering: true, recovered: false })
  expect(await events.lostOnOther).toMatchObject({ wasRecovering: true, recovered: true })
  expect(disconnects.all).toEqual([])
  expect(undisturbed.all).toEqual([])

  // All is as before: publications reach everybody, and presence is complete.
  for (const channel of [onLost, onOther]) {
    const both = [lostClient!, otherClient!].map(client =>
      record(client.getSubscription(channel)!, 'publication'),
    )
    expect((await publish(channel, 'after')).body.result.offset).toBe(channel === onLost ? 1 : 2)
    for (const recording of both) expect((await recording.until(1))[0].data).toBe('after')
    const { clients: present } = await otherClient!.presence(channel)
    expect(
      Object.values(present)
        .map(({ user }) => user)
        .sort(),
    ).toEqual(['ann', 'bob'])
  }
  expect(await relay.metric('fanwire_quarantines_total')).toBe(1)
})

test('channels without history go on over a replacement of their home, with their members', async () => {
  const names = Array.from({ length: 8 }, (_, n) => `plain-${n}`)
  const token = await signToken({ sub: 'max' }, SECRET)
  const opened = Promise.withResolvers<TcpClient>()
  const here = await shardOf(
    relay,
    async () => {
      opened.resolve(await TcpClient.open(relay.ports.tcp))
      await (await opened.promise).call({ id: 1, connect: { token } })
    },
    'tcp',
  )
  const tcp = await opened.promise
  onTestFinished(() => tcp.close())
  let id = 1
  for (const channel of names) {
    id++
    expect(await tcp.call({ id, subscribe: { channel } })).toEqual({ id, subscribe: {} })
  }
  await relay.quarantine(1 - here)
  for (const channel of names) {
    await expect
      .poll(async () => (await relay.api('presence_stats', { channel })).body.result, PATIENTLY)
      .toEqual({ num_clients: 1, num_users: 1 })
    await publish(channel, channel)
    await tcp.next(line => line.push?.pub?.data === channel)
  }
  // It was told of nothing else: no unsubscribe, no disconnect.
  expect(tcp.lines.filter(({ push }) => push !== undefined && push.pub === undefined)).toEqual([])
})

test('clients of a lost shard leave, and are seen to', async () => {
  const [ann, bob] = [await asUser('ann'), await asUser('bob')]
  const shards: number[] = []
  for (const client of [ann, bob]) {
    shards.push(
      await shardOf(relay, () => {
        client.connect()
        return client.ready()
      }),
    )
  }
  expect([...shards].sort()).toEqual([0, 1])
  const names = Array.from({ length: 8 }, (_, n) => `seen-${n}`)
  const watched = await Promise.all(names.map(channel => subscribe(ann, channel, { joinLeave: true })))
  await Promise.all(names.map(channel => subscribe(bob, channel)))
  const leaves = watched.map(subscription => record(subscription, 'leave'))
  await relay.quarantine(shards[1]!)
  // Of the channels that were at home on the lost shard nobody is left to tell; the others tell.
  await expect.poll(() => leaves.some(({ all }) => all.length > 0), PATIENTLY).toBe(true)
  for (const channel of names) {
    await expect
      .poll(async () => (await relay.api('presence_stats', { channel })).body.result, PATIENTLY)
      .toEqual({ num_clients: 2, num_users: 2 })
  }
})
