// Two whole shards in the thread of the test, joined by real rings, without sockets: sessions talk to wires that
// remember. What one sends the other hears when the test gives way to the loop, or drains by itself.

import { monotonicMs, wallMs } from '../../src/base/clock.ts'
import { Wheel } from '../../src/base/wheel.ts'
import { loadConfig } from '../../src/config/load.ts'
import { encodeTell } from '../../src/protocol/envelope.ts'
import type { SessionPort } from '../../src/session/port.ts'
import { Session } from '../../src/session/session.ts'
import { rowOf } from '../../src/shared/counters.ts'
import { ShardLinks } from '../../src/threads/shard-links.ts'
import { createShardRelay, type ShardRelay } from '../../src/threads/shard-relay.ts'
import { connectPair, createTopology } from '../../src/threads/topology.ts'
import { RecordingWire } from '../fanout/recording-wire.ts'

export type PairedShard = Readonly<{ links: ShardLinks; relay: ShardRelay; row: Float64Array }>

export type ShardPair = Readonly<{
  shards: readonly [PairedShard, PairedShard]
  /** Errors that escaped to the shards. */
  errors: readonly unknown[]
  /** The first name with this beginning whose home is the second shard. */
  channelAtHomeOnSecond(prefix: string): string
  close(): void
}>

/** @param config sections of the configuration file */
export function createShardPair(config: object): ShardPair {
  const loaded = loadConfig({
    argv: ['--config', 'pair.json'],
    env: {},
    readFile: () => JSON.stringify(config),
  })
  const topology = createTopology({
    config: loaded.config,
    profile: loaded.profile,
    version: '0',
    nodeId: 'node',
    startedMs: wallMs(),
    shards: 2,
    connectionLimit: 0,
    hashKey: new Uint32Array([1, 2]),
  })
  const errors: unknown[] = []
  const create = (shard: number): PairedShard => {
    const row = rowOf(topology.counters, shard)
    const links = new ShardLinks(topology, shard, row)
    const wheel = new Wheel<SessionPort>({
      tickMs: 100,
      nowMs: monotonicMs(),
      onDue: session => session.onDue(),
    })
    const onError = (_place: string, error: unknown) => errors.push(error)
    const relay = createShardRelay({ topology, shard, row, mesh: links.mesh, wheel, onError })
    links.open(
      (...frame) => relay.directory.receive(...frame),
      error => errors.push(error),
    )
    return { links, relay, row }
  }
  const shards = [create(0), create(1)] as const
  const [endOfFirst, endOfSecond] = connectPair(topology.config.mesh.ring_size, 0, 1)
  shards[0].links.connect(endOfFirst)
  shards[1].links.connect(endOfSecond)
  for (const { links } of shards) links.drain()
  return {
    shards,
    errors,
    channelAtHomeOnSecond(prefix) {
      const { directory } = shards[0].relay
      for (let n = 0; ; n++) {
        const channel = `${prefix}${n}`
        // What is at home here is answered before this returns.
        let isFirst = false
        directory.ask('presenceStats', { channel }, () => {
          isFirst = true
        })
        if (isFirst) continue
        for (const { links } of [shards[1], shards[0]]) links.drain()
        return channel
      }
    },
    close() {
      for (const { links } of shards) links.close()
    },
  }
}

/** A session on a shard, connected without a token. */
export function connectSession({ relay }: PairedShard) {
  const wire = new RecordingWire()
  const session = new Session(relay.env, wire, '')
  const send = (command: object) => session.receive(JSON.stringify(command))
  send({ id: 1, connect: {} })
  const lines = () => wire.lines.map(line => JSON.parse(line))
  return { session, wire, send, lines }
}

/** Sends what nobody wants until nothing more goes, not even what is smaller than any answer. */
export function blockWay({ links }: PairedShard, to: number): void {
  const head = encodeTell('announce', { channel: '' })
  const link = links.mesh.link(to)!
  for (const bytes of [8192, 0]) while (link.send(head, new Uint8Array(bytes))) {}
}
