// What all threads of a relay share, and what they say to each other beside the rings. Main makes it, the others get it.

import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { Profile } from '../config/profile.ts'
import type { Config } from '../config/schema.ts'
import { slotCount } from '../metrics/slots.ts'
import { createCountTableMemory } from '../shared/count-table.ts'
import { type CounterMemory, createCounterMemory } from '../shared/counters.ts'
import { createDoorbellMemory } from '../shared/doorbell.ts'
import { createRingMemory } from '../shared/ring.ts'

/** Shared memory and constants of one relay. */
export type Topology = Readonly<{
  config: Config
  profile: Profile
  version: string
  nodeId: string
  startedMs: number
  shards: number
  /** Connections over all shards, by the configuration or by what files may be open. */
  connectionLimit: number
  /** Key of all hashes of names, random per start: nobody outside can aim at one home or one bucket. */
  hashKey: Uint32Array
  routes: ReturnType<typeof createCountTableMemory>
  presence: ReturnType<typeof createCountTableMemory>
  counters: CounterMemory
  doorbells: ReturnType<typeof createDoorbellMemory>
  /** Undefined: the relay has none. */
  messenger: MessengerTopology | undefined
}>

export type MessengerTopology = Readonly<{
  /** Its place in the mesh, behind the last shard. No table counts it. */
  peer: number
  /** Signs connection tokens; shards check them. */
  tokenKey: Uint8Array
  /** One row: it is no shard, so its numbers stand apart from theirs. */
  counters: CounterMemory
}>

/** One end of the way between two threads: a ring each way and a port for the doorbell. */
export type PeerEnd = Readonly<{
  peer: number
  outgoing: ReturnType<typeof createRingMemory>
  incoming: ReturnType<typeof createRingMemory>
  port: MessagePort
}>

export type ShardStart = Readonly<{ topology: Topology; shard: number }>

export type MessengerStart = Readonly<{ topology: Topology; messenger: MessengerTopology }>

/** A file of histories, as it was written. */
export type KeptFile = Readonly<{
  name: string
  bytes: number
  crc32: number
  channels: number
  publications: number
  keys: number
}>

export type ToShard =
  /** The peer is lost: take what it sent, then forget it. */
  | Readonly<{ kind: 'lose'; shard: number }>
  /** The ways to other shards: to all of them for a new one, to a new one for the others. */
  | Readonly<{ kind: 'peers'; ends: readonly PeerEnd[] }>
  /** The ways are there: take connections. */
  | Readonly<{ kind: 'accept' }>
  /** Before it takes connections: take over the channels at home here that the last run kept. */
  | Readonly<{ kind: 'takeOver'; folder: string; files: readonly KeptFile[] }>
  | Readonly<{ kind: 'drain'; overMs: number }>
  /** Say goodbye to who is left and let nothing in from outside any more; the ways to the others stay. */
  | Readonly<{ kind: 'quiet' }>
  /** All are quiet: take what is still on the ways, then write the histories. */
  | Readonly<{ kind: 'keep'; folder: string }>
  /** Close everything and end. */
  | Readonly<{ kind: 'close' }>
  /** An operator wants this shard replaced. */
  | Readonly<{ kind: 'fail' }>

export type FromShard =
  /** It is there, but takes no connections yet. `descriptor`: for the acceptor, where it hands them over. */
  | Readonly<{ kind: 'ready'; descriptor: unknown }>
  | Readonly<{ kind: 'accepting' }>
  | Readonly<{ kind: 'refused'; message: string }>
  | Readonly<{ kind: 'quarantined'; reason: string }>
  | Readonly<{ kind: 'tookOver'; channels: number; publications: number }>
  | Readonly<{ kind: 'drained' }>
  /** Nothing comes in any more, and what it sent to others is in their rings. */
  | Readonly<{ kind: 'quiet' }>
  /** Undefined: they could not be written. */
  | Readonly<{ kind: 'kept'; file: KeptFile | undefined }>

export type ToMessenger =
  | Extract<ToShard, { kind: 'lose' | 'peers' | 'fail' }>
  /** Nothing new comes from any shard: take what is on the ways, store and deliver it, and close the database. */
  | Readonly<{ kind: 'finish' }>
  /** Close everything and end. */
  | Readonly<{ kind: 'close' }>

export type FromMessenger =
  /** The database is open. */
  | Readonly<{ kind: 'ready' }>
  /** It can't be started. */
  | Readonly<{ kind: 'refused'; message: string }>
  /** Its state is doubtful: it touches no ring any more and ends by itself. */
  | Readonly<{ kind: 'failed'; reason: string }>
  | Readonly<{ kind: 'finished' }>

/** @param tokenKey with the messenger */
export function createTopology(
  fixed: Pick<
    Topology,
    'config' | 'profile' | 'version' | 'nodeId' | 'startedMs' | 'shards' | 'connectionLimit' | 'hashKey'
  >,
  tokenKey?: Uint8Array,
): Topology {
  const { config, shards } = fixed
  const slots = slotCount
  return {
    ...fixed,
    routes: createCountTableMemory({ capacity: config.route_table.capacity, shards }),
    presence: createCountTableMemory({ capacity: config.presence_table.capacity, shards }),
    counters: createCounterMemory({ shards, slots }),
    doorbells: createDoorbellMemory(shards + (tokenKey === undefined ? 0 : 1)),
    messenger: tokenKey && { peer: shards, tokenKey, counters: createCounterMemory({ shards: 1, slots }) },
  }
}

/** Both ends of a new way between two threads. */
export function connectPair(ringBytes: number, a: number, b: number): [endOfA: PeerEnd, endOfB: PeerEnd] {
  const ab = createRingMemory(ringBytes)
  const ba = createRingMemory(ringBytes)
  const { port1, port2 } = new MessageChannel()
  return [
    { peer: b, outgoing: ab, incoming: ba, port: port1 },
    { peer: a, outgoing: ba, incoming: ab, port: port2 },
  ]
}
