// What the messenger needs of the world: the relay, the pool, and guards against too many tries. threads/ implements the
// first two. The messenger's thread.

import type { ErrorCode } from '../protocol/codes.ts'
import type { Order } from '../session/orders.ts'
import type { Tasks } from './tasks.ts'

export type PublishOutcome = Readonly<{ ok: true } | { ok: false; error: ErrorCode }>

export type Relay = Readonly<{
  /** To the home of the channel. `data`: JSON. Outcomes of a channel come in the order of the calls. */
  publish: (channel: string, data: string, done: (outcome: PublishOutcome) => void) => void
  /**
   * To the sessions of a user, on all shards: a shard may be about to admit one that no table counts yet. `done` comes when
   * each shard has carried it out or is lost; what is published to a channel waits for those who are still to join it.
   */
  order: (order: Order, done: () => void) => void
  /** To all shards. */
  notice: (topic: string, text: string) => void
  /** Connections of a user, by the presence table. */
  connections: (user: string) => number
}>

export type Pool = Readonly<{
  /** Rejects with CallError('busy') when all that may wait already waits. */
  run: <K extends keyof Tasks>(kind: K, input: Tasks[K]['input']) => Promise<Tasks[K]['output']>
}>

export type Online = Readonly<{
  isOnline: (user: number) => boolean
  /** Ascending ids of who is online. */
  all: () => readonly number[]
}>

/** Limits that are kept in memory over all shards. They throw CallError('rate') with the time to wait. */
export type Guards = Readonly<{
  /** One more sign-up from an address. */
  signup: (address: string) => void
  /**
   * Before a password is checked: backoff of the account and bucket of the address. What it returns is to be called once,
   * with whether the password was right; undefined: it could not be checked.
   */
  login: (nicknameKey: string, address: string) => (succeeded: boolean | undefined) => void
  /** One more message of a user. */
  message: (user: number) => void
  /** One more call of a user, whatever it asks for. */
  called: (user: number) => void
}>
