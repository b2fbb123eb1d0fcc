// The states of a session, each with what only it has. Runs on a shard.

import type { Login } from '../protocol/call.ts'
import type { Subscription } from './subscription.ts'

export type Identity = Readonly<{
  user: string
  userJson: string
  info: string | undefined
  /** Public id of the login of the messenger; '': without messenger there are none. */
  session: string
}>

export type Opening = {
  readonly kind: 'opening'
  /** What the device calls itself; ''. */
  readonly device: string
  /** Calls of the messenger so far. */
  calls: number
  /** Who has logged in on this connection and may connect without a token. */
  login: Login | undefined
}

/** A session that has connected. */
export type Live = {
  readonly kind: 'live'
  readonly client: string
  identity: Identity
  /** Unix seconds; 0: never. */
  expireAt: number
  readonly subscriptions: Map<string, Subscription>
  /** A server-side clock runs for one of the subscriptions. */
  hasExpiringSubscriptions: boolean
  pingAtMs: number
  /** 0: no pong is awaited. */
  pongDueMs: number
  /** Calls of the messenger that have no outcome yet. */
  openCalls: number
  /** Lets the commands go on that wait for the outcome of one of them. */
  onCallAnswered: (() => void) | undefined
  /** While `connect` waits for its subscriptions: the channels that are still to be asked for. */
  toSubscribe: Set<string> | undefined
}

export type SessionState =
  | Opening
  | Live
  | Readonly<{ kind: 'closing'; untilMs: number }>
  | Readonly<{ kind: 'closed' }>
