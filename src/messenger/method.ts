// What a method of the messenger is. Clients call it as rpc over WebSocket and TCP and as POST over HTTP; the same
// definition makes its check, its dispatch and its page in the reference. Any thread.

import type { z } from 'zod'
import type { MessengerOptions } from '../config/schema.ts'
import type { Login } from '../protocol/call.ts'
import type { Caller } from './caller.ts'
import type { Effects } from './effects.ts'
import type { FailureKind } from './failures.ts'
import type { Guards, Online, Pool } from './ports.ts'
import type { Database } from './store/database.ts'

/** `shard`: only for our own shards in the name of a user, never for what comes from outside. */
export type Access = 'stranger' | 'user' | 'admin' | 'shard'

type Definition<I, O> = Readonly<{
  name: string
  access: Access
  /** One or two sentences for the reference. */
  about: string
  input: z.ZodType<I>
  output: z.ZodType<O>
  /** What it may be refused for besides bad_request, unauthorized, rate, internal, busy and storage. */
  fails: readonly FailureKind[]
}>

/** Runs in the one transaction that is being gathered: synchronous, and quick. Throwing undoes its own writes only. */
export type WriteContext = Readonly<{
  db: Database
  nowMs: number
  effects: Effects
  options: MessengerOptions
}>

/** Runs in a thread of the pool, on a read-only connection that sees one moment of the database. */
export type ReadContext = Readonly<{ db: Database; nowMs: number; options: MessengerOptions }>

/** Runs in the messenger's thread, in several steps. */
export type StepsContext = Readonly<{
  /** For single small lookups; nothing is ever written by it. */
  db: Database
  nowMs: () => number
  options: MessengerOptions
  /** Resolves when it is durable. */
  write: <T>(work: (context: WriteContext) => T) => Promise<T>
  pool: Pool
  online: Online
  guards: Guards
  /** Over a connection that has not connected yet: from now on it is this user's. */
  grant: (login: Login) => void
  /** Signs a connection token for a login of a user. */
  signToken: (user: number, session: string) => Promise<{ token: string; expires_ms: number }>
  /** Carried out behind the answer: for what may end the caller's own connection. Those of `write` go before it. */
  effects: Effects
}>

export type WriteMethod<I, O> = Definition<I, O> &
  Readonly<{
    kind: 'write'
    /** Counts against the rate at which the user may send messages. */
    rated?: true
    run: (context: WriteContext, caller: Caller, input: I) => O
  }>
export type ReadMethod<I, O> = Definition<I, O> &
  Readonly<{ kind: 'read'; run: (context: ReadContext, caller: Caller, input: I) => O }>
export type StepsMethod<I, O> = Definition<I, O> &
  Readonly<{ kind: 'steps'; run: (context: StepsContext, caller: Caller, input: I) => Promise<O> }>

export type Method =
  | WriteMethod<unknown, unknown>
  | ReadMethod<unknown, unknown>
  | StepsMethod<unknown, unknown>

/** Each makes a method whose `run` knows the types of its schemas. */
export function writes<I, O>(definition: Omit<WriteMethod<I, O>, 'kind'>): Method {
  return { kind: 'write', ...definition } as Method
}

export function reads<I, O>(definition: Omit<ReadMethod<I, O>, 'kind'>): Method {
  return { kind: 'read', ...definition } as Method
}

export function inSteps<I, O>(definition: Omit<StepsMethod<I, O>, 'kind'>): Method {
  return { kind: 'steps', ...definition } as Method
}
