// The supervisor: starts the shards and the messenger, replaces one that was quarantined, and ends them in order. Main
// thread.
// Invariant: a shard's place in the shared tables is cleared after its thread has ended and before another starts.

import { Worker } from 'node:worker_threads'
import { assert, unreachable } from '../base/assert.ts'
import { monotonicMs } from '../base/clock.ts'
import { StartError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { resetGauges, slots } from '../metrics/slots.ts'
import { CountTable } from '../shared/count-table.ts'
import { rowOf } from '../shared/counters.ts'
import { MessengerPlace } from './messenger-place.ts'
import { restartDelayMs } from './restart-delay.ts'
import {
  connectPair,
  type FromShard,
  type KeptFile,
  type PeerEnd,
  type Topology,
  type ToShard,
} from './topology.ts'

type State =
  | { kind: 'starting' }
  /** It has its ways to the others and is the home of its channels; it may not take connections yet. */
  | { kind: 'live'; descriptor: unknown; accepting: boolean }
  | { kind: 'quarantined'; since: string }
  /** Told to end, with the whole relay. */
  | { kind: 'closing' }
  | { kind: 'ended' }

/** What a shard is asked to do at the start or the end, together with the others, and answers when it has. */
type Step = Extract<ToShard, { kind: 'takeOver' | 'drain' | 'quiet' | 'keep' }>
type StepDone = Extract<FromShard, { kind: 'tookOver' | 'drained' | 'quiet' | 'kept' }>

type Place = {
  worker: Worker
  state: State
  /** The answer to the last step. */
  done: StepDone | undefined
  failures: number
  startedMs: number
}

export type Acceptance = {
  add(descriptor: unknown): void
  remove(descriptor: unknown): void
}

/**
 * The heap's nursery of a shard. What a shard makes lives for a tick or as long as a connection; the default of 48 MB
 * costs memory for nothing (4.3 KB of resident memory per idle connection against 3.6 KB, no difference in CPU).
 */
const YOUNG_GENERATION_MB = 12
/**
 * A shard can't be ended from outside without the whole process, so one that is stuck makes the process unhealthy.
 * Longer than any pause of the garbage collector or of a busy machine.
 */
const STUCK_AFTER_MS = 10_000

export class Supervisor {
  readonly #topology: Topology
  readonly #acceptance: Acceptance
  readonly #row: Float64Array
  readonly #log: Log
  readonly #routes: CountTable
  readonly #presence: CountTable
  readonly #places: Place[] = []
  readonly #messenger: MessengerPlace | undefined
  /** The first start: the ways between shards are made when all of them are there. */
  #starting = true
  /** These are made; whoever comes up from now on gets its own. */
  #joined = false
  readonly #allReady = Promise.withResolvers<void>()
  #stopping = false

  constructor(options: { topology: Topology; acceptance: Acceptance; row: Float64Array; log: Log }) {
    this.#topology = options.topology
    this.#acceptance = options.acceptance
    this.#row = options.row
    this.#log = options.log
    this.#routes = new CountTable(options.topology.routes, options.topology.hashKey)
    this.#presence = new CountTable(options.topology.presence, options.topology.hashKey)
    const { messenger } = options.topology
    this.#messenger =
      messenger &&
      new MessengerPlace({
        ...options,
        messenger,
        onLive: () => this.#joinMessenger(),
        onLost: () => this.#tellOthers(messenger.peer, { kind: 'lose', shard: messenger.peer }),
      })
  }

  get tableUsed(): { route: number; presence: number } {
    return { route: this.#routes.used(), presence: this.#presence.used() }
  }

  /** All shards take connections, and the messenger is there: the relay can be called ready. */
  get allAccepting(): boolean {
    if (this.#messenger?.isLive === false) return false
    return this.#allLive && this.#places.every(({ state }) => state.kind === 'live' && state.accepting)
  }

  get #allLive(): boolean {
    return this.liveCount === this.#topology.shards
  }

  /** Live shards whose loop has not turned for so long that they must be stuck. */
  stuck(nowMs: number): number[] {
    return [...this.#places.keys()].filter(shard => {
      const turnedMs = rowOf(this.#topology.counters, shard)[slots.loopTurnSeconds]! * 1000
      return this.isLive(shard) && turnedMs > 0 && nowMs - turnedMs > STUCK_AFTER_MS
    })
  }

  /** No thread is stuck. */
  isAlive(nowMs: number): boolean {
    return this.stuck(nowMs).length === 0 && this.#messenger?.isStuck(nowMs) !== true
  }

  get liveCount(): number {
    return this.#places.filter(({ state }) => state.kind === 'live').length
  }

  get messenger(): MessengerPlace | undefined {
    return this.#messenger
  }

  /** What an operator sees. */
  describe(): object[] {
    return this.#places.map(({ state, failures }, shard) => ({ shard, state: state.kind, failures }))
  }

  /** `prepare` runs when all shards are there and joined, before any of them takes connections. */
  async start(prepare: () => Promise<void> = async () => {}): Promise<void> {
    const { shards } = this.#topology
    const accepting = Promise.all(Array.from({ length: shards }, (_, shard) => this.#spawn(shard, 0)))
    // A shard that fails ends the wait for the others.
    await Promise.race([accepting, Promise.all([this.#allReady.promise, this.#messenger?.start()])])
    for (let each = 0; each < shards; each++) this.#connect(each, each)
    this.#joined = true
    await Promise.race([accepting, prepare()])
    for (let each = 0; each < shards; each++) this.tell(each, { kind: 'accept' })
    await accepting
    this.#starting = false
  }

  /** Resolves when the shard takes connections. */
  #spawn(shard: number, failures: number): Promise<void> {
    const worker = new Worker(new URL('./shard.ts', import.meta.url), {
      workerData: { topology: this.#topology, shard },
      name: `shard ${shard}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    })
    const place: Place = {
      worker,
      state: { kind: 'starting' },
      done: undefined,
      failures,
      startedMs: monotonicMs(),
    }
    this.#places[shard] = place
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromShard) => {
        if (message.kind === 'accepting') {
          this.#onAccepting(place)
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

  #onAccepting(place: Place): void {
    if (place.state.kind !== 'live' || this.#stopping) return
    place.state.accepting = true
    this.#acceptance.add(place.state.descriptor)
  }

  /** Joins a new shard with all that are live; of two that come up together the later does it for both. */
  #onReady(shard: number, place: Place, descriptor: unknown): void {
    // Who comes up while all are drained takes no part any more: close() ends it with the others.
    if (this.#stopping) return
    place.state = { kind: 'live', descriptor, accepting: false }
    if (!this.#starting) {
      this.#connect(shard)
      this.tell(shard, { kind: 'accept' })
    } else if (this.#allLive) {
      this.#allReady.resolve()
    }
  }

  /** Ways between a shard and all live ones below `below`. */
  #connect(shard: number, below = this.#places.length): void {
    const ends: PeerEnd[] = []
    for (let peer = 0; peer < below; peer++) {
      if (peer === shard || this.#places[peer]!.state.kind !== 'live') continue
      const [endHere, endThere] = this.#pair(shard, peer)
      ends.push(endHere)
      this.tell(peer, { kind: 'peers', ends: [endThere] }, [endThere.port])
    }
    if (this.#messenger?.isLive) {
      const [endHere, endThere] = this.#pair(shard, this.#messenger.peer)
      ends.push(endHere)
      this.#messenger.tell({ kind: 'peers', ends: [endThere] }, [endThere.port])
    }
    const ports = ends.map(({ port }) => port)
    this.tell(shard, { kind: 'peers', ends }, ports)
  }

  #pair(a: number, b: number): [endOfA: PeerEnd, endOfB: PeerEnd] {
    return connectPair(this.#topology.config.mesh.ring_size, a, b)
  }

  /** The messenger is live. At the first start the shards are joined with it when all are there. */
  #joinMessenger(): void {
    if (!this.#joined) return
    for (const [shard, { state }] of this.#places.entries()) {
      if (state.kind !== 'live') continue
      const [endThere, endHere] = this.#pair(shard, this.#messenger!.peer)
      this.tell(shard, { kind: 'peers', ends: [endThere] }, [endThere.port])
      this.#messenger!.tell({ kind: 'peers', ends: [endHere] }, [endHere.port])
    }
  }

  #hear(shard: number, place: Place, message: Exclude<FromShard, { kind: 'accepting' | 'refused' }>): void {
    switch (message.kind) {
      case 'ready':
        return this.#onReady(shard, place, message.descriptor)
      case 'quarantined':
        return this.#quarantine(shard, place, message.reason)
      case 'tookOver':
      case 'drained':
      case 'quiet':
      case 'kept':
        place.done = message
        return
      default:
        unreachable(message)
    }
  }

  /** The measured sequence: no new connections, then the shard closes all it has, then its thread ends by itself. */
  #quarantine(shard: number, place: Place, reason: string): void {
    this.#row[slots.quarantines]! += 1
    this.#log.error({ shard, reason }, 'shard quarantined')
    this.#noMore(place)
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
      this.#noMore(place)
      this.#tellOthers(shard, { kind: 'lose', shard })
    }
    place.state = { kind: 'ended' }
    resetGauges(rowOf(this.#topology.counters, shard))
    this.#routes.clearShard(shard)
    this.#presence.clearShard(shard)
    if (this.#stopping || this.#starting) return
    const { delayMs, failures } = restartDelayMs(place.failures, monotonicMs() - place.startedMs)
    setTimeout(() => this.#replace(shard, failures), delayMs)
  }

  /** The acceptor hands no more connections to it. */
  #noMore({ state }: Place): void {
    if (state.kind !== 'live' || !state.accepting) return
    state.accepting = false
    this.#acceptance.remove(state.descriptor)
  }

  #replace(shard: number, failures: number): void {
    if (this.#stopping) return
    const startedMs = monotonicMs()
    this.#spawn(shard, failures).then(
      () => {
        this.#log.info({ shard, tookMs: monotonicMs() - startedMs }, 'shard replaced')
      },
      // Its exit is seen as well, and tried again there.
      error => this.#log.error({ err: error, shard }, 'a shard could not be replaced'),
    )
  }

  tell(shard: number, message: ToShard, transfer: readonly PeerEnd['port'][] = []): void {
    this.#places[shard]!.worker.postMessage(message, transfer)
  }

  #tellOthers(shard: number, message: Extract<ToShard, { kind: 'lose' }>): void {
    if (shard !== this.#messenger?.peer && this.#messenger?.isLive) this.#messenger.tell(message)
    this.#places.forEach((place, peer) => {
      if (peer !== shard && place.state.kind === 'live') this.tell(peer, message)
    })
  }

  isLive(shard: number): boolean {
    return this.#places[shard]?.state.kind === 'live'
  }

  /** All live shards do a step; resolves with their answers when each has done it or is lost. */
  async #step(step: Step): Promise<StepDone[]> {
    const places = this.#places.filter(({ state }) => state.kind === 'live')
    for (const place of places) {
      place.done = undefined
      place.worker.postMessage(step)
    }
    await until(() => places.every(({ state, done }) => done !== undefined || state.kind !== 'live'))
    return places.flatMap(({ state, done }) => (done !== undefined && state.kind === 'live' ? [done] : []))
  }

  /** Before any shard takes connections: each takes over the channels at home there. Returns their sums. */
  async takeOver(
    folder: string,
    files: readonly KeptFile[],
  ): Promise<{ channels: number; publications: number }> {
    const answers = await this.#step({ kind: 'takeOver', folder, files })
    // The files stay for another try.
    if (answers.length < this.#topology.shards)
      throw new StartError('a shard was lost while it took over histories')
    const sums = { channels: 0, publications: 0 }
    for (const done of answers) {
      if (done.kind !== 'tookOver') continue
      sums.channels += done.channels
      sums.publications += done.publications
    }
    return sums
  }

  /** Has all clients told to reconnect; resolves when all shards are done with it. */
  async drain(overMs: number): Promise<void> {
    this.#stopping = true
    await this.#step({ kind: 'drain', overMs })
  }

  /** Nothing comes in from outside any more; resolves when all shards have seen to that. */
  async quiet(): Promise<void> {
    for (const place of this.#places) this.#noMore(place)
    await this.#step({ kind: 'quiet' })
  }

  /** When all are quiet: each shard writes its histories. Returns the files of those that could. */
  async keep(folder: string): Promise<KeptFile[]> {
    const done = await this.#step({ kind: 'keep', folder })
    return done.flatMap(each => (each.kind === 'kept' && each.file !== undefined ? [each.file] : []))
  }

  /** Ends all threads, one after the other. */
  async close(): Promise<void> {
    this.#stopping = true
    await this.#messenger?.close()
    for (const [shard, place] of this.#places.entries()) {
      if (place.state.kind === 'ended') continue
      this.#noMore(place)
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
