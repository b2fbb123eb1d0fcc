// The states of a session, each with what only it has. Runs on a shard.

import type { Subscription } from './subscription.ts'

export type Identity = Readonly<{ user: string; userJson: string; info: string | undefined }>

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
}

export type SessionState =
  | Readonly<{ kind: 'opening'; untilMs: number }>
  | Live
  | Readonly<{ kind: 'closing'; untilMs: number }>
  | Readonly<{ kind: 'closed' }>
