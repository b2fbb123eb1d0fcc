// A call of the messenger as it travels from a shard to the messenger's thread, and its outcome. Any thread; pure.

import type { ErrorCode } from './codes.ts'

/** A login of a user, as a connection carries it. `session`: public id of the login. */
export type Login = Readonly<{ user: number; session: string }>

export type Who =
  /** A connection that has connected: the shard knows the login from when it was admitted. */
  | Readonly<{ kind: 'login'; user: number; session: string }>
  /** HTTP: a bearer token or the cookie, still to be checked. */
  | Readonly<{ kind: 'token'; token: string }>
  | Readonly<{ kind: 'stranger' }>

export type Call = Readonly<{
  method: string
  /** Raw JSON; '' = none. */
  data: string
  who: Who
  /** Client id of the connection; '' over HTTP. */
  client: string
  address: string
  /** What the device calls itself; ''. */
  device: string
  /** `shard`: one of our shards asks for itself. */
  transport: 'websocket' | 'tcp' | 'http' | 'shard'
}>

/** `data`: raw JSON. `login`: the connection that called is this user's from now on. */
export type CallOutcome =
  | Readonly<{ ok: true; data: string; login?: Login | undefined }>
  | Readonly<{ ok: false; error: ErrorCode }>

/** What a user's connection gets when it is let in. */
export type Admission = Readonly<{
  /** Channels to subscribe it to. */
  channels: readonly string[]
  /** Raw JSON that goes with the user's presence: {"name": …}. */
  info: string
}>

export type AdmissionOutcome =
  | Readonly<{ ok: true; admission: Admission }>
  | Readonly<{ ok: false; error: ErrorCode }>

/** The messenger as a shard sees it. Each call has exactly one outcome, which may come before the function returns. */
export type MessengerPort = Readonly<{
  call: (call: Call, done: (outcome: CallOutcome) => void) => void
  /** A connection is about to be this login's. Refused when the login has ended meanwhile. */
  admit: (login: Login, done: (outcome: AdmissionOutcome) => void) => void
}>
