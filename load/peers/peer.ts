// What a peer is: a server that the same load is put on, side by side with the relay. Types and the answers that all
// dialects share. Invariant: a peer's file says everything about it: its settings, how it is started, how one speaks.

import type { Answer, Dialect } from '../generator/dialect.ts'

export type Peer = Readonly<{
  /** On the command line. */
  name: string
  title: string
  /** What differs from how it comes, and why; printed under the table. */
  settings: string
  /** URL of the module that exports `dialect`, for the load's threads. */
  dialect: string
  /** Undefined where it isn't installed. */
  version: () => Promise<string | undefined>
  /** What to do where it isn't. */
  install: string
  start: () => Promise<PeerServer>
}>

export type PeerServer = Readonly<{
  pid: number
  port: number
  /** Resolves when the process is gone. */
  stop: () => Promise<void>
}>

/** A file of a peer exports both. */
export type PeerModule = Readonly<{ peer: Peer; dialect: Dialect }>

export const OK: Answer = { state: 'ok' }
export const NONE: Answer = { state: 'none' }
