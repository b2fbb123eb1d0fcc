// Who may open a connection: pure decisions on origin, and the counted limits. Runs on a shard.

import { monotonicMs } from '../base/clock.ts'
import { TokenBucket } from '../base/token-bucket.ts'
import { slots } from '../metrics/slots.ts'

export type RefusalReason = 'origin' | 'connection_limit' | 'connection_rate' | 'draining'

export type AdmissionOptions = Readonly<{
  allowedOrigins: readonly string[]
  /** The development profile: pages of this machine may connect, and no others. */
  loopbackOnly: boolean
  /** Nobody needs a token or key: then a page is trusted only if it is listed, for any name can point to this host. */
  listedOnly: boolean
  /** Over all shards; 0: none. */
  connectionLimit: number
  /** Per second on this shard; 0: none. */
  connectionRateLimit: number
  /** The rows of all shards: who is connected where. */
  rows: readonly Float64Array[]
  row: Float64Array
}>

/** Whether a page of this origin may open a connection to the host it asked for. */
export function isOriginAllowed(
  origin: string,
  host: string,
  options: Pick<AdmissionOptions, 'allowedOrigins' | 'loopbackOnly' | 'listedOnly'>,
): boolean {
  // Not a browser: then a page's rights can't be abused.
  if (origin === '') return true
  if (options.allowedOrigins.includes('*') || options.allowedOrigins.includes(origin)) return true
  const parsed = URL.parse(origin)
  if (parsed === null) return false
  // A name that an attacker points at loopback is its own origin, so in the open profile the name itself counts.
  if (options.loopbackOnly) return isLoopbackName(parsed.hostname)
  return !options.listedOnly && parsed.host !== '' && parsed.host === host
}

function isLoopbackName(name: string): boolean {
  return name === 'localhost' || name === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(name)
}

export class Admission {
  readonly #options: AdmissionOptions
  #draining = false
  readonly #rate: TokenBucket

  constructor(options: AdmissionOptions) {
    this.#options = options
    this.#rate = new TokenBucket(options.connectionRateLimit, monotonicMs())
  }

  get draining(): boolean {
    return this.#draining
  }

  drain(): void {
    this.#draining = true
  }

  /** Undefined: the connection may be opened. A refusal has been counted. */
  refusal(origin: string, host: string, nowMs: number): RefusalReason | undefined {
    const reason = this.#decide(origin, host, nowMs)
    if (reason !== undefined) {
      this.#options.row[slots.connectionsRefused[reason]]! += 1
    }
    return reason
  }

  #decide(origin: string, host: string, nowMs: number): RefusalReason | undefined {
    if (this.#draining) return 'draining'
    if (!isOriginAllowed(origin, host, this.#options)) return 'origin'
    const { connectionLimit } = this.#options
    if (connectionLimit > 0 && this.#connections() >= connectionLimit) return 'connection_limit'
    return this.#rate.take(nowMs) ? undefined : 'connection_rate'
  }

  #connections(): number {
    let connections = 0
    for (const row of this.#options.rows) {
      connections += row[slots.connections.websocket]! + row[slots.connections.tcp]!
    }
    return connections
  }
}
