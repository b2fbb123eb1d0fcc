// Tokens that are old, forged or no tokens at all: what a client gets, and that nothing of them is in the log.

import { createHmac, generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { exchange, openSocket, RawClient, upgradeRequest } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { inSeconds, signToken } from '../support/sdk.ts'
import { expectServing, TRANSPORTS } from '../support/serving.ts'

const SECRET = 'a secret of this test'
const PUBLIC_KEYS = generateKeyPairSync('rsa', { modulusLength: 2048 })
const PUBLIC_PEM = PUBLIC_KEYS.publicKey.export({ type: 'spki', format: 'pem' }) as string
let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({
    client: {
      allow_anonymous_connect_without_token: false,
      token: { hmac_secret_key: SECRET, rsa_public_key: PUBLIC_PEM, audience: 'us', issuer: 'them' },
    },
  })
})

afterEach(async () => {
  await expectServing(relay, { token: await good({}) })
})

afterAll(async () => {
  expect(relay.log.filter(({ level }) => level >= 40)).toEqual([])
  expect(JSON.stringify(relay.log)).not.toContain('eyJ')
  expect(await relay.stop()).toBe(0)
})

const CLAIMS = { sub: 'anna', aud: 'us', iss: 'them' }
const good = (claims: object) => signToken({ ...CLAIMS, ...claims }, SECRET)
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

function handMade(header: object, claims: object, secret?: string): string {
  const signed = `${part(header)}.${part(claims)}`
  const signature =
    secret === undefined ? '' : createHmac('sha256', secret).update(signed).digest('base64url')
  return `${signed}.${signature}`
}

const FORGED: [string, () => string | Promise<string>][] = [
  ['signed with another secret', () => signToken(CLAIMS, 'another secret')],
  ['with "alg": "none" and no signature', () => handMade({ alg: 'none' }, CLAIMS)],
  ['with "alg": "None"', () => handMade({ alg: 'None' }, CLAIMS)],
  ['without "alg"', () => handMade({ typ: 'JWT' }, CLAIMS, SECRET)],
  ['with the public key as its secret', () => handMade({ alg: 'HS256' }, CLAIMS, PUBLIC_PEM)],
  ['that claims RS256 over an HMAC', () => handMade({ alg: 'RS256' }, CLAIMS, SECRET)],
  [
    'with a critical header nobody knows',
    () => handMade({ alg: 'HS256', crit: ['x'], x: 1 }, CLAIMS, SECRET),
  ],
  [
    'whose claims were changed',
    async () => (await good({})).replace(/\.[^.]+\./, `.${part({ ...CLAIMS, sub: 'root' })}.`),
  ],
  ['without its signature', async () => (await good({})).replace(/[^.]+$/, '')],
  ['of another audience', () => good({ aud: 'others' })],
  ['of another issuer', () => good({ iss: 'others' })],
  ['with a user that is a number', () => good({ sub: 7 })],
  ['with a user of 256 bytes', () => good({ sub: 'a'.repeat(256) })],
  ['with channels that are no list', () => good({ channels: 'news' })],
  ['of claims that are a list', () => handMade({ alg: 'HS256' }, [1], SECRET)],
  ['of three dots', () => '...'],
  ['of any text', () => 'let me in'],
  ['of 17,000 characters', () => good({ info: 'x'.repeat(13_000) })],
]

describe.each(TRANSPORTS)('on %s', transport => {
  test.each(FORGED)('a token %s ends the connection with 3500', async (_name, make) => {
    const client = await RawClient.open(relay, transport)
    client.send({ id: 1, connect: { token: await make() } })
    const { code, reason } = await client.ended
    expect(code).toBe(3500)
    expect(reason).toMatch(/^invalid token: /)
    expect(reason).not.toContain('eyJ')
  })

  test.each([
    ['has expired', () => good({ exp: inSeconds(-1) })],
    ['is not valid yet', () => good({ nbf: inSeconds(3600) })],
  ])('a token that %s is answered with 109, so that the client gets a new one', async (_name, make) => {
    const client = await RawClient.open(relay, transport)
    expect((await client.call({ id: 1, connect: { token: await make() } })).error).toMatchObject({
      code: 109,
    })
    expect((await client.call({ id: 2, connect: { token: await good({}) } })).connect).toBeDefined()
    client.close()
  })

  test('no token at all, or none that is a text, lets nobody in', async () => {
    const without = await RawClient.open(relay, transport)
    without.send({ id: 1, connect: {} })
    expect(await without.ended).toMatchObject({ code: 3500, reason: 'invalid token: a token is required' })
    const wrong = await RawClient.open(relay, transport)
    expect((await wrong.call({ id: 1, connect: { token: { alg: 'none' } } })).error).toMatchObject({
      code: 107,
      message: 'bad request: connect.token is a string',
    })
    wrong.close()
  })

  test('refresh with the token of another user ends the connection with 3500', async () => {
    const client = await RawClient.connect(relay, transport, { token: await good({}) })
    client.send({ id: 2, refresh: { token: await good({ sub: 'bertha' }) } })
    expect(await client.ended).toMatchObject({ code: 3500, reason: 'invalid token: of another user' })
  })

  test.each([
    ['another user', { sub: 'bertha', channel: '$a' }],
    ['another channel', { sub: 'anna', channel: '$b' }],
    ['another client', { sub: 'anna', channel: '$a', client: 'somebody' }],
  ])('a subscription token of %s is answered with 103', async (_name, claims) => {
    const client = await RawClient.connect(relay, transport, { token: await good({}) })
    const token = await good(claims)
    expect((await client.subscribe(2, '$a', { token })).error.code).toBe(103)
    expect((await client.subscribe(3, '$a')).error.code).toBe(103)
    client.close()
  })

  test.each([
    ['another user', { sub: 'bertha', channel: '$a' }],
    ['another channel', { sub: 'anna', channel: '$b' }],
    ['another client', { sub: 'anna', channel: '$a', client: 'somebody' }],
  ])('a subscription is not refreshed with a token of %s', async (_name, claims) => {
    const client = await RawClient.connect(relay, transport, { token: await good({}) })
    const token = await good({ sub: 'anna', channel: '$a' })
    expect((await client.subscribe(2, '$a', { token })).subscribe).toBeDefined()
    const refresh = { channel: '$a', token: await good(claims) }
    expect((await client.call({ id: 3, sub_refresh: refresh })).error.code).toBe(103)
    client.close()
  })
})

test('a token signed with the RSA key is good, so the refusals above are not for want of it', async () => {
  const token = await new SignJWT(CLAIMS).setProtectedHeader({ alg: 'RS256' }).sign(PUBLIC_KEYS.privateKey)
  const client = await RawClient.connect(relay, 'tcp', { token })
  client.close()
})

test('a token in the address of the upgrade or in its headers is not looked at', async () => {
  const token = await good({})
  const { socket } = await openSocket(relay.ports.http)
  const path = `/connection/websocket?token=${token}&cf_connect=${encodeURIComponent(`{"token":"${token}"}`)}`
  const { head } = await exchange(socket, upgradeRequest({ Authorization: `Bearer ${token}` }, path))
  expect(head).toContain('101 Switching Protocols')
  const client = RawClient.upgraded(socket)
  client.send({ id: 1, connect: {} })
  expect(await client.ended).toMatchObject({ code: 3500, reason: 'invalid token: a token is required' })
})
