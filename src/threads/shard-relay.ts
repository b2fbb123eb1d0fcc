// Joins the parts of a shard that relay: homes, directory, fan-out, sessions. Runs on the shard.
// One way in: edges, HTTP and rings all end in the directory. One way out: the flusher, and the rings behind the outlet.

import { createLoginTokenVerifier, createTokenVerifier } from '../auth/tokens.ts'
import { wallMs } from '../base/clock.ts'
import type { Wheel } from '../base/wheel.ts'
import { Directory, type LocalSide } from '../channel/directory.ts'
import { Home } from '../channel/home.ts'
import { createMeshOutlet } from '../channel/mesh-outlet.ts'
import { createNotices, type Notices } from '../channel/notices.ts'
import { createNamespaces } from '../config/namespaces.ts'
import { BatchMemory } from '../fanout/batch-memory.ts'
import { Flusher } from '../fanout/flusher.ts'
import { Registry } from '../fanout/registry.ts'
import { carryOutOrder, type Order } from '../session/orders.ts'
import type { SessionEnv, SessionPort } from '../session/port.ts'
import { builtInMethods } from '../session/rpc.ts'
import { Sessions } from '../session/sessions.ts'
import { CountTable } from '../shared/count-table.ts'
import type { Mesh } from '../shared/mesh.ts'
import { maxRecordBytesOf } from '../shared/ring.ts'
import { createHomeOf } from './home-of.ts'
import { createMessengerPort } from './messenger-port.ts'
import type { Topology } from './topology.ts'

export type ShardRelay = Readonly<{
  env: SessionEnv
  home: Home
  directory: Directory
  presence: CountTable
  homeOf: (channel: string) => number
  /** What the messenger tells all shards. */
  notices: Notices
}>

export function createShardRelay(options: {
  topology: Topology
  shard: number
  row: Float64Array
  mesh: Mesh
  wheel: Wheel<SessionPort>
  onError: SessionEnv['onError']
}): ShardRelay {
  const { topology, shard, row, mesh, wheel, onError } = options
  const { config, shards, hashKey, messenger } = topology
  const routes = new CountTable(topology.routes, hashKey)
  const presence = new CountTable(topology.presence, hashKey)
  const namespaces = createNamespaces(config.channel, config.messenger.enabled)
  const homeOf = createHomeOf(hashKey, shards)
  const flusher = new Flusher(row, { schedule: scheduleFlush }, new BatchMemory())
  const registry = new Registry(shard, routes, row, homeOf, () => home.makeRoom())
  const sessions = new Sessions<SessionPort>(shard, presence, row)
  const notices = createNotices()
  const local = localSideOf(registry, flusher, sessions, notices)
  const home = new Home({
    shard,
    shards,
    routes,
    outlet: createMeshOutlet({ shard, mesh, local, frameBytesMax: maxRecordBytesOf(config.mesh.ring_size) }),
    row,
    optionsOf: channel => {
      const resolved = namespaces.resolve(channel)
      return resolved.kind === 'known' ? resolved.options : undefined
    },
    historyBytesMax: config.channel.history_memory_limit / shards,
    historyMetaTtlMs: config.channel.history_meta_ttl,
    recoveryCountMax: config.client.recovery_max_publication_limit,
  })
  const directory = new Directory({ shard, mesh, home, local, homeOf })
  const env: SessionEnv = {
    config,
    version: `fanwire ${topology.version}`,
    namespaces,
    ...verifiersOf(topology),
    directory,
    registry,
    flusher,
    sessions,
    wheel,
    rpc: builtInMethods(topology.version, wallMs),
    messenger: messenger && createMessengerPort(directory, messenger.peer),
    row,
    outboxLimits: { softBytes: config.client.queue_soft_size, hardBytes: config.client.queue_max_size },
    onError,
  }
  return { env, home, directory, presence, homeOf, notices }
}

/** What homes, here and elsewhere, send to this shard's own connections, and what the messenger says. */
function localSideOf(
  registry: Registry,
  flusher: Flusher,
  sessions: Sessions<SessionPort>,
  notices: Notices,
): LocalSide {
  return {
    deliver(name, line, offset, acceptedUs) {
      const channel = registry.find(name)
      if (channel !== undefined) flusher.publish(channel, line, offset, acceptedUs)
    },
    announce(name, line) {
      const channel = registry.find(name)
      if (channel !== undefined) flusher.announce(channel, line)
    },
    sessions(order, answered) {
      carryOutOrder(sessions, JSON.parse(order) as Order, outcome =>
        answered(outcome.ok ? { ok: true, value: { sessions: outcome.sessions } } : outcome),
      )
    },
    notice: notices.tell,
  }
}

function verifiersOf({
  config: { client },
  messenger,
}: Topology): Pick<SessionEnv, 'connectionTokens' | 'subscriptionTokens'> {
  const limits = { channelsMax: client.channel_limit }
  const tokens = createTokenVerifier(client.token, limits)
  const separate = client.subscription_token.enabled
  return {
    // With the messenger there are no keys in client.token, and only its own tokens open a connection.
    connectionTokens: messenger ? { ...tokens, ...createLoginTokenVerifier(messenger.tokenKey) } : tokens,
    subscriptionTokens: separate ? createTokenVerifier(client.subscription_token, limits) : tokens,
  }
}

function scheduleFlush(flush: () => void, delayMs: number): void {
  // Below one timer tick the end of this turn of the loop is meant.
  if (delayMs < 1) setImmediate(flush)
  else setTimeout(flush, delayMs)
}
