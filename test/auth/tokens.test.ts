// Tokens made with real keys by the same standard from outside: which are accepted, which are refused and why.

import { createHmac } from 'node:crypto'
import {
  base64url,
  CompactEncrypt,
  exportPKCS8,
  exportSPKI,
  generateKeyPair,
  importPKCS8,
  type JWTPayload,
  SignJWT,
} from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  createLoginTokenVerifier,
  createTokenVerifier,
  TOKEN_LIMITS,
  type TokenOptions,
} from '../../src/auth/tokens.ts'

const NOW_MS = 1_750_000_000_000
const NOW = NOW_MS / 1000
const SECRET = 'a secret of the tests'
const NO_KEYS: TokenOptions = {
  hmac_secret_key: '',
  rsa_public_key: '',
  ecdsa_public_key: '',
  jwks_public_endpoint: '',
  audience: '',
  issuer: '',
}
const HMAC: TokenOptions = { ...NO_KEYS, hmac_secret_key: SECRET }

type SigningKey = Parameters<SignJWT['sign']>[0]

function signed(payload: JWTPayload, alg = 'HS256', key: SigningKey = Buffer.from(SECRET)): Promise<string> {
  return new SignJWT(payload).setProtectedHeader({ alg }).sign(key)
}

/** A token of arbitrary text, with a right HS256 signature over it. */
function handMade(header: string, payload: string, secret = SECRET): string {
  const signing = `${base64url.encode(header)}.${base64url.encode(payload)}`
  return `${signing}.${createHmac('sha256', secret).update(signing).digest('base64url')}`
}

function connect(token: string, options = HMAC, nowMs = NOW_MS) {
  return createTokenVerifier(options).verifyConnection(token, nowMs)
}

let rsaPem: string
let ecPem: string
let ecOptions: TokenOptions
let rsaPrivate: SigningKey
let ecPrivate: SigningKey

beforeAll(async () => {
  const rsa = await generateKeyPair('RS256', { extractable: true })
  const ec = await generateKeyPair('ES384', { extractable: true })
  rsaPem = await exportSPKI(rsa.publicKey)
  ecPem = await exportSPKI(ec.publicKey)
  rsaPrivate = rsa.privateKey
  ecPrivate = ec.privateKey
  ecOptions = { ...NO_KEYS, ecdsa_public_key: ecPem }
})

describe('algorithms and keys', () => {
  test('all three HMAC algorithms are accepted with the secret', async () => {
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      expect(await connect(await signed({ sub: '42' }, alg))).toMatchObject({
        kind: 'valid',
        claims: { user: '42' },
      })
    }
  })

  test('RSA tokens are accepted with the RSA key, for all three digests', async () => {
    const pair = await generateKeyPair('RS256', { extractable: true })
    const options = { ...NO_KEYS, rsa_public_key: await exportSPKI(pair.publicKey) }
    // A CryptoKey is bound to one digest: the private key is imported anew for each.
    const pkcs8 = await exportPKCS8(pair.privateKey)
    for (const alg of ['RS256', 'RS384', 'RS512']) {
      const token = await signed({ sub: '42' }, alg, await importPKCS8(pkcs8, alg))
      expect(await connect(token, options)).toMatchObject({ kind: 'valid' })
    }
    const pss = await signed({ sub: '42' }, 'PS256', await importPKCS8(pkcs8, 'PS256'))
    expect(await connect(pss, options)).toMatchObject({ why: 'no configured key has its algorithm' })
  })

  test('ECDSA tokens are accepted with the key of their curve only', async () => {
    const token = await signed({ sub: '42' }, 'ES384', ecPrivate)
    expect(await connect(token, ecOptions)).toMatchObject({ kind: 'valid' })
    const p256 = await generateKeyPair('ES256')
    const other = await signed({ sub: '42' }, 'ES256', p256.privateKey)
    expect(await connect(other, ecOptions)).toMatchObject({ why: 'no configured key has its algorithm' })
  })

  test('with all keys configured each token is checked with the key of its own algorithm', async () => {
    const options = { ...HMAC, rsa_public_key: rsaPem, ecdsa_public_key: ecPem }
    expect(await connect(await signed({}), options)).toMatchObject({ kind: 'valid' })
    expect(await connect(await signed({}, 'RS256', rsaPrivate), options)).toMatchObject({ kind: 'valid' })
    expect(await connect(await signed({}, 'ES384', ecPrivate), options)).toMatchObject({ kind: 'valid' })
  })

  test('EdDSA is for key sets only', async () => {
    const { privateKey } = await generateKeyPair('EdDSA')
    const options = { ...HMAC, rsa_public_key: rsaPem, ecdsa_public_key: ecPem }
    const token = await signed({}, 'EdDSA', privateKey)
    expect(await connect(token, options)).toMatchObject({ why: 'no configured key has its algorithm' })
  })

  test('without any key every token is refused', async () => {
    const why = 'no key for tokens is configured'
    expect(await connect(await signed({}), NO_KEYS)).toEqual({ kind: 'invalid', why })
    expect(await connect('', NO_KEYS)).toEqual({ kind: 'invalid', why })
    const verifier = createTokenVerifier(NO_KEYS)
    expect(await verifier.verifySubscription(handMade('{"alg":"HS256"}', '{}', ''), NOW_MS)).toEqual({
      kind: 'invalid',
      why,
    })
  })
})

describe('forgeries', () => {
  test('another secret, another key, a changed payload or signature: the signature does not match', async () => {
    const token = await signed({ sub: '42' })
    const [header, , signature] = token.split('.')
    const stranger = await generateKeyPair('ES384')
    const why = 'the signature does not match'
    const changed = `${header}.${base64url.encode('{"sub":"1"}')}.${signature}`
    expect(await connect(changed)).toEqual({ kind: 'invalid', why })
    expect(await connect(await signed({}, 'HS256', Buffer.from('guess')))).toEqual({ kind: 'invalid', why })
    expect(await connect(await signed({}, 'ES384', stranger.privateKey), ecOptions)).toMatchObject({ why })
    expect(await connect(`${token.slice(0, -4)}AAAA`)).toMatchObject({ why })
    expect(await connect(token.slice(0, token.lastIndexOf('.') + 1))).toMatchObject({ kind: 'invalid' })
  })

  test('alg none is refused in every spelling, with and without a signature', async () => {
    const options = { ...HMAC, rsa_public_key: rsaPem }
    for (const alg of ['none', 'None', 'NONE', '', 'hs256', 'HS1', '__proto__', 'constructor']) {
      const token = handMade(JSON.stringify({ alg, typ: 'JWT' }), '{"sub":"42"}')
      expect(await connect(token, options)).toMatchObject({ kind: 'invalid' })
      const unsigned = token.slice(0, token.lastIndexOf('.') + 1)
      expect(await connect(unsigned, options)).toMatchObject({ kind: 'invalid' })
    }
  })

  test('the public key is never taken for a secret', async () => {
    const forged = handMade('{"alg":"HS256"}', '{"sub":"admin"}', rsaPem)
    for (const options of [
      { ...NO_KEYS, rsa_public_key: rsaPem },
      { ...NO_KEYS, rsa_public_key: rsaPem, ecdsa_public_key: ecPem },
      { ...HMAC, rsa_public_key: rsaPem },
    ]) {
      expect(await connect(forged, options)).toMatchObject({ kind: 'invalid' })
    }
  })

  test('a key that the token itself brings is not used', async () => {
    const jwk = { kty: 'oct', k: base64url.encode('mine') }
    const token = handMade(JSON.stringify({ alg: 'HS256', jwk }), '{"sub":"42"}', 'mine')
    expect(await connect(token)).toEqual({ kind: 'invalid', why: 'the signature does not match' })
  })

  test('a token that is encrypted and not signed is refused', async () => {
    const secret = Buffer.alloc(32, 1)
    const token = await new CompactEncrypt(Buffer.from('{"sub":"42"}'))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .encrypt(secret)
    expect(await connect(token)).toEqual({ kind: 'invalid', why: 'not a well-formed signed JWT' })
  })

  test('headers that change how the payload is read are refused', async () => {
    for (const header of [
      { alg: 'HS256', crit: ['exp'], exp: 1 },
      { alg: 'HS256', crit: ['b64'], b64: false },
    ]) {
      expect(await connect(handMade(JSON.stringify(header), '{"sub":"42"}'))).toMatchObject({
        kind: 'invalid',
      })
    }
  })
})

describe('texts that are no tokens', () => {
  test('are refused, and not repeated in the reason', async () => {
    const marker = 'MARKER'
    const texts = [
      '',
      marker,
      `${marker}.${marker}.${marker}`,
      `${marker}..`,
      `.${marker}.`,
      `a.b.c.d.${marker}`,
      'ключ.ключ.ключ',
      '\u0000',
      handMade(`{"alg":"${marker}"}`, '{}'),
      handMade('{"alg":"HS256"}', marker),
      handMade('{"alg":"HS256"}', `["${marker}"]`),
      handMade('{"alg":"HS256"}', `{"sub":["${marker}"]}`),
      handMade('{"alg":"HS256"}', `{"nbf":"${marker}"}`),
      handMade(`["${marker}"]`, '{}'),
    ]
    for (const text of texts) {
      const result = await connect(text)
      expect(result.kind).toBe('invalid')
      expect(JSON.stringify(result)).not.toContain(marker)
    }
  })

  test('a token of the longest length is taken, and one character more is not', async () => {
    const short = await signed({ sub: '' })
    const max = TOKEN_LIMITS.tokenCharsMax
    // 3 characters of the payload are 4 of the token.
    const sub = 'x'.repeat(Math.floor(((max - short.length) * 3) / 4))
    const long = await signed({ sub })
    expect(long.length).toBeLessThanOrEqual(max)
    expect(await connect(long)).toMatchObject({ kind: 'valid' })
    const verifier = createTokenVerifier(HMAC, { tokenCharsMax: long.length - 1 })
    expect(await verifier.verifyConnection(long, NOW_MS)).toEqual({
      kind: 'invalid',
      why: `longer than ${long.length - 1} characters`,
    })
    expect(await connect('x'.repeat(max + 1))).toMatchObject({ why: 'longer than 16384 characters' })
  })
})

describe('time', () => {
  test('a token is expired from the second of its exp on', async () => {
    const token = await signed({ exp: NOW })
    expect(await connect(token, HMAC, NOW_MS - 1)).toMatchObject({ kind: 'valid', claims: { expireAt: NOW } })
    expect(await connect(token, HMAC, NOW_MS)).toEqual({ kind: 'expired' })
    expect(await connect(await signed({ exp: 0 }))).toEqual({ kind: 'expired' })
  })

  test('expire_at changes when the connection ends, and not when the token does', async () => {
    const token = await signed({ exp: NOW + 60, expire_at: 0 })
    expect(await connect(token)).toMatchObject({ kind: 'valid', claims: { expireAt: 0 } })
    expect(await connect(token, HMAC, NOW_MS + 60_000)).toEqual({ kind: 'expired' })
  })

  test('a token from the future is answered like an expired one, so that the client gets another', async () => {
    const token = await signed({ nbf: NOW + 1 })
    expect(await connect(token)).toEqual({ kind: 'expired' })
    expect(await connect(token, HMAC, NOW_MS + 1000)).toMatchObject({ kind: 'valid' })
  })

  test('a forged token is invalid, expired or not', async () => {
    const token = await signed({ exp: NOW - 1 }, 'HS256', Buffer.from('guess'))
    expect(await connect(token)).toMatchObject({ kind: 'invalid' })
  })

  test('times that are no numbers are refused by name', async () => {
    for (const claim of ['exp', 'nbf', 'iat']) {
      const result = await connect(handMade('{"alg":"HS256"}', `{"${claim}":"soon"}`))
      expect(result).toEqual({ kind: 'invalid', why: `claim "${claim}": has the wrong type` })
    }
    expect(await connect(handMade('{"alg":"HS256"}', '{"exp":1e999}'))).toMatchObject({ kind: 'invalid' })
  })
})

describe('audience and issuer', () => {
  const strict = { ...HMAC, audience: 'relay', issuer: 'backend' }

  test('are not looked at where none is configured', async () => {
    expect(await connect(await signed({ aud: 'other', iss: 'other' }))).toMatchObject({ kind: 'valid' })
  })

  test('must be the configured ones; of several audiences one is enough', async () => {
    expect(await connect(await signed({ aud: 'relay', iss: 'backend' }), strict)).toMatchObject({
      kind: 'valid',
    })
    const several = await signed({ aud: ['mail', 'relay'], iss: 'backend' })
    expect(await connect(several, strict)).toMatchObject({ kind: 'valid' })
  })

  test('are refused by name when wrong or missing', async () => {
    const wrong = 'is not the configured one'
    const missing = 'is required and missing'
    expect(await connect(await signed({ aud: 'mail', iss: 'backend' }), strict)).toMatchObject({
      why: `claim "aud": ${wrong}`,
    })
    expect(await connect(await signed({ aud: 'relay', iss: 'mail' }), strict)).toMatchObject({
      why: `claim "iss": ${wrong}`,
    })
    expect(await connect(await signed({ iss: 'backend' }), strict)).toMatchObject({
      why: `claim "aud": ${missing}`,
    })
    expect(await connect(await signed({ aud: 'relay' }), strict)).toMatchObject({
      why: `claim "iss": ${missing}`,
    })
    expect(await connect(await signed({ aud: 'relayed', iss: 'backend' }), strict)).toMatchObject({
      kind: 'invalid',
    })
  })
})

describe('the two kinds of tokens', () => {
  test('neither is taken for the other', async () => {
    const verifier = createTokenVerifier(HMAC)
    const forConnection = await signed({ sub: '42' })
    const forSubscription = await signed({ sub: '42', channel: 'news' })
    expect(await verifier.verifyConnection(forSubscription, NOW_MS)).toMatchObject({ kind: 'invalid' })
    expect(await verifier.verifySubscription(forConnection, NOW_MS)).toMatchObject({ kind: 'invalid' })
    expect(await verifier.verifySubscription(forSubscription, NOW_MS)).toMatchObject({
      kind: 'valid',
      claims: { user: '42', channel: 'news' },
    })
  })

  test('the number of channels is bounded by the parameter', async () => {
    const verifier = createTokenVerifier(HMAC, { channelsMax: 1 })
    const token = await signed({ channels: ['a', 'b'] })
    expect(await verifier.verifyConnection(token, NOW_MS)).toEqual({
      kind: 'invalid',
      why: 'claim "channels": more than 1 channels',
    })
  })
})

describe('tokens of logins', () => {
  const key = Buffer.from('a key file of the tests, 32 bytes')
  const verifier = createLoginTokenVerifier(key)
  const claims = { sub: '7', sid: 'login', exp: NOW + 60 }

  test('tell the user and the login', async () => {
    const result = await verifier.verifyConnection(await signed(claims, 'HS256', key), NOW_MS)
    expect(result).toMatchObject({
      kind: 'valid',
      claims: { user: '7', session: 'login', expireAt: NOW + 60 },
    })
  })

  test.each([
    ['another key', async () => signed(claims, 'HS256')],
    ['another algorithm', async () => signed(claims, 'HS512', Buffer.alloc(64, key))],
    ['no login', async () => signed({ sub: '7', exp: NOW + 60 }, 'HS256', key)],
    ['a login that is no text', async () => signed({ ...claims, sid: 7 }, 'HS256', key)],
    ['a user that is no number', async () => signed({ ...claims, sub: 'ann' }, 'HS256', key)],
    ['the anonymous user', async () => signed({ ...claims, sub: '' }, 'HS256', key)],
  ])('of %s are refused', async (_, make) => {
    expect((await verifier.verifyConnection(await make(), NOW_MS)).kind).toBe('invalid')
  })

  test('end', async () => {
    const token = await signed({ ...claims, exp: NOW - 1 }, 'HS256', key)
    expect(await verifier.verifyConnection(token, NOW_MS)).toEqual({ kind: 'expired' })
  })
})
