// An error of our own within one command: it ends that connection with 3004 and nothing else. The parts are a
// shard's real ones, in this process, with a method of rpc that throws: the one place where code from elsewhere runs.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { monotonicMs } from '../../src/base/clock.ts'
import { Wheel } from '../../src/base/wheel.ts'
import { loadConfig } from '../../src/config/load.ts'
import { Admission } from '../../src/edge/admission.ts'
import { TcpEdge } from '../../src/edge/tcp.ts'
import { createApp, type Listening, listen, type UwsApp } from '../../src/edge/uws.ts'
import { attachWebSocket } from '../../src/edge/websocket.ts'
import { slots } from '../../src/metrics/slots.ts'
import type { SessionPort } from '../../src/session/port.ts'
import { rowOf } from '../../src/shared/counters.ts'
import { Doorbell } from '../../src/shared/doorbell.ts'
import { Mesh } from '../../src/shared/mesh.ts'
import { createShardRelay } from '../../src/threads/shard-relay.ts'
import { createTopology } from '../../src/threads/topology.ts'
import { RawClient } from '../support/raw-client.ts'
import { signToken } from '../support/sdk.ts'
import { TRANSPORTS } from '../support/serving.ts'

const SECRET = 'a secret of this test'
const argv = [
  '--client.allow_anonymous_connect_without_token=true',
  `--client.token.hmac_secret_key=${SECRET}`,
  '--channel.without_namespace.allow_subscribe_for_client=true',
  '--channel.without_namespace.allow_subscribe_for_anonymous=true',
  '--channel.without_namespace.allow_publish_for_client=true',
  '--channel.without_namespace.allow_publish_for_anonymous=true',
]
const errors: unknown[] = []
const escaped: unknown[] = []
let app: UwsApp
let listening: Listening
let tcp: TcpEdge
let row: Float64Array
let relay: { ports: { http: number; tcp: number } }

beforeAll(async () => {
  process.on('unhandledRejection', error => escaped.push(error))
  const { config, profile } = loadConfig({ argv, env: {} })
  const topology = createTopology({
    config,
    profile,
    version: '0',
    nodeId: '0',
    startedMs: 0,
    shards: 1,
    connectionLimit: 0,
    hashKey: new Uint32Array([1, 2]),
  })
  row = rowOf(topology.counters, 0)
  const made = createShardRelay({
    topology,
    shard: 0,
    row,
    mesh: new Mesh(0, new Doorbell(topology.doorbells, 0)),
    wheel: new Wheel<SessionPort>({ tickMs: 100, nowMs: monotonicMs(), onDue: session => session.onDue() }),
    onError: (_place, error) => errors.push(error),
  })
  const rpc = new Map([
    [
      'explode',
      () => {
        throw new Error('a mistake of ours')
      },
    ],
  ])
  const env = { ...made.env, rpc }
  const admission = new Admission({
    allowedOrigins: [],
    loopbackOnly: false,
    listedOnly: false,
    connectionLimit: 0,
    connectionRateLimit: 0,
    rows: [row],
    row,
  })
  app = createApp(undefined)
  attachWebSocket(app, env, admission)
  listening = listen(app, '127.0.0.1', 0, false)!
  tcp = new TcpEdge(env, admission)
  relay = { ports: { http: listening.port, tcp: await tcp.listen('127.0.0.1', 0) } }
})

beforeEach(() => {
  errors.length = 0
})

afterAll(() => {
  expect(escaped).toEqual([])
  app.close()
  tcp.close()
})

describe.each(TRANSPORTS)('on %s', transport => {
  /** Somebody in the same channel, on the same shard, who must notice nothing. */
  async function neighbour(): Promise<RawClient> {
    const client = await RawClient.connect(relay, transport)
    await client.subscribe(2, 'common')
    return client
  }

  async function expectUnharmed(client: RawClient): Promise<void> {
    const fresh = await RawClient.connect(relay, transport)
    await fresh.call({ id: 2, publish: { channel: 'common', data: transport } })
    await client.next(({ push }) => push?.pub?.data === transport)
    for (const one of [client, fresh]) one.close()
    expect(errors.map(error => (error as Error).message)).toEqual(['a mistake of ours'])
  }

  test('an error in a command ends that connection with 3004, and its subscriptions with it', async () => {
    const client = await neighbour()
    const counted = row[slots.guardErrors[transport]]!
    const unlucky = await RawClient.connect(relay, transport)
    await unlucky.subscribe(2, 'common')
    unlucky.send({ id: 3, rpc: { method: 'explode' } })
    expect(await unlucky.ended).toMatchObject({ code: 3004, reason: 'internal server error' })
    expect(row[slots.guardErrors[transport]]! - counted).toBe(1)
    expect(row[slots.subscriptions]).toBe(1)
    await expectUnharmed(client)
  })

  test('an error in a command that had waited for a token check ends that connection alone', async () => {
    const client = await neighbour()
    const unlucky = await RawClient.open(relay, transport)
    const token = await signToken({ sub: 'anna' }, SECRET)
    unlucky.send({ id: 1, connect: { token } }, { id: 2, rpc: { method: 'explode' } }, { id: 3, ping: {} })
    expect(await unlucky.ended).toMatchObject({ code: 3004 })
    expect(unlucky.lines.filter(({ id }) => id === 3)).toEqual([])
    await expectUnharmed(client)
  })
})
