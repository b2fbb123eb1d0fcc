// Keys out of the configuration, imported once per thread at start.
// Invariant: each algorithm has one key of its own kind, so that a token's header can never choose another kind
// (no HMAC with a public key as its secret).

import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import type { CryptoKey } from 'jose'
import { ConfigError, reasonOf } from '../base/errors.ts'

export interface KeyOptions {
  /** The secret as it is, any text. */
  readonly hmac_secret_key: string
  /** PEM (public key or certificate; line breaks may be written as \n), or the base64 of the DER inside. */
  readonly rsa_public_key: string
  readonly ecdsa_public_key: string
}

/** Shorter RSA keys can be factored; the JOSE standard (RFC 7518, 3.3) forbids them. */
const RSA_BITS_MIN = 2048

/** ECDSA: the curve of the key fixes the one algorithm. */
const CURVES: Record<string, { alg: string; namedCurve: string }> = {
  prime256v1: { alg: 'ES256', namedCurve: 'P-256' },
  secp384r1: { alg: 'ES384', namedCurve: 'P-384' },
  secp521r1: { alg: 'ES512', namedCurve: 'P-521' },
}

/** Algorithm of the JWT header → key. Empty when nothing is configured. Throws ConfigError on an unusable key. */
export function importKeys(options: KeyOptions): Map<string, CryptoKey> {
  return new Map([
    ...hmacKeys(options.hmac_secret_key),
    ...rsaKeys(options.rsa_public_key),
    ...ecdsaKeys(options.ecdsa_public_key),
  ])
}

function hmacKeys(secret: string): [string, CryptoKey][] {
  if (secret === '') return []
  const key = createSecretKey(secret, 'utf8')
  return [256, 384, 512].map(bits => {
    return [`HS${bits}`, key.toCryptoKey({ name: 'HMAC', hash: `SHA-${bits}` }, false, ['verify'])]
  })
}

function rsaKeys(text: string): [string, CryptoKey][] {
  if (text === '') return []
  const key = publicKey('rsa_public_key', text)
  if (key.asymmetricKeyType !== 'rsa') {
    throw new ConfigError(`rsa_public_key is not an RSA key but ${key.asymmetricKeyType}`)
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < RSA_BITS_MIN) {
    throw new ConfigError(`rsa_public_key has ${bits} bits; at least ${RSA_BITS_MIN} are needed`)
  }
  return [256, 384, 512].map(bits => {
    const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: `SHA-${bits}` }
    return [`RS${bits}`, key.toCryptoKey(algorithm, false, ['verify'])]
  })
}

function ecdsaKeys(text: string): [string, CryptoKey][] {
  if (text === '') return []
  const key = publicKey('ecdsa_public_key', text)
  const curve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? '']
  if (key.asymmetricKeyType !== 'ec' || curve === undefined) {
    throw new ConfigError('ecdsa_public_key is not an EC key on one of the curves P-256, P-384, P-521')
  }
  const { alg, namedCurve } = curve
  return [[alg, key.toCryptoKey({ name: 'ECDSA', namedCurve }, false, ['verify'])]]
}

function publicKey(option: string, text: string): KeyObject {
  const unescaped = text.replaceAll('\\n', '\n').trim()
  // node:crypto would take the public half of it without a word, and the secret would stay in the configuration.
  if (unescaped.includes('PRIVATE KEY')) {
    throw new ConfigError(`${option} is a private key; only the public one belongs here`)
  }
  try {
    if (unescaped.startsWith('-----BEGIN')) return createPublicKey(unescaped)
    return createPublicKey({ key: Buffer.from(unescaped, 'base64'), format: 'der', type: 'spki' })
  } catch (error) {
    throw new ConfigError(
      `${option} can't be read; PEM or base64 of a public key is needed: ${reasonOf(error)}`,
    )
  }
}
