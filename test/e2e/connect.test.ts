import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { layCable } from '../support/cable.ts'
import { runProgram, temporaryFile } from '../support/program.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import {
  inSeconds,
  newClient,
  nextEvent,
  PATIENTLY,
  record,
  signToken,
  soon,
  subscribe,
} from '../support/sdk.ts'
import { TcpClient } from '../support/tcp-client.ts'

const SECRET = 'a-secret-of-the-back-end'

let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({
    client: {
      allow_anonymous_connect_without_token: false,
      token: { hmac_secret_key: SECRET },
      expired_close_delay: '10s',
    },
  })
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
})

/** The user as whom a token connects, as others see it. */
async function userOf(url: string, token: string): Promise<string | undefined> {
  const client = newClient(url, { token })
  const connected = nextEvent(client, 'connected')
  client.connect()
  const { client: id } = await connected
  await subscribe(client, 'who')
  const { clients } = await client.presence('who')
  return clients[id]?.user
}

test('a token signed with the shared secret connects as its user', async () => {
  expect(await userOf(relay.websocketUrl, await signToken({ sub: '42' }, SECRET))).toBe('42')
})

test('what the command `token` prints connects', async () => {
  const file = temporaryFile('relay.json', JSON.stringify({ client: { token: { hmac_secret_key: SECRET } } }))
  const { code, stdout } = await runProgram(['token', '--user', 'operator', '--config', file])
  expect(code).toBe(0)
  expect(await userOf(relay.websocketUrl, stdout.trim())).toBe('operator')
})

test('without a token an anonymous client is refused, and does not come back', async () => {
  const client = newClient(relay.websocketUrl)
  const disconnected = nextEvent(client, 'disconnected')
  client.connect()
  expect(await disconnected).toMatchObject({ code: 3500 })
})

test('a token with a wrong signature is refused, and the client does not come back', async () => {
  const client = newClient(relay.websocketUrl, { token: await signToken({ sub: '42' }, 'another secret') })
  const disconnected = nextEvent(client, 'disconnected')
  client.connect()
  expect(await disconnected).toMatchObject({ code: 3500 })
})

test('over TCP the last line says why a connection ends', async () => {
  const tcp = await TcpClient.open(relay.ports.tcp)
  tcp.send({ id: 1, connect: { token: 'no token at all' } })
  const { push } = await tcp.next(line => line.push?.disconnect !== undefined)
  expect(push.disconnect).toMatchObject({ code: 3500 })
  expect(push.disconnect.reconnect).toBeUndefined()
  await tcp.ended
})

test('an expired token: the client gets error 109, fetches another one and connects', async () => {
  let asked = 0
  const client = newClient(relay.websocketUrl, {
    token: await signToken({ sub: '42', exp: inSeconds(-10) }, SECRET),
    getToken: () => {
      asked++
      return signToken({ sub: '42', exp: inSeconds(3600) }, SECRET)
    },
  })
  client.connect()
  await client.ready()
  expect(asked).toBe(1)
})

test('a token that expires soon is renewed on the same connection', async () => {
  const renewed = Promise.withResolvers<void>()
  const client = newClient(relay.websocketUrl, {
    token: await signToken({ sub: '42', exp: soon() }, SECRET),
    getToken: () => {
      renewed.resolve()
      return signToken({ sub: '42', exp: inSeconds(3600) }, SECRET)
    },
  })
  const connections = record(client, 'connected')
  client.connect()
  await renewed.promise
  await expect
    .poll(() => relay.metric('fanwire_commands_total{command="refresh",outcome="ok"}'), PATIENTLY)
    .toBe(1)
  // The connection still works, and it is the first one.
  await client.rpc('server.info', {})
  expect(connections.all).toHaveLength(1)
})

test('a token of another user does not renew a connection', async () => {
  const client = newClient(relay.websocketUrl, {
    token: await signToken({ sub: '42', exp: soon() }, SECRET),
    getToken: () => signToken({ sub: '43', exp: inSeconds(3600) }, SECRET),
  })
  const disconnected = nextEvent(client, 'disconnected')
  client.connect()
  expect(await disconnected).toMatchObject({ code: 3500 })
})

test('a token that expired while the network was cut is replaced at the reconnect', async () => {
  const cable = await layCable(relay.ports.http)
  onTestFinished(() => cable.close())
  let token = await signToken({ sub: '42', exp: inSeconds(3600) }, SECRET)
  const client = newClient(`ws://127.0.0.1:${cable.port}/connection/websocket`, {
    getToken: async () => token,
  })
  client.connect()
  await client.ready()
  const reconnecting = nextEvent(client, 'connecting')
  const connected = nextEvent(client, 'connected')
  cable.cut()
  await reconnecting
  // `expire_at` in the past is refused like an `exp` in the past.
  token = await signToken({ sub: '42', expire_at: inSeconds(-5) }, SECRET)
  client.setToken(token)
  const refused = nextEvent(client, 'error', ({ error }) => error.code === 109)
  cable.mend()
  await refused
  token = await signToken({ sub: '42', exp: inSeconds(3600) }, SECRET)
  await connected
})

test('keys of the back end: RSA by its public key, and a key set that the relay fetches', async () => {
  const rsa = await generateKeyPair('RS256', { extractable: true })
  const ec = await generateKeyPair('ES256', { extractable: true })
  const keySet = { keys: [{ ...(await exportJWK(ec.publicKey)), kid: 'key-1', alg: 'ES256', use: 'sig' }] }
  const keys = createServer((_request, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(keySet))
  })
  await new Promise<void>(resolve => keys.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void keys.close())
  const jwks_public_endpoint = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/keys.json`
  const [byKey, bySet] = await Promise.all([
    startTestRelay({ shards: 1, client: { token: { rsa_public_key: await exportSPKI(rsa.publicKey) } } }),
    startTestRelay({ shards: 1, client: { token: { jwks_public_endpoint } } }),
  ])
  onTestFinished(async () => {
    await Promise.all([byKey.stop(), bySet.stop()])
  })
  const ofRsa = await new SignJWT({ sub: 'rsa-user' })
    .setProtectedHeader({ alg: 'RS256' })
    .sign(rsa.privateKey)
  const ofEc = await new SignJWT({ sub: 'ec-user' })
    .setProtectedHeader({ alg: 'ES256', kid: 'key-1' })
    .sign(ec.privateKey)
  expect(await userOf(byKey.websocketUrl, ofRsa)).toBe('rsa-user')
  expect(await userOf(bySet.websocketUrl, ofEc)).toBe('ec-user')
  // Another key under the name of the right one.
  const forged = await new SignJWT({ sub: 'ec-user' })
    .setProtectedHeader({ alg: 'ES256', kid: 'key-1' })
    .sign((await generateKeyPair('ES256')).privateKey)
  const stranger = newClient(bySet.websocketUrl, { token: forged })
  const disconnected = nextEvent(stranger, 'disconnected')
  stranger.connect()
  expect(await disconnected).toMatchObject({ code: 3500 })
})
