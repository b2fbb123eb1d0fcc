// What all sessions of a shard share. Made once by the shard; runs there.

import type { TokenVerifier } from '../auth/tokens.ts'
import type { Wheel } from '../base/wheel.ts'
import type { Directory } from '../channel/directory.ts'
import type { Namespaces } from '../config/namespaces.ts'
import type { Config } from '../config/schema.ts'
import type { Flusher } from '../fanout/flusher.ts'
import type { OutboxLimits } from '../fanout/outbox.ts'
import type { Registry } from '../fanout/registry.ts'
import type { RpcMethods } from './rpc.ts'
import type { Session } from './session.ts'
import type { Sessions } from './sessions.ts'

export type SessionEnv = Readonly<{
  config: Config
  version: string
  namespaces: Namespaces
  connectionTokens: TokenVerifier
  subscriptionTokens: TokenVerifier
  directory: Directory
  registry: Registry
  flusher: Flusher
  sessions: Sessions
  wheel: Wheel<Session>
  rpc: RpcMethods
  row: Float64Array
  outboxLimits: OutboxLimits
  /** An error that escaped from one session: logged with a count, never with what the client sent. */
  onError: (place: 'websocket' | 'tcp' | 'http' | 'timer' | 'ring', error: unknown) => void
}>
