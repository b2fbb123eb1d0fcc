// A client and a back end that subscribe the same session to the same channel at the same time.

import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT } from 'jose'
import { expect, onTestFinished, test } from 'vitest'
import { startTestRelay } from '../support/relay.ts'
import { PATIENTLY, signToken } from '../support/sdk.ts'
import { TcpClient } from '../support/tcp-client.ts'

const SECRET = 'a secret of this test'

/** A server of public keys that answers when it is told to. */
async function startKeyServer() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const asked = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const server = createServer(async (_request, response) => {
    asked.resolve()
    await released.promise
    const key = { ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'EdDSA', use: 'sig' }
    response.end(JSON.stringify({ keys: [key] }))
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked: asked.promise,
    release: released.resolve,
    sign: (claims: Record<string, unknown>) =>
      new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', typ: 'JWT', kid: 'k' }).sign(privateKey),
  }
}

test('what was subscribed by the server while the token was checked is not subscribed twice', async () => {
  const keys = await startKeyServer()
  const relay = await startTestRelay({
    client: {
      token: { hmac_secret_key: SECRET },
      subscription_token: { enabled: true, jwks_public_endpoint: keys.url },
    },
  })
  onTestFinished(async () => {
    expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
    expect(await relay.stop()).toBe(0)
  })
  const client = await TcpClient.open(relay.ports.tcp)
  await client.call({ id: 1, connect: { token: await signToken({ sub: 'u' }, SECRET) } })
  client.send({ id: 2, subscribe: { channel: 'c', token: await keys.sign({ sub: 'u', channel: 'c' }) } })
  await keys.asked
  await relay.api('subscribe', { user: 'u', channel: 'c' })
  await client.next(({ push }) => push?.subscribe !== undefined)
  keys.release()
  expect((await client.next(({ id }) => id === 2)).error).toMatchObject({ code: 105 })

  const heard = () => client.lines.flatMap(({ push }) => (push?.pub === undefined ? [] : [push.pub.data]))
  const publish = (data: string) => relay.api('publish', { channel: 'c', data })
  await publish('once')
  await publish('then')
  await client.next(() => heard().includes('then'))
  expect(heard()).toEqual(['once', 'then'])

  // One end ends it: no subscription is left that nobody knows of.
  await client.call({ id: 3, unsubscribe: { channel: 'c' } })
  await publish('to nobody')
  await relay.api('subscribe', { user: 'u', channel: 'c' })
  await publish('at last')
  await client.next(() => heard().includes('at last'))
  expect(heard()).toEqual(['once', 'then', 'at last'])
  client.close()
  const subscriptions = () =>
    Promise.all([0, 1].map(shard => relay.metric(`fanwire_subscriptions{shard="${shard}"}`)))
  await expect.poll(subscriptions, PATIENTLY).toEqual([0, 0])
})
