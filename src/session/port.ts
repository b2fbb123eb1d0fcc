// What the steps of a session (connect, subscribe, publish, …) need of it, and what all sessions of a shard share.
// The session implements the one; the shard makes the other. Runs on the shard.

import type { TokenVerifier } from '../auth/tokens.ts'
import type { Timed, Wheel } from '../base/wheel.ts'
import type { Directory } from '../channel/directory.ts'
import type { Namespaces } from '../config/namespaces.ts'
import type { Config } from '../config/schema.ts'
import type { Flusher } from '../fanout/flusher.ts'
import type { Outbox, OutboxLimits } from '../fanout/outbox.ts'
import type { Registry } from '../fanout/registry.ts'
import type { MessengerPort } from '../protocol/call.ts'
import type { Disconnect, ErrorCode } from '../protocol/codes.ts'
import type { CommandKind } from '../protocol/commands.ts'
import type { RpcMethods } from './rpc.ts'
import type { Sessions } from './sessions.ts'
import type { SessionState } from './state.ts'

export type SessionPort = Timed & {
  readonly env: SessionEnv
  readonly outbox: Outbox
  state: SessionState
  /** Opening or live: it may still be answered. */
  readonly isOpen: boolean
  /** Whether the client has to answer pings. */
  readonly expectsPong: boolean
  /** One line for this client. */
  reply(text: string): void
  /** The command gets an error. */
  fail(id: number, kind: CommandKind, error: ErrorCode): void
  /** The command ends the session. */
  refuse(kind: CommandKind, disconnect: Disconnect): void
  /** Runs an asynchronous step; commands that come meanwhile wait for it. */
  hold(step: () => Promise<void>): Promise<void>
  /** Ends the session; what was written before still goes out first. */
  disconnect(disconnect: Disconnect): void
  /** Something with a deadline has changed. */
  rescheduled(): void
  /** Goes on with catching up. */
  resumeCatchUp(): void
  /** A deadline has come. */
  onDue(): void
}

export type SessionEnv = Readonly<{
  config: Config
  version: string
  namespaces: Namespaces
  connectionTokens: TokenVerifier
  subscriptionTokens: TokenVerifier
  directory: Directory
  registry: Registry
  flusher: Flusher
  sessions: Sessions<SessionPort>
  wheel: Wheel<SessionPort>
  rpc: RpcMethods
  /** Undefined: there is none. With it clients connect by its accounts, and in no other way. */
  messenger: MessengerPort | undefined
  row: Float64Array
  outboxLimits: OutboxLimits
  /** An error that escaped from one session: logged with a count, never with what the client sent. */
  onError: (place: 'websocket' | 'tcp' | 'http' | 'timer' | 'ring', error: unknown) => void
}>
