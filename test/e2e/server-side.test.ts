import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { layCable } from '../support/cable.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import {
  connectedClient,
  inSeconds,
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
    client: {
      token: { hmac_secret_key: SECRET },
      expired_close_delay: '0s',
      expired_sub_close_delay: '0s',
    },
    channel: {
      namespaces: [
        { name: 'kept', ...OPEN_CHANNELS, history_size: 100, history_ttl: '60s' },
        { name: 'closed', presence: true },
      ],
    },
  })
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
})

const tokenOf = (claims: Record<string, unknown>) => signToken(claims, SECRET)
const publish = (channel: string, data: unknown) => relay.api('publish', { channel, data })
const DONE = { status: 200, body: { result: {} } }

test('channels of the token: subscribed with the connection, though closed to clients', async () => {
  const client = newClient(relay.websocketUrl, {
    token: await tokenOf({ sub: 'ann', channels: ['closed:a', 'closed:b'] }),
  })
  const subscribed = record(client, 'subscribed')
  const received = record(client, 'publication')
  client.connect()
  expect((await subscribed.until(2)).map(({ channel }) => channel).sort()).toEqual(['closed:a', 'closed:b'])
  await publish('closed:b', { n: 1 })
  expect((await received.until(1))[0]).toEqual({ channel: 'closed:b', data: { n: 1 } })
  expect((await relay.api('presence_stats', { channel: 'closed:a' })).body.result).toEqual({
    num_clients: 1,
    num_users: 1,
  })
})

test('subs of the token: data, info and options of each channel', async () => {
  const client = newClient(relay.websocketUrl, {
    token: await tokenOf({
      sub: 'ann',
      info: { name: 'Ann' },
      subs: {
        'kept:board': {
          data: { welcome: 'here' },
          info: { role: 'owner' },
          override: { force_recovery: { value: true } },
        },
      },
    }),
  })
  const subscribed = nextEvent(client, 'subscribed')
  client.connect()
  expect(await subscribed).toMatchObject({
    channel: 'kept:board',
    data: { welcome: 'here' },
    recoverable: true,
    positioned: true,
  })
  const { presence } = (await relay.api('presence', { channel: 'kept:board' })).body.result
  expect(Object.values(presence)).toMatchObject([
    { user: 'ann', conn_info: { name: 'Ann' }, chan_info: { role: 'owner' } },
  ])
})

test('a recoverable channel of the token recovers at the reconnect', async () => {
  const cable = await layCable(relay.ports.http)
  onTestFinished(() => cable.close())
  const client = newClient(`ws://127.0.0.1:${cable.port}/connection/websocket`, {
    token: await tokenOf({
      sub: 'ann',
      subs: { 'kept:back': { override: { force_recovery: { value: true } } } },
    }),
  })
  const subscribed = record(client, 'subscribed')
  const received = record(client, 'publication')
  client.connect()
  await subscribed.until(1)
  await publish('kept:back', 1)
  await received.until(1)
  const lost = nextEvent(client, 'connecting')
  cable.cut()
  await lost
  await publish('kept:back', 2)
  await publish('kept:back', 3)
  cable.mend()
  expect((await subscribed.until(2))[1]).toMatchObject({ wasRecovering: true, recovered: true })
  await publish('kept:back', 4)
  expect((await received.until(4)).map(({ offset, data }) => [offset, data])).toEqual([
    [1, 1],
    [2, 2],
    [3, 3],
    [4, 4],
  ])
})

test('the back end subscribes a user on all connections, and unsubscribes again', async () => {
  const clients = await Promise.all(
    Array.from({ length: 4 }, async () =>
      connectedClient(relay.websocketUrl, { token: await tokenOf({ sub: 'multi' }) }),
    ),
  )
  const stranger = await connectedClient(relay.websocketUrl, { token: await tokenOf({ sub: 'single' }) })
  const subscribed = clients.map(client => nextEvent(client, 'subscribed'))
  const received = [...clients, stranger].map(client => record(client, 'publication'))
  expect(
    await relay.api('subscribe', { user: 'multi', channel: 'closed:offer', data: { price: 1 } }),
  ).toEqual(DONE)
  for (const event of subscribed) {
    expect(await event).toMatchObject({ channel: 'closed:offer', data: { price: 1 } })
  }
  // A second time changes nothing.
  expect(await relay.api('subscribe', { user: 'multi', channel: 'closed:offer' })).toEqual(DONE)
  await publish('closed:offer', 'now')
  for (const recording of received.slice(0, 4)) expect(await recording.until(1)).toHaveLength(1)
  const unsubscribed = clients.map(client => nextEvent(client, 'unsubscribed'))
  expect(await relay.api('unsubscribe', { user: 'multi', channel: 'closed:offer' })).toEqual(DONE)
  for (const event of unsubscribed) expect(await event).toMatchObject({ channel: 'closed:offer' })
  expect((await relay.api('presence_stats', { channel: 'closed:offer' })).body.result.num_clients).toBe(0)
  expect(received[4]!.all).toEqual([])
})

test('the back end can name the connection it means', async () => {
  const [one, other] = [
    await connectedClient(relay.websocketUrl, { token: await tokenOf({ sub: 'named' }) }),
    await connectedClient(relay.websocketUrl, { token: await tokenOf({ sub: 'named' }) }),
  ]
  await Promise.all([subscribe(one, 'both'), subscribe(other, 'both')])
  const { presence } = (await relay.api('presence', { channel: 'both' })).body.result
  const ids = Object.keys(presence)
  expect(ids).toHaveLength(2)
  const left = [one, other].map(client => nextEvent(client.getSubscription('both')!, 'unsubscribed'))
  expect(await relay.api('unsubscribe', { user: 'named', channel: 'both', client: ids[0] })).toEqual(DONE)
  expect(await Promise.race(left)).toMatchObject({ code: 2000 })
  expect(Object.keys((await relay.api('presence', { channel: 'both' })).body.result.presence)).toEqual([
    ids[1],
  ])
})

test('without a channel the back end takes a user out of all of them', async () => {
  const client = await connectedClient(relay.websocketUrl, { token: await tokenOf({ sub: 'leaver' }) })
  const subscriptions = await Promise.all(['out-1', 'out-2'].map(channel => subscribe(client, channel)))
  const left = subscriptions.map(subscription => nextEvent(subscription, 'unsubscribed'))
  expect(await relay.api('unsubscribe', { user: 'leaver', channel: '' })).toEqual(DONE)
  for (const event of left) expect(await event).toMatchObject({ code: 2000 })
})

test('a subscription by the back end replays from the position it names', async () => {
  const first = (await publish('kept:catch', 1)).body.result
  await publish('kept:catch', 2)
  await publish('kept:catch', 3)
  const client = await connectedClient(relay.websocketUrl, { token: await tokenOf({ sub: 'late' }) })
  const subscribed = nextEvent(client, 'subscribed')
  await relay.api('subscribe', {
    user: 'late',
    channel: 'kept:catch',
    recover_since: { offset: first.offset, epoch: first.epoch },
    override: { force_recovery: { value: true } },
  })
  expect(await subscribed).toMatchObject({
    recoverable: true,
    recovered: true,
    streamPosition: { offset: 3 },
  })
})

test('a subscription by the back end ends when it expires', async () => {
  const tcp = await TcpClient.open(relay.ports.tcp)
  await tcp.call({ id: 1, connect: { token: await tokenOf({ sub: 'lessee' }) } })
  await relay.api('subscribe', { user: 'lessee', channel: 'closed:lease', expire_at: inSeconds(1) })
  const { push } = await tcp.next(line => line.push?.disconnect !== undefined)
  expect(push.disconnect).toMatchObject({ code: 3006, reconnect: true })
})

test('disconnect: by default the client does not come back', async () => {
  const client = await connectedClient(relay.websocketUrl, { token: await tokenOf({ sub: 'banned' }) })
  const disconnected = nextEvent(client, 'disconnected')
  expect(await relay.api('disconnect', { user: 'banned' })).toEqual(DONE)
  expect(await disconnected).toEqual({ code: 3503, reason: 'force disconnect' })
})

test('disconnect with a code and a reason of the back end: 4000 comes back, 4500 does not', async () => {
  const client = await connectedClient(relay.websocketUrl, { token: await tokenOf({ sub: 'coded' }) })
  const reconnecting = nextEvent(client, 'connecting')
  const connected = nextEvent(client, 'connected')
  await relay.api('disconnect', { user: 'coded', disconnect: { code: 4000, reason: 'move on' } })
  expect(await reconnecting).toEqual({ code: 4000, reason: 'move on' })
  await connected
  const disconnected = nextEvent(client, 'disconnected')
  await relay.api('disconnect', { user: 'coded', disconnect: { code: 4500, reason: 'enough' } })
  expect(await disconnected).toEqual({ code: 4500, reason: 'enough' })
  for (const code of [1000, 2999, 5000]) {
    const { body } = await relay.api('disconnect', { user: 'coded', disconnect: { code, reason: '' } })
    expect([code, body.error.code]).toEqual([code, 107])
  }
})

test('disconnect spares the connections on the list', async () => {
  const tokens = await Promise.all([0, 1, 2].map(() => tokenOf({ sub: 'spared' })))
  const ids: string[] = []
  const connections: TcpClient[] = []
  for (const token of tokens) {
    const tcp = await TcpClient.open(relay.ports.tcp)
    onTestFinished(() => tcp.close())
    ids.push((await tcp.call({ id: 1, connect: { token } })).connect.client)
    connections.push(tcp)
  }
  await relay.api('disconnect', { user: 'spared', whitelist: [ids[0], ids[1]] })
  await connections[2]!.ended
  await relay.api('disconnect', { user: 'spared', client: ids[1] })
  await connections[1]!.ended
  expect(await connections[0]!.call({ id: 2, ping: {} })).toEqual({ id: 2, ping: {} })
})

test('refresh: the back end prolongs a connection, or ends it as expired', async () => {
  const tcp = await TcpClient.open(relay.ports.tcp)
  const { connect } = await tcp.call({
    id: 1,
    connect: { token: await tokenOf({ sub: 'tenant', exp: inSeconds(60) }) },
  })
  expect(connect.expires).toBe(true)
  await relay.api('refresh', { user: 'tenant', expire_at: inSeconds(3600) })
  const { push } = await tcp.next(line => line.push?.refresh !== undefined)
  expect(push.refresh.expires).toBe(true)
  expect(push.refresh.ttl).toBeGreaterThan(3000)
  await relay.api('refresh', { user: 'tenant', expired: true })
  const end = await tcp.next(line => line.push?.disconnect !== undefined)
  expect(end.push.disconnect).toMatchObject({ code: 3005, reconnect: true })
})

test('refresh can shorten a life', async () => {
  const tcp = await TcpClient.open(relay.ports.tcp)
  await tcp.call({ id: 1, connect: { token: await tokenOf({ sub: 'short' }) } })
  await relay.api('refresh', { user: 'short', expire_at: inSeconds(1) })
  const { push } = await tcp.next(line => line.push?.disconnect !== undefined)
  expect(push.disconnect.code).toBe(3005)
})

test('orders for a user who is not there are done at once', async () => {
  for (const [method, body] of [
    ['subscribe', { user: 'nobody', channel: 'closed:x' }],
    ['unsubscribe', { user: 'nobody', channel: 'closed:x' }],
    ['disconnect', { user: 'nobody' }],
    ['refresh', { user: 'nobody', expire_at: inSeconds(60) }],
  ] as const) {
    expect([method, await relay.api(method, body)]).toEqual([method, DONE])
  }
})

test('after a replacement of shards the channels of the token are there again', async () => {
  const client = newClient(relay.websocketUrl, {
    token: await tokenOf({
      sub: 'phoenix',
      subs: { 'kept:nest': { override: { force_recovery: { value: true } } } },
    }),
  })
  const subscribed = record(client, 'subscribed')
  const received = record(client, 'publication')
  client.connect()
  await subscribed.until(1)
  await publish('kept:nest', 1)
  await received.until(1)
  await relay.quarantine(0)
  await relay.quarantine(1)
  // Wherever client and channel were: in the end the client stands in the channel's new epoch.
  await expect
    .poll(async () => {
      await publish('kept:nest', 'again')
      return received.all.some(({ data }) => data === 'again')
    }, PATIENTLY)
    .toBe(true)
  expect(subscribed.all.at(-1)).toMatchObject({ wasRecovering: true })
  expect(subscribed.all.some(({ wasRecovering, recovered }) => wasRecovering && !recovered)).toBe(true)
})
