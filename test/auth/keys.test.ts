// Which texts are keys, which algorithms they give, and that nothing else gets in.

import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { importKeys } from '../../src/auth/keys.ts'
import { ConfigError } from '../../src/base/errors.ts'

const NONE = { hmac_secret_key: '', rsa_public_key: '', ecdsa_public_key: '' }
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const rsaPem = rsa.publicKey.export({ format: 'pem', type: 'spki' }).toString()

function ecPem(namedCurve: string): string {
  return generateKeyPairSync('ec', { namedCurve })
    .publicKey.export({ format: 'pem', type: 'spki' })
    .toString()
}

function messageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
  throw new Error('nothing was thrown')
}

test('no key gives no algorithm', () => {
  expect([...importKeys(NONE).keys()]).toEqual([])
})

test('each kind of key gives the algorithms of its kind only', () => {
  expect([...importKeys({ ...NONE, hmac_secret_key: 'secret' }).keys()]).toEqual(['HS256', 'HS384', 'HS512'])
  expect([...importKeys({ ...NONE, rsa_public_key: rsaPem }).keys()]).toEqual(['RS256', 'RS384', 'RS512'])
  expect([...importKeys({ ...NONE, ecdsa_public_key: ecPem('prime256v1') }).keys()]).toEqual(['ES256'])
  expect([...importKeys({ ...NONE, ecdsa_public_key: ecPem('secp384r1') }).keys()]).toEqual(['ES384'])
  expect([...importKeys({ ...NONE, ecdsa_public_key: ecPem('secp521r1') }).keys()]).toEqual(['ES512'])
})

test('a public key may be PEM in both its forms, PEM with escaped line breaks, or bare base64', () => {
  const pkcs1 = rsa.publicKey.export({ format: 'pem', type: 'pkcs1' }).toString()
  const base64 = rsa.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')
  for (const text of [rsaPem, pkcs1, rsaPem.replaceAll('\n', '\\n'), `\n${rsaPem}`, base64]) {
    expect(importKeys({ ...NONE, rsa_public_key: text }).size).toBe(3)
  }
})

test('a private key is refused and not shown', () => {
  const pem = rsa.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  const message = messageOf(() => importKeys({ ...NONE, rsa_public_key: pem }))
  expect(message).toBe('rsa_public_key is a private key; only the public one belongs here')
})

test('a key of another kind is refused', () => {
  expect(messageOf(() => importKeys({ ...NONE, rsa_public_key: ecPem('prime256v1') }))).toContain(
    'not an RSA',
  )
  expect(messageOf(() => importKeys({ ...NONE, ecdsa_public_key: rsaPem }))).toContain('P-256, P-384, P-521')
  expect(messageOf(() => importKeys({ ...NONE, ecdsa_public_key: ecPem('secp256k1') }))).toContain('P-256')
})

test('a short RSA key is refused', () => {
  const pem = generateKeyPairSync('rsa', { modulusLength: 1024 })
    .publicKey.export({ format: 'pem', type: 'spki' })
    .toString()
  const message = messageOf(() => importKeys({ ...NONE, rsa_public_key: pem }))
  expect(message).toBe('rsa_public_key has 1024 bits; at least 2048 are needed')
})

test('text that is no key is refused with the name of the option', () => {
  expect(messageOf(() => importKeys({ ...NONE, rsa_public_key: 'hello' }))).toMatch(
    /^rsa_public_key can't be/,
  )
  expect(messageOf(() => importKeys({ ...NONE, ecdsa_public_key: '-----BEGIN X' }))).toMatch(
    /^ecdsa_public_key/,
  )
})
