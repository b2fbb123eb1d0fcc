// Keys from a JWKS endpoint, cached per thread; the only place of auth/ that talks to the network.
// Invariant: at most one request at a time, none sooner than the cool-down after an answer or the back-off after a
// failure, whatever tokens clients send.

import {
  type CryptoKey,
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type FlattenedJWSInput,
  type JWSHeaderParameters,
} from 'jose'
import { monotonicMs } from '../base/clock.ts'
import { ConfigError } from '../base/errors.ts'

export interface JwksLimits {
  /** Keys are asked for anew when they are this old. */
  readonly jwksCacheMs: number
  /** A token with an unknown key leads to a request only when the last answer is this old. */
  readonly jwksCooldownMs: number
  /** Longest wait for an answer. */
  readonly jwksTimeoutMs: number
  /** After a failed request there is no other for so long. */
  readonly jwksBackoffMs: number
}

/** The right key may exist, but can't be had now: the client should try again later. */
export class KeysUnavailableError extends Error {
  override name = 'KeysUnavailableError'
}

export type KeySource = (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>

/** A set of 100 RSA keys has some 60 KB. */
const JWKS_BYTES_MAX = 256 * 1024

/**
 * The result throws KeysUnavailableError when the endpoint gives no usable answer, and errors of jose when it has no
 * key for the token. Throws ConfigError where `endpoint` is not an http(s) URL.
 */
export function createJwksSource(endpoint: string, limits: JwksLimits): KeySource {
  const url = parseEndpoint(endpoint)
  const fetcher = createFetcher(limits.jwksBackoffMs)
  const keySet = createRemoteJWKSet(url, {
    cacheMaxAge: limits.jwksCacheMs,
    cooldownDuration: limits.jwksCooldownMs,
    timeoutDuration: limits.jwksTimeoutMs,
    [customFetch]: fetcher.fetch,
  })
  return async (header, token) => {
    const requestsBefore = fetcher.requestCount()
    try {
      return await keySet(header, token)
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) {
        if (fetcher.requestCount() !== requestsBefore) throw error
        // The cool-down kept us from asking. The key may be a new one, so this is no verdict on the token: judged
        // as invalid, clients that come right after a rotation would be sent away for good.
        throw new KeysUnavailableError('no such key in the cached set, and the endpoint was asked just now')
      }
      if (error instanceof errors.JWKSMultipleMatchingKeys || error instanceof KeysUnavailableError)
        throw error
      throw new KeysUnavailableError(`no usable answer of the JWKS endpoint: ${networkReason(error)}`)
    }
  }
}

/**
 * fetch() with a bounded body and a back-off, since jose's own cool-down begins only with a success. Only what the
 * endpoint does counts as a failure, never what a token says: nobody can keep the back-off alive from outside.
 */
function createFetcher(backoffMs: number): { fetch: FetchImplementation; requestCount(): number } {
  let requests = 0
  let failedAtMs = Number.NEGATIVE_INFINITY
  const boundedFetch: FetchImplementation = async (url, init) => {
    if (monotonicMs() - failedAtMs < backoffMs) {
      throw new KeysUnavailableError('the JWKS endpoint failed just now')
    }
    requests += 1
    try {
      const response = await fetch(url, init)
      if (response.status !== 200) throw new KeysUnavailableError(`JWKS endpoint: HTTP ${response.status}`)
      const body = await readBounded(response)
      // Throws where the answer is no key set; jose reads it again, which happens once an hour.
      createLocalJWKSet(JSON.parse(body))
      return new Response(body)
    } catch (error) {
      failedAtMs = monotonicMs()
      throw error
    }
  }
  return { fetch: boundedFetch, requestCount: () => requests }
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > JWKS_BYTES_MAX)
      throw new KeysUnavailableError(`JWKS endpoint: more than ${JWKS_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** fetch() says only "fetch failed" and keeps the reason, ECONNREFUSED say, in the cause. */
function networkReason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  if (error instanceof SyntaxError) return 'not JSON'
  const cause = error.cause
  if (cause instanceof Error && 'code' in cause) return String(cause.code)
  return error.message
}

function parseEndpoint(endpoint: string): URL {
  const url = URL.parse(endpoint)
  if (url !== null && (url.protocol === 'https:' || url.protocol === 'http:')) return url
  throw new ConfigError(`jwks_public_endpoint is not an http or https URL: ${JSON.stringify(endpoint)}`)
}
