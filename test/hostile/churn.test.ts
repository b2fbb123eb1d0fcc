// Connections that come and go as fast as they can, cut at any moment of their life: nothing of them stays.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSocket, RawClient, type Transport, upgradeRequest } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { signToken } from '../support/sdk.ts'
import { expectServing, sumOf, until } from '../support/serving.ts'

const CYCLES = 10_000
const AT_ONCE = 50
const SECRET = 'a secret of this test'
let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({ client: { token: { hmac_secret_key: SECRET } } })
})

afterAll(async () => {
  expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
  expect(await relay.stop()).toBe(0)
})

/** Where a connection ends, each a little later in its life than the one before. */
const CUTS: ((transport: Transport, token: string) => Promise<void>)[] = [
  async transport => {
    const { socket } = await openSocket(transport === 'tcp' ? relay.ports.tcp : relay.ports.http)
    socket.destroy()
  },
  async transport => {
    const { socket } = await openSocket(transport === 'tcp' ? relay.ports.tcp : relay.ports.http)
    socket.on('error', () => {})
    socket.write(transport === 'tcp' ? '{"id":1,"connect":{}}\n' : upgradeRequest(), () =>
      socket.resetAndDestroy(),
    )
  },
  async transport => {
    const client = await RawClient.open(relay, transport)
    client.close()
  },
  async (transport, token) => {
    const client = await RawClient.open(relay, transport)
    client.send({ id: 1, connect: { token } }, { id: 2, subscribe: { channel: 'a' } })
    client.socket.end()
    client.close()
  },
  async transport => {
    const client = await RawClient.connect(relay, transport)
    client.send({ id: 2, subscribe: { channel: 'a' } }, { id: 3, publish: { channel: 'a', data: 1 } })
    client.socket.resetAndDestroy()
  },
  async (transport, token) => {
    const client = await RawClient.connect(relay, transport, { token })
    await client.subscribe(2, `own-${Math.random()}`, { join_leave: true })
    client.send({ id: 3, unsubscribe: { channel: 'a' } })
    client.close()
  },
]

test('after 10,000 connections that were cut at any moment all counts are at zero', {
  timeout: 120_000,
}, async () => {
  const token = await signToken({ sub: 'restless' }, SECRET)
  let next = 0
  const work = async () => {
    while (next < CYCLES) {
      const cycle = next++
      const cut = CUTS[cycle % CUTS.length]!
      await cut(Math.trunc(cycle / CUTS.length) % 2 === 0 ? 'tcp' : 'websocket', token)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  await expectServing(relay)

  const gauges = [
    ['fanwire_connections', 'transport="tcp"'],
    ['fanwire_connections', 'transport="websocket"'],
    ['fanwire_sessions', ''],
    ['fanwire_subscriptions', ''],
    ['fanwire_channels', ''],
    ['fanwire_lagging_connections', ''],
  ] as const
  for (const [name, labels] of gauges) await until(async () => (await sumOf(relay, name, labels)) === 0)
  for (const table of ['route', 'presence']) {
    await until(async () => (await relay.metric(`fanwire_table_used{table="${table}"}`)) === 0)
  }
  expect((await relay.api('presence', { channel: 'a' })).body.result.presence).toEqual({})
  const [node] = (await relay.api('info', {})).body.result.nodes
  expect(node).toMatchObject({ num_clients: 0, num_users: 0, num_subs: 0 })
})
