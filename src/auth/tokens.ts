// Connection and subscription tokens (JWT): signature, time, audience, issuer, then what the claims mean. Runs on
// the shards. Invariant: bad tokens are values, never exceptions, and no result holds any part of the token's text.

import { createSecretKey } from 'node:crypto'
import { type CryptoKey, errors, type JWTVerifyOptions, jwtVerify } from 'jose'
import { ConfigError, reasonOf } from '../base/errors.ts'
import {
  type ClaimsResult,
  type ConnectionClaims,
  readConnectionClaims,
  readSubscriptionClaims,
  type SubscriptionClaims,
} from './claims.ts'
import { createJwksSource, type JwksLimits, type KeySource, KeysUnavailableError } from './jwks.ts'
import { importKeys, type KeyOptions } from './keys.ts'

/** All are texts, '' where not set. With an endpoint the three keys are not used. */
export interface TokenOptions extends KeyOptions {
  readonly jwks_public_endpoint: string
  readonly audience: string
  readonly issuer: string
}

export interface TokenLimits extends JwksLimits {
  readonly tokenCharsMax: number
  /** Most channels that a connection token may name. */
  readonly channelsMax: number
}

/**
 * `expired`: the time is not within `nbf` and `exp`; the client should get a new token (error 109).
 * `invalid`: no token of this text will ever be accepted (disconnect 3500, or 103 for a subscription).
 * `unavailable`: can't be decided now; the client should come again (a temporary error).
 */
export type TokenResult<T> =
  | { kind: 'valid'; claims: T }
  | { kind: 'expired' }
  | { kind: 'invalid'; why: string }
  | { kind: 'unavailable'; why: string }

export interface TokenVerifier {
  /** `nowMs` is the wall clock. Never rejects. */
  verifyConnection(token: string, nowMs: number): Promise<TokenResult<ConnectionClaims>>
  /** The caller still has to compare user, channel and client with those of the request. Never rejects. */
  verifySubscription(token: string, nowMs: number): Promise<TokenResult<SubscriptionClaims>>
}

export const TOKEN_LIMITS: TokenLimits = {
  // Room for claims with a hundred channels. Past it, parsing would be work that a stranger can order for free.
  tokenCharsMax: 16 * 1024,
  // The default of client.channel_limit.
  channelsMax: 128,
  // How long a withdrawn key may live on, against how often every shard asks.
  jwksCacheMs: 3_600_000,
  // Clients choose key ids freely: this bounds the requests that they can cause.
  jwksCooldownMs: 30_000,
  // Less than client.stale_close_delay, so that the client hears the answer.
  jwksTimeoutMs: 5_000,
  // Short: after a restart of the endpoint clients should get in soon.
  jwksBackoffMs: 1_000,
}

/** What a JWKS endpoint may sign with: public keys of type RSA, EC and OKP. */
const JWKS_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  // The name of RFC 9864 for the one curve of EdDSA in use.
  'Ed25519',
]

/** Imports the keys once. Throws ConfigError on a key or an endpoint that can't be used. */
export function createTokenVerifier(options: TokenOptions, limits: Partial<TokenLimits> = {}): TokenVerifier {
  const bounds = { ...TOKEN_LIMITS, ...limits }
  return verifierOf(keysOf(options, bounds), bounds, {
    ...(options.audience !== '' && { audience: options.audience }),
    ...(options.issuer !== '' && { issuer: options.issuer }),
  })
}

/** The connection tokens that the messenger signs: each is of one login of one user, and no other key counts. */
export function createLoginTokenVerifier(key: Uint8Array): Pick<TokenVerifier, 'verifyConnection'> {
  const secret = createSecretKey(key).toCryptoKey({ name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
  const { verifyConnection } = verifierOf(
    { source: async () => secret, algorithms: ['HS256'] },
    TOKEN_LIMITS,
    {},
  )
  return {
    async verifyConnection(token, nowMs) {
      const result = await verifyConnection(token, nowMs)
      if (result.kind !== 'valid') return result
      const { user, session } = result.claims
      return USER_ID.test(user) && session !== '' ? result : invalid('of no login')
    },
  }
}

/** As the messenger numbers its users. */
const USER_ID = /^[1-9]\d{0,15}$/

type Keys = Readonly<{ source: KeySource; algorithms: string[] }>

function verifierOf(
  { source, algorithms }: Keys,
  bounds: TokenLimits,
  expected: JWTVerifyOptions,
): TokenVerifier {
  const checks: JWTVerifyOptions = { ...expected, algorithms }

  async function verify<T>(
    token: string,
    nowMs: number,
    read: (payload: unknown) => ClaimsResult<T>,
  ): Promise<TokenResult<T>> {
    if (algorithms.length === 0) return invalid('no key for tokens is configured')
    if (token.length > bounds.tokenCharsMax) return invalid(`longer than ${bounds.tokenCharsMax} characters`)
    try {
      const { payload } = await jwtVerify(token, source, { ...checks, currentDate: new Date(nowMs) })
      return read(payload)
    } catch (error) {
      return resultOf(error)
    }
  }

  return {
    verifyConnection(token, nowMs) {
      return verify(token, nowMs, payload => readConnectionClaims(payload, bounds.channelsMax))
    },
    verifySubscription(token, nowMs) {
      return verify(token, nowMs, readSubscriptionClaims)
    },
  }
}

/** Throws ConfigError, with the path of the option, for keys that no verifier could use. For the start of the program. */
export function checkTokenKeys(client: {
  readonly token: TokenOptions
  readonly subscription_token: TokenOptions & { readonly enabled: boolean }
}): void {
  const { token, subscription_token } = client
  checkKeysOf('client.token', token)
  if (subscription_token.enabled) checkKeysOf('client.subscription_token', subscription_token)
}

function checkKeysOf(path: string, options: TokenOptions): void {
  try {
    createTokenVerifier(options)
  } catch (error) {
    throw new ConfigError(`${path}.${reasonOf(error)}`)
  }
}

function keysOf(options: TokenOptions, limits: JwksLimits): Keys {
  if (options.jwks_public_endpoint !== '') {
    return { source: createJwksSource(options.jwks_public_endpoint, limits), algorithms: JWKS_ALGORITHMS }
  }
  const keys = importKeys(options)
  return { source: async header => keyFor(keys, header.alg), algorithms: [...keys.keys()] }
}

function keyFor(keys: ReadonlyMap<string, CryptoKey>, alg: string | undefined): CryptoKey {
  const key = keys.get(alg ?? '')
  // jose has already compared the algorithm with the list, which is made of the same keys.
  if (key === undefined) throw new errors.JOSEAlgNotAllowed()
  return key
}

/**
 * Texts of our own for jose's errors, because some of jose's repeat what the header says. An error that is not listed
 * (a key of the endpoint that is too short, say) refuses the token as well.
 */
function resultOf(error: unknown): TokenResult<never> {
  if (error instanceof KeysUnavailableError) return { kind: 'unavailable', why: error.message }
  if (error instanceof errors.JWTExpired) return { kind: 'expired' }
  if (error instanceof errors.JWTClaimValidationFailed) {
    // As in Centrifugo: where the issuer's clock is ahead of ours, a newer token helps, and the client gets one.
    if (error.claim === 'nbf' && error.reason === 'check_failed') return { kind: 'expired' }
    return invalid(`claim "${error.claim}": ${REASONS[error.reason] ?? 'invalid'}`)
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return invalid('the signature does not match')
  if (error instanceof errors.JOSEAlgNotAllowed) return invalid('no configured key has its algorithm')
  if (error instanceof errors.JWKSNoMatchingKey) return invalid('the key set has no such key')
  if (error instanceof errors.JWKSMultipleMatchingKeys) {
    return invalid('several keys of the set fit; its header needs a "kid"')
  }
  if (error instanceof errors.JOSEError) return invalid('not a well-formed signed JWT')
  return invalid(`can't be verified (${error instanceof Error ? error.name : 'unknown error'})`)
}

const REASONS: Record<string, string> = {
  missing: 'is required and missing',
  invalid: 'has the wrong type',
  check_failed: 'is not the configured one',
}

function invalid(why: string): { kind: 'invalid'; why: string } {
  return { kind: 'invalid', why }
}
