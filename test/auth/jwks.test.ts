// Keys from a real HTTP endpoint: rotation, cache, cool-down, an endpoint that is down, slow or wrong.

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createTokenVerifier, type TokenLimits, type TokenOptions } from '../../src/auth/tokens.ts'
import { ConfigError } from '../../src/base/errors.ts'

const NOW_MS = 1_750_000_000_000
const NO_BACKOFF: Partial<TokenLimits> = { jwksBackoffMs: 0 }

/** What the endpoint answers; a test changes it while the server runs. */
let answer: { status: number; body: string; silent: boolean }
let requests: number
let server: Server
let endpoint: string

beforeEach(async () => {
  requests = 0
  answer = { status: 200, body: '{"keys":[]}', silent: false }
  server = await listen(0)
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
})

afterEach(async () => {
  vi.useRealTimers()
  await close()
})

function listen(port: number): Promise<Server> {
  return new Promise(resolve => {
    const started = createServer((_request, response) => {
      requests += 1
      if (answer.silent) return
      response.writeHead(answer.status, { 'content-type': 'application/json', location: '/elsewhere' })
      response.end(answer.body)
    })
    started.listen(port, '127.0.0.1', () => resolve(started))
  })
}

function close(): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function publish(...keys: JWK[]): void {
  answer.body = JSON.stringify({ keys })
}

async function signer(alg: string, kid: string | undefined, jwkMembers: JWK | { alg?: string } = {}) {
  const pair = await generateKeyPair(alg, { extractable: true })
  const header = kid === undefined ? { alg } : { alg, kid }
  const jwk: JWK = { ...(await exportJWK(pair.publicKey)), ...(kid !== undefined && { kid }), ...jwkMembers }
  const sign = (sub: string) => new SignJWT({ sub }).setProtectedHeader(header).sign(pair.privateKey)
  return { jwk, sign, pair }
}

function verifierOf(limits: Partial<TokenLimits> = {}, extra: Partial<TokenOptions> = {}) {
  const options: TokenOptions = {
    hmac_secret_key: '',
    rsa_public_key: '',
    ecdsa_public_key: '',
    jwks_public_endpoint: endpoint,
    audience: '',
    issuer: '',
    ...extra,
  }
  const verifier = createTokenVerifier(options, limits)
  return (token: string) => verifier.verifyConnection(token, NOW_MS)
}

describe('keys of the set', () => {
  test('RSA, EC and OKP keys verify their tokens, with one request for all', async () => {
    const signers = [
      await signer('RS256', 'a'),
      await signer('ES256', 'b'),
      await signer('ES512', 'c'),
      await signer('EdDSA', 'd'),
    ]
    publish(...signers.map(({ jwk }) => jwk))
    const verify = verifierOf()
    for (const { sign } of signers) {
      expect(await verify(await sign('42'))).toMatchObject({ kind: 'valid', claims: { user: '42' } })
    }
    expect(requests).toBe(1)
  })

  test('many tokens at once lead to one request', async () => {
    const { jwk, sign } = await signer('ES256', 'a')
    publish(jwk)
    const verify = verifierOf()
    const token = await sign('42')
    const results = await Promise.all(Array.from({ length: 20 }, () => verify(token)))
    expect(results.every(({ kind }) => kind === 'valid')).toBe(true)
    expect(requests).toBe(1)
  })

  test('a token signed by another key under a known id is refused', async () => {
    const honest = await signer('ES256', 'a')
    const forger = await signer('ES256', 'a')
    publish(honest.jwk)
    expect(await verifierOf()(await forger.sign('42'))).toEqual({
      kind: 'invalid',
      why: 'the signature does not match',
    })
  })

  test('the algorithm that the set gives for a key binds its tokens', async () => {
    const { jwk, sign } = await signer('RS256', 'a', { alg: 'RS512' })
    publish(jwk)
    expect(await verifierOf()(await sign('42'))).toMatchObject({ kind: 'invalid' })
  })

  test('without an id in the token a single fitting key is used, and of several none', async () => {
    const first = await signer('ES256', undefined)
    const second = await signer('ES256', undefined)
    publish(first.jwk)
    expect(await verifierOf()(await first.sign('42'))).toMatchObject({ kind: 'valid' })
    publish(first.jwk, second.jwk)
    expect(await verifierOf()(await first.sign('42'))).toEqual({
      kind: 'invalid',
      why: 'several keys of the set fit; its header needs a "kid"',
    })
  })

  test('HMAC is refused: with a secret that is configured too, with one in the set, with a public key as secret', async () => {
    const rsa = await signer('RS256', 'a')
    publish(rsa.jwk, { kty: 'oct', k: Buffer.from('shared').toString('base64url'), kid: 'b', alg: 'HS256' })
    const verify = verifierOf({}, { hmac_secret_key: 'shared' })
    const { n } = rsa.jwk
    for (const [kid, secret] of [
      ['b', 'shared'],
      ['a', JSON.stringify(rsa.jwk)],
      ['a', n ?? ''],
    ] as const) {
      const token = await new SignJWT({ sub: '42' })
        .setProtectedHeader({ alg: 'HS256', kid })
        .sign(Buffer.from(secret))
      expect(await verify(token)).toEqual({ kind: 'invalid', why: 'no configured key has its algorithm' })
    }
    expect(requests).toBe(0)
  })
})

describe('rotation', () => {
  test('a token with a new key leads to a request once the cool-down is over', async () => {
    const old = await signer('ES256', 'old')
    const fresh = await signer('ES256', 'fresh')
    publish(old.jwk)
    const verify = verifierOf({ jwksCooldownMs: 0 })
    expect(await verify(await old.sign('42'))).toMatchObject({ kind: 'valid' })
    publish(fresh.jwk)
    expect(await verify(await fresh.sign('42'))).toMatchObject({ kind: 'valid' })
    expect(await verify(await old.sign('42'))).toEqual({
      kind: 'invalid',
      why: 'the key set has no such key',
    })
  })

  test('within the cool-down unknown keys lead to no request, and to no verdict', async () => {
    const known = await signer('ES256', 'known')
    const unknown = await signer('ES256', 'unknown')
    publish(known.jwk)
    vi.useFakeTimers({ toFake: ['Date'], now: NOW_MS })
    const verify = verifierOf({ jwksCooldownMs: 30_000 })
    expect(await verify(await known.sign('42'))).toMatchObject({ kind: 'valid' })
    vi.setSystemTime(NOW_MS + 29_999)
    for (let attempt = 0; attempt < 20; attempt++) {
      expect(await verify(await unknown.sign('42'))).toMatchObject({ kind: 'unavailable' })
    }
    expect(requests).toBe(1)
    expect(await verify(await known.sign('42'))).toMatchObject({ kind: 'valid' })
    vi.setSystemTime(NOW_MS + 30_000)
    expect(await verify(await unknown.sign('42'))).toEqual({
      kind: 'invalid',
      why: 'the key set has no such key',
    })
    expect(requests).toBe(2)
  })

  test('a withdrawn key is gone when the cache is an hour old', async () => {
    const { jwk, sign } = await signer('ES256', 'a')
    publish(jwk)
    vi.useFakeTimers({ toFake: ['Date'], now: NOW_MS })
    const verify = verifierOf()
    const token = await sign('42')
    expect(await verify(token)).toMatchObject({ kind: 'valid' })
    publish()
    vi.setSystemTime(NOW_MS + 3_599_999)
    expect(await verify(token)).toMatchObject({ kind: 'valid' })
    expect(requests).toBe(1)
    vi.setSystemTime(NOW_MS + 3_600_000)
    expect((await verify(token)).kind).not.toBe('valid')
    expect(requests).toBe(2)
  })
})

describe('an endpoint that fails', () => {
  test('cannot be reached: unavailable, and well again when it is back', async () => {
    const { jwk, sign } = await signer('ES256', 'a')
    publish(jwk)
    const { port } = server.address() as AddressInfo
    await close()
    const verify = verifierOf(NO_BACKOFF)
    const token = await sign('42')
    expect(await verify(token)).toEqual({
      kind: 'unavailable',
      why: 'no usable answer of the JWKS endpoint: ECONNREFUSED',
    })
    server = await listen(port)
    expect(await verify(token)).toMatchObject({ kind: 'valid' })
  })

  test('is not asked again before the back-off is over', async () => {
    const { sign } = await signer('ES256', 'a')
    answer.status = 500
    const verify = verifierOf({ jwksBackoffMs: 600_000 })
    for (let attempt = 0; attempt < 5; attempt++) {
      expect(await verify(await sign('42'))).toMatchObject({ kind: 'unavailable' })
    }
    expect(requests).toBe(1)
  })

  test('answers with an error, a redirect, no JSON, no key set or too much: unavailable, without repeating it', async () => {
    const { jwk, sign } = await signer('ES256', 'a')
    const good = JSON.stringify({ keys: [jwk] })
    const verify = verifierOf(NO_BACKOFF)
    const token = await sign('42')
    for (const [status, body] of [
      [500, good],
      [404, good],
      [302, good],
      [200, 'MARKER'],
      [200, '{"keys":"MARKER"}'],
      [200, '["MARKER"]'],
      [200, ''],
      [200, JSON.stringify({ keys: [jwk], padding: 'x'.repeat(256 * 1024) })],
    ] as const) {
      answer = { status, body, silent: false }
      const result = await verify(token)
      expect(result.kind).toBe('unavailable')
      expect(JSON.stringify(result)).not.toContain('MARKER')
    }
    answer = { status: 200, body: good, silent: false }
    expect(await verify(token)).toMatchObject({ kind: 'valid' })
  })

  test('does not answer: unavailable after the time limit', async () => {
    const { sign } = await signer('ES256', 'a')
    answer.silent = true
    const verify = verifierOf({ jwksTimeoutMs: 20 })
    expect(await verify(await sign('42'))).toMatchObject({ kind: 'unavailable' })
  })

  test('gives a private key: it is not used', async () => {
    const { pair, sign } = await signer('ES256', 'a')
    publish({ ...(await exportJWK(pair.privateKey)), kid: 'a' })
    expect((await verifierOf()(await sign('42'))).kind).not.toBe('valid')
  })
})

test('an endpoint that is no http address is refused at start', () => {
  for (const wrong of ['keys.json', 'file:///etc/passwd', 'ftp://127.0.0.1/keys']) {
    endpoint = wrong
    expect(() => verifierOf()).toThrow(ConfigError)
    expect(() => verifierOf()).toThrow(JSON.stringify(wrong))
  }
})
