// Too many, too fast, too late, and tables that are full: each gets its code, what is there goes on, and room comes
// back.

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { exchange, openSocket, RawClient, upgradeRequest } from '../support/raw-client.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { signToken } from '../support/sdk.ts'
import { expectServing, sumOf, TRANSPORTS, until } from '../support/serving.ts'
import { clientFrame, OPCODE } from '../support/websocket-frames.ts'

const SECRET = 'a secret of this test'

async function start(config: object): Promise<TestRelay> {
  const relay = await startTestRelay(config)
  onTestFinished(() => stop(relay))
  return relay
}

async function stop(relay: TestRelay): Promise<void> {
  expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
  expect(await relay.stop()).toBe(0)
}

/** A relay for all tests in which a connection, or a user, meets a limit of its own. */
function shared(client: object): { relay: TestRelay } {
  const place = {} as { relay: TestRelay }
  beforeAll(async () => {
    place.relay = await startTestRelay({ client: { token: { hmac_secret_key: SECRET }, ...client } })
  })
  afterAll(() => stop(place.relay))
  return place
}

/** The status that an upgrade gets. */
async function upgradeStatus(relay: TestRelay): Promise<number> {
  const { socket } = await openSocket(relay.ports.http)
  const { head } = await exchange(socket, upgradeRequest())
  socket.destroy()
  return Number(head.split(' ')[1])
}

const roomy = shared({ channel_limit: 3, user_connection_limit: 3 })
const slow = shared({ command_rate_limit: 10 })
const narrow = shared({ queue_max_size: 65_536, queue_soft_size: 16_384 })
// Long enough for those who ask at the end whether it still serves, on a busy machine too.
const impatient = shared({ stale_close_delay: '1s' })

describe.each(TRANSPORTS)('on %s', transport => {
  test('one channel too many is refused with 106, and leaving one makes room', async () => {
    const { relay } = roomy
    const client = await RawClient.connect(relay, transport)
    for (const id of [2, 3, 4]) expect((await client.subscribe(id, `c${id}`)).subscribe).toBeDefined()
    expect((await client.subscribe(5, 'c5')).error).toEqual({
      code: 106,
      message: 'limit exceeded: 3 channels a connection',
    })
    expect((await client.subscribe(6, 'c2')).error.code).toBe(105)
    await client.call({ id: 7, unsubscribe: { channel: 'c2' } })
    expect((await client.subscribe(8, 'c5')).subscribe).toBeDefined()
    await expectServing(relay)
    client.close()
  })

  test('commands beyond the rate end the connection with 3013', async () => {
    const { relay } = slow
    const client = await RawClient.connect(relay, transport)
    client.send(...Array.from({ length: 50 }, (_, i) => ({ id: i + 2, ping: {} })))
    expect(await client.ended).toMatchObject({ code: 3013, reason: 'too many requests' })
    expect(client.lines.filter(({ ping }) => ping !== undefined).length).toBeLessThan(50)
    await expectServing(relay)
  })

  test('more than 2,048 commands behind a token that is being checked end the connection with 3013', async () => {
    const { relay } = roomy
    const token = await signToken({ sub: 'busy' }, SECRET)
    const pings = (count: number) => Array.from({ length: count }, (_, i) => ({ id: i + 2, ping: {} }))
    const patient = await RawClient.open(relay, transport)
    patient.send({ id: 1, connect: { token } }, ...pings(2_000))
    await patient.next(({ id }) => id === 2_001)
    expect(patient.lines.map(({ id }) => id)).toEqual(Array.from({ length: 2_001 }, (_, i) => i + 1))
    const flooder = await RawClient.open(relay, transport)
    // Frames of at most 2,048 commands, in one packet as far as the kernel allows.
    flooder.socket.cork()
    flooder.send({ id: 1, connect: { token } }, ...pings(1_500))
    flooder.send(...pings(1_500))
    flooder.socket.uncork()
    expect(await flooder.ended).toMatchObject({ code: 3013 })
    await expectServing(relay)
    patient.close()
  })

  test('commands of more characters than may wait behind a token that is being checked end the connection with 3013', async () => {
    const { relay } = narrow
    const token = await signToken({ sub: 'busy' }, SECRET)
    const long = (id: number) => ({ id, rpc: { method: 'none', data: 'x'.repeat(10_000) } })
    const patient = await RawClient.open(relay, transport)
    patient.send({ id: 1, connect: { token } }, long(2), long(3))
    await patient.next(({ id }) => id === 3)
    const flooder = await RawClient.open(relay, transport)
    flooder.socket.cork()
    flooder.send({ id: 1, connect: { token } })
    for (let id = 2; id < 10; id++) flooder.send(long(id))
    flooder.socket.uncork()
    expect(await flooder.ended).toMatchObject({ code: 3013 })
    await expectServing(relay)
  })

  test('who does not connect in time is ended with 3502', async () => {
    const { relay } = impatient
    const client = await RawClient.open(relay, transport)
    expect(await client.ended).toMatchObject({ code: 3502, reason: 'stale' })
    await expectServing(relay)
  })

  test('one connection of a user too many is ended with 3504, on whichever shard', async () => {
    const { relay } = roomy
    await until(async () => (await sumOf(relay, 'fanwire_sessions')) === 0)
    const token = await signToken({ sub: 'one user' }, SECRET)
    const there = await Promise.all([0, 1, 2].map(() => RawClient.connect(relay, transport, { token })))
    const fourth = await RawClient.open(relay, transport)
    fourth.send({ id: 1, connect: { token } })
    expect(await fourth.ended).toMatchObject({ code: 3504, reason: 'connection limit' })
    there[0]!.close()
    await until(async () => (await sumOf(relay, 'fanwire_sessions')) === 2)
    const again = await RawClient.connect(relay, transport, { token })
    await expectServing(relay)
    for (const client of [...there, again]) client.close()
  })
})

test('one connection too many is refused with 503 or 3504, and an end makes room', async () => {
  const relay = await start({ client: { connection_limit: 4 } })
  const open = () => sumOf(relay, 'fanwire_connections', 'transport="tcp"')
  const there = await Promise.all([0, 1, 2, 3].map(() => RawClient.connect(relay, 'tcp')))
  expect(await upgradeStatus(relay)).toBe(503)
  const refused = await RawClient.open(relay, 'tcp')
  expect(await refused.ended).toMatchObject({ code: 3504, reason: 'connection limit' })
  expect(await relay.metric('fanwire_connections_refused_total{reason="connection_limit"}')).toBe(2)
  expect(await open()).toBe(4)
  expect(await there[0]!.call({ id: 2, ping: {} })).toEqual({ id: 2, ping: {} })
  for (const client of there) client.close()
  await until(async () => (await open()) === 0)
  await expectServing(relay)
})

test('a refused TCP connection is closed even if its client goes on sending and never ends', async () => {
  const relay = await start({ client: { connection_limit: 1 } })
  await RawClient.connect(relay, 'tcp')
  const { socket } = await openSocket(relay.ports.tcp)
  // It keeps its side open and reads nothing, so that only the relay can end this.
  const closed = new Promise<void>(resolve => socket.on('close', () => resolve()))
  socket.on('error', () => {})
  const sending = setInterval(() => socket.write('x'.repeat(1000)), 10)
  await closed
  clearInterval(sending)
})

test('connections beyond the rate are refused with 429 or 3013, the first ones are not', async () => {
  // One for both shards together: each has half of it, and the first is still within.
  const relay = await start({ client: { connection_rate_limit: 1 } })
  const refusals = () => relay.metric('fanwire_connections_refused_total{reason="connection_rate"}')
  expect(await upgradeStatus(relay)).toBe(101)
  const rest = await Promise.all(Array.from({ length: 20 }, () => upgradeStatus(relay)))
  expect(rest.filter(status => status === 429).length).toBeGreaterThan(10)
  expect(new Set(rest).has(503)).toBe(false)
  const counted = (await refusals())!
  expect(counted).toBe(rest.filter(status => status === 429).length)
  const lines = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(relay, 'tcp')))
  const isRefused = async (client: RawClient) => (await client.ended).code === 3013
  expect(await Promise.any(lines.map(isRefused))).toBe(true)
  for (const client of lines) client.close()
  await until(async () => (await upgradeStatus(relay)) === 101)
})

test('pings and pongs of WebSocket count like commands', async () => {
  const relay = await start({ client: { command_rate_limit: 20 } })
  for (const opcode of [OPCODE.ping, OPCODE.pong]) {
    const client = await RawClient.connect(relay, 'websocket')
    client.socket.write(Buffer.concat(Array.from({ length: 50 }, () => clientFrame('x', { opcode }))))
    expect(await client.ended).toMatchObject({ code: 3013 })
  }
  await expectServing(relay)
})

describe('a full table', () => {
  test('of channels refuses new ones with a temporary 106; the others go on and room comes back', async () => {
    const relay = await start({
      route_table: { capacity: 64 },
      channel: {
        without_namespace: OPEN_CHANNELS,
        namespaces: [{ name: 'kept', ...OPEN_CHANNELS, history_size: 5, history_ttl: '1m' }],
      },
    })
    const client = await RawClient.connect(relay, 'websocket')
    const channels: string[] = []
    let refusal: any
    for (let id = 2; refusal === undefined && id < 102; id++) {
      const reply = await client.subscribe(id, `c${id}`)
      if (reply.error === undefined) channels.push(`c${id}`)
      else refusal = reply.error
    }
    expect(refusal).toEqual({
      code: 106,
      message: 'limit exceeded: the route table is full',
      temporary: true,
    })
    expect(channels).toHaveLength(64)
    expect(await relay.metric('fanwire_table_refusals_total{table="route"}')).toBe(1)
    // A channel with history needs a place as well; one without subscribers and history needs none.
    expect((await relay.api('publish', { channel: 'kept:new', data: 1 })).body.error).toMatchObject({
      code: 106,
    })
    expect((await relay.api('publish', { channel: 'nobody', data: 1 })).body).toEqual({ result: {} })

    for (const channel of channels) await relay.api('publish', { channel, data: channel })
    for (const channel of channels) {
      await client.next(({ push }) => push?.channel === channel && push.pub?.data === channel)
    }
    client.send(...channels.slice(0, 10).map((channel, i) => ({ id: 200 + i, unsubscribe: { channel } })))
    await client.next(({ id }) => id === 209)
    let id = 300
    const fresh = Array.from({ length: 10 }, (_, i) => `fresh${i}`)
    for (const channel of fresh) {
      await until(async () => (await client.subscribe(id++, channel)).error === undefined)
    }
    await relay.api('publish', { channel: 'fresh9', data: 'hello' })
    await client.next(({ push }) => push?.channel === 'fresh9' && push.pub?.data === 'hello')
  })

  test('of users refuses new ones with a temporary 106; the others go on and room comes back', async () => {
    const relay = await start({
      presence_table: { capacity: 64 },
      client: { token: { hmac_secret_key: SECRET } },
    })
    const tokenOf = (user: string) => signToken({ sub: user }, SECRET)
    const clients: RawClient[] = []
    for (let i = 0; i < 64; i++) {
      clients.push(await RawClient.connect(relay, 'tcp', { token: await tokenOf(`user${i}`) }))
    }
    const late = await RawClient.open(relay, 'websocket')
    const reply = await late.call({ id: 1, connect: { token: await tokenOf('late') } })
    expect(reply.error).toEqual({
      code: 106,
      message: 'limit exceeded: the presence table is full',
      temporary: true,
    })
    expect(await relay.metric('fanwire_table_refusals_total{table="presence"}')).toBe(1)
    // A user who is there may come again, and the anonymous have no place in it.
    await RawClient.connect(relay, 'websocket', { token: await tokenOf('user5') })
    await expectServing(relay)
    expect(await clients[63]!.call({ id: 2, ping: {} })).toEqual({ id: 2, ping: {} })

    clients[0]!.close()
    let id = 2
    await until(async () => {
      const again = await late.call({ id: id++, connect: { token: await tokenOf('late') } })
      return again.connect !== undefined
    })
  })
})
