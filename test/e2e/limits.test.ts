import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { newClient, nextEvent, signToken } from '../support/sdk.ts'
import { TcpClient } from '../support/tcp-client.ts'

const SECRET = 'a-secret-of-the-back-end'
const CONNECTIONS_MAX = 8

let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({
    client: {
      token: { hmac_secret_key: SECRET },
      user_connection_limit: 3,
      connection_limit: CONNECTIONS_MAX,
      command_rate_limit: 50,
    },
  })
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
})

async function openTcp(
  user?: string,
  port = relay.ports.tcp,
): Promise<{ tcp: TcpClient; client: string | undefined }> {
  const tcp = await TcpClient.open(port)
  onTestFinished(async () => {
    tcp.close()
    await tcp.ended
  })
  const token = user === undefined ? undefined : await signToken({ sub: user }, SECRET)
  tcp.send({ id: 1, connect: { token } })
  const first = await tcp.next(line => line.id === 1 || line.push?.disconnect !== undefined)
  return { tcp, client: first.connect?.client }
}

const goodbye = async (tcp: TcpClient) =>
  (await tcp.next(line => line.push?.disconnect !== undefined)).push.disconnect

test('a user has so many connections, whichever shard they come to', async () => {
  const held: TcpClient[] = []
  for (let n = 0; n < 3; n++) {
    const { tcp, client } = await openTcp('ann')
    expect(client).toBeDefined()
    held.push(tcp)
  }
  const { tcp: refused } = await openTcp('ann')
  expect((await goodbye(refused)).code).toBe(3504)
  expect((await openTcp('bob')).client).toBeDefined()
  // Whoever leaves makes room; the relay has seen it when the user is gone from its counts.
  held[0]!.close()
  for (;;) {
    const { tcp, client } = await openTcp('ann')
    if (client !== undefined) break
    tcp.close()
  }
})

test('a client that sends too many commands is disconnected with 3013', async () => {
  const { tcp } = await openTcp('quick')
  const commands = Array.from({ length: 200 }, (_, n) => `{"id":${n + 2},"ping":{}}\n`)
  tcp.socket.write(commands.join(''))
  expect(await goodbye(tcp)).toMatchObject({ code: 3013, reconnect: true })
})

test('TCP clients must answer pings where the configuration says so', async () => {
  const strict = await startTestRelay({
    shards: 1,
    client: { ping_interval: '1s', pong_timeout: '200ms' },
    tcp: { require_pong: true },
  })
  onTestFinished(async () => void (await strict.stop()))
  const { tcp } = await openTcp(undefined, strict.ports.tcp)
  expect(tcp.lines[0].connect.pong).toBe(true)
  expect(await goodbye(tcp)).toMatchObject({ code: 3012, reconnect: true })
  const { tcp: polite } = await openTcp(undefined, strict.ports.tcp)
  polite.socket.on('data', chunk => {
    if (String(chunk).trim() === '{}') polite.send({})
  })
  const pings = () => polite.lines.filter(line => Object.keys(line).length === 0).length
  await polite.next(() => pings() >= 2)
  expect(await polite.call({ id: 2, ping: {} })).toEqual({ id: 2, ping: {} })
})

test('the relay has so many connections, of both kinds together', async () => {
  const opened: TcpClient[] = []
  let last: TcpClient
  do {
    expect(opened.length).toBeLessThanOrEqual(CONNECTIONS_MAX)
    last = (await openTcp()).tcp
    opened.push(last)
  } while (last.lines[0].connect !== undefined)
  expect((await goodbye(last)).code).toBe(3504)
  const client = newClient(relay.websocketUrl)
  const refused = nextEvent(client, 'error', ({ type }) => type === 'transport')
  client.connect()
  await refused
  expect(await relay.metric('fanwire_connections_refused_total{reason="connection_limit"}')).toBeGreaterThan(
    1,
  )
  // Once there is room again the official client gets in by itself.
  for (const tcp of opened) tcp.close()
  await client.ready()
})
