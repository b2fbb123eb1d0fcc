// The supervisor: starts the shards, replaces one that was quarantined, and ends them in order. Main thread.
// Invariant: a shard's place in the shared tables is cleared after its thread has ended and before another starts.

import { Worker } from 'node:worker_threads'
import { assert, unreachable } from '../base/assert.ts'
import { monotonicMs } from '../base/clock.ts'
import { StartError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { resetGauges, slots } from '../metrics/slots.ts'
import { CountTable } from '../shared/count-table.ts'
import { rowOf } from '../shared/counters.ts'
import { connectPair, type FromShard, type PeerEnd, type Topology, type ToShard } from './topology.ts'

type State =
  | { kind: 'starting' }
  | { kind: 'live'; descriptor: unknown }
  | { kind: 'quarantined'; since: string }
  /** Told to end, with the whole relay. */
  | { kind: 'closing' }
  | { kind: 'ended' }

type Place = { worker: Worker; state: State; drained: boolean; replacements: number }

export type Acceptance = {
  add(descriptor: unknown): void
  remove(descriptor: unknown): void
}

/** A shard that fails again and again is started again ever later, so that it can't use up the machine. */
const RESTART_DELAYS_MS = [0, 100, 500, 2000, 10_000]
/** A shard that lived so long has its failures forgiven. */
const FORGIVEN_AFTER_MS = 60_000

export class Supervisor {
  readonly #topology: Topology
  readonly #acceptance: Acceptance
  readonly #row: Float64Array
  readonly #log: Log
  readonly #routes: CountTable
  readonly #presence: CountTable
  readonly #places: Place[] = []
  /** The first start: all ways between shards are made beforehand. */
  #starting = true
  #stopping = false

  constructor(options: { topology: Topology; acceptance: Acceptance; row: Float64Array; log: Log }) {
    this.#topology = options.topology
    this.#acceptance = options.acceptance
    this.#row = options.row
    this.#log = options.log
    this.#routes = new CountTable(options.topology.routes, options.topology.hashKey)
    this.#presence = new CountTable(options.topology.presence, options.topology.hashKey)
  }

  get tableUsed(): { route: number; presence: number } {
    return { route: this.#routes.used(), presence: this.#presence.used() }
  }

  /** All shards are live: the relay can be called ready. */
  get allLive(): boolean {
    return (
      this.#places.length === this.#topology.shards &&
      this.#places.every(({ state }) => state.kind === 'live')
    )
  }

  get liveCount(): number {
    return this.#places.filter(({ state }) => state.kind === 'live').length
  }

  /** What an operator sees. */
  describe(): object[] {
    return this.#places.map(({ state, replacements }, shard) => ({ shard, state: state.kind, replacements }))
  }

  async start(): Promise<void> {
    const { shards, config } = this.#topology
    const ends: PeerEnd[][] = Array.from({ length: shards }, () => [])
    for (let a = 0; a < shards; a++) {
      for (let b = a + 1; b < shards; b++) {
        const [endOfA, endOfB] = connectPair(config.mesh.ring_size, a, b)
        ends[a]!.push(endOfA)
        ends[b]!.push(endOfB)
      }
    }
    await Promise.all(ends.map((peers, shard) => this.#spawn(shard, peers, 0)))
    this.#starting = false
  }

  /** Resolves when the shard is live. */
  #spawn(shard: number, peers: readonly PeerEnd[], replacements: number): Promise<void> {
    const worker = new Worker(new URL('./shard.ts', import.meta.url), {
      workerData: { topology: this.#topology, shard, peers },
      transferList: peers.map(({ port }) => port),
      name: `shard ${shard}`,
    })
    const place: Place = { worker, state: { kind: 'starting' }, drained: false, replacements }
    this.#places[shard] = place
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromShard) => {
        if (message.kind === 'ready') {
          // Who comes up while all are drained takes no part any more: close() ends it with the others.
          if (!this.#stopping) this.#welcome(shard, place, message.descriptor)
          resolve()
        } else if (message.kind === 'refused') {
          reject(new StartError(message.message))
        } else {
          this.#hear(shard, place, message)
        }
      })
      worker.on('error', error => {
        this.#log.error({ err: error, shard }, 'a shard failed')
        reject(error)
      })
      worker.on('exit', () => {
        reject(new StartError(`shard ${shard} ended before it was ready`))
        this.#onExit(shard, place)
      })
    })
  }

  #welcome(shard: number, place: Place, descriptor: unknown): void {
    place.state = { kind: 'live', descriptor }
    if (!this.#starting) this.#connect(shard)
    this.#acceptance.add(descriptor)
  }

  #hear(shard: number, place: Place, message: Exclude<FromShard, { kind: 'ready' | 'refused' }>): void {
    switch (message.kind) {
      case 'quarantined':
        return this.#quarantine(shard, place, message.reason)
      case 'drained':
        place.drained = true
        return
      default:
        unreachable(message)
    }
  }

  /** The measured sequence: no new connections, then the shard closes all it has, then its thread ends by itself. */
  #quarantine(shard: number, place: Place, reason: string): void {
    this.#row[slots.quarantines]! += 1
    this.#log.error({ shard, reason }, 'shard quarantined')
    if (place.state.kind === 'live') this.#acceptance.remove(place.state.descriptor)
    place.state = { kind: 'quarantined', since: new Date().toISOString() }
    this.#tellOthers(shard, { kind: 'lose', shard })
    // In the next turn of the loop: a connection that was just handed over reaches the shard before its end.
    setImmediate(() => this.tell(shard, { kind: 'close' }))
  }

  #onExit(shard: number, place: Place): void {
    const { state } = place
    if (state.kind === 'live') {
      // A thread that ended without a word; whoever ended it, the others must not wait for it.
      this.#log.error({ shard }, 'a shard ended by itself')
      this.#acceptance.remove(state.descriptor)
      this.#tellOthers(shard, { kind: 'lose', shard })
    }
    place.state = { kind: 'ended' }
    resetGauges(rowOf(this.#topology.counters, shard))
    this.#routes.clearShard(shard)
    this.#presence.clearShard(shard)
    if (this.#stopping || this.#starting) return
    const delayMs = RESTART_DELAYS_MS[Math.min(place.replacements, RESTART_DELAYS_MS.length - 1)]!
    setTimeout(() => this.#replace(shard, place.replacements + 1), delayMs)
  }

  /** The way to the others is made when the new shard is live: of two that come up, the later connects both. */
  #replace(shard: number, replacements: number): void {
    if (this.#stopping) return
    const startedMs = monotonicMs()
    this.#spawn(shard, [], replacements).then(
      () => {
        this.#log.info({ shard, tookMs: monotonicMs() - startedMs }, 'shard replaced')
        setTimeout(() => this.#forgive(shard), FORGIVEN_AFTER_MS).unref()
      },
      // Its exit is seen as well, and tried again there.
      error => this.#log.error({ err: error, shard }, 'a shard could not be replaced'),
    )
  }

  #connect(shard: number): void {
    this.#places.forEach((place, peer) => {
      if (peer === shard || place.state.kind !== 'live') return
      const [endHere, endThere] = connectPair(this.#topology.config.mesh.ring_size, shard, peer)
      this.tell(shard, { kind: 'peer', end: endHere }, [endHere.port])
      this.tell(peer, { kind: 'peer', end: endThere }, [endThere.port])
    })
  }

  #forgive(shard: number): void {
    const place = this.#places[shard]!
    if (place.state.kind === 'live') place.replacements = 0
  }

  tell(shard: number, message: ToShard, transfer: readonly PeerEnd['port'][] = []): void {
    this.#places[shard]!.worker.postMessage(message, transfer)
  }

  #tellOthers(shard: number, message: ToShard): void {
    this.#places.forEach((place, peer) => {
      if (peer !== shard && place.state.kind === 'live') this.tell(peer, message)
    })
  }

  isLive(shard: number): boolean {
    return this.#places[shard]?.state.kind === 'live'
  }

  /** Has all clients told to reconnect; resolves when all shards are done with it. */
  async drain(overMs: number): Promise<void> {
    this.#stopping = true
    this.#places.forEach((place, shard) => {
      if (place.state.kind === 'live') this.tell(shard, { kind: 'drain', overMs })
    })
    await until(() => this.#places.every(({ state, drained }) => drained || state.kind !== 'live'))
  }

  /** Ends all threads, one after the other: a home ends after nobody asks it any more matters to no one now. */
  async close(): Promise<void> {
    this.#stopping = true
    for (const [shard, place] of this.#places.entries()) {
      if (place.state.kind === 'ended') continue
      if (place.state.kind === 'live') this.#acceptance.remove(place.state.descriptor)
      place.state = { kind: 'closing' }
      this.tell(shard, { kind: 'close' })
      await until(() => place.state.kind === 'ended')
    }
  }
}

/** Main has nothing else to do while it waits for threads to end. */
const POLL_MS = 10

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, POLL_MS))
  assert(condition(), 'what was waited for has come')
}
