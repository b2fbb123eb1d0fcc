// The life of the messenger's thread: rings, database, pool come up, tick, finish and go down; the thread around it is in
// messenger.ts. Invariant: it holds no sockets, so that its thread may end at any moment.

import { assert } from '../base/assert.ts'
import { wallMs } from '../base/clock.ts'
import { guard, Sampler } from '../base/guard.ts'
import { createLog, type Log } from '../base/log.ts'
import { Asks, type ReceivedAsk } from '../channel/asks.ts'
import type { Outcome } from '../channel/home.ts'
import { createMessenger, type Messenger } from '../messenger/core.ts'
import { resetGauges, slots } from '../metrics/slots.ts'
import { errors } from '../protocol/codes.ts'
import type { Answer, AskKind } from '../protocol/envelope.ts'
import { CountTable } from '../shared/count-table.ts'
import { rowOf } from '../shared/counters.ts'
import { createHomeOf } from './home-of.ts'
import { LoopMeter, SAMPLE_MS } from './loop-meter.ts'
import { createMessengerRelay, type MessengerRelay } from './messenger-relay.ts'
import { createPool, type RunningPool } from './pool.ts'
import { ShardLinks } from './shard-links.ts'
import type { MessengerStart, PeerEnd } from './topology.ts'

const SWEEP_MS = 1000
/** So often is looked whether all has gone out at the end. */
const FINISH_STEP_MS = 1

export class MessengerCore {
  readonly log: Log
  readonly #row: Float64Array
  readonly #links: ShardLinks
  readonly #asks: Asks
  readonly #relay: MessengerRelay
  readonly #pool: RunningPool
  readonly #messenger: Messenger
  readonly #meter: LoopMeter
  readonly #errors = new Sampler()
  readonly #timers: NodeJS.Timeout[] = []
  #finished = false

  /** Throws a StartError when the database can't be opened. */
  constructor({ topology, messenger: { peer, tokenKey, counters } }: MessengerStart) {
    const { config, shards, hashKey } = topology
    const options = config.messenger
    this.log = createLog(config.log.level, 'messenger')
    this.#row = rowOf(counters, 0)
    resetGauges(this.#row)
    this.#links = new ShardLinks(topology, peer, this.#row)
    const { mesh } = this.#links
    this.#asks = new Asks(mesh, {
      serve: (ask, _, answered) => this.#serve(ask, answered),
      hear: tell => assert(false, `nobody tells the messenger to ${tell.kind}`),
    })
    this.#relay = createMessengerRelay({
      shards,
      asks: this.#asks,
      mesh,
      presence: new CountTable(topology.presence, hashKey),
      homeOf: createHomeOf(hashKey, shards),
      row: this.#row,
      log: this.log,
    })
    this.#pool = createPool(options, this.#row, this.log)
    const world = { options, relay: this.#relay, pool: this.#pool, tokenKey, row: this.#row, log: this.log }
    this.#messenger = createMessenger({ ...world, path: options.path, nowMs: wallMs })
    this.#meter = new LoopMeter(this.#row, 0)
    const { receive } = this.#asks
    this.#links.open(receive.bind(this.#asks), error => this.#onError('ring', error))
    this.#every(SAMPLE_MS, () => this.#sample())
    this.#every(SWEEP_MS, () => {
      if (!this.#finished) this.#messenger.sweep(wallMs())
    })
  }

  #serve(received: ReceivedAsk, answered: (outcome: Outcome<Answer<AskKind>>) => void): void {
    // From a shard that tidies up behind its closed connections.
    if (this.#finished) return answered({ ok: false, error: errors.internal })
    switch (received.kind) {
      case 'call':
        return this.#messenger.call(received.ask, outcome => {
          if (!outcome.ok) return answered(outcome)
          const { data, login } = outcome
          answered({ ok: true, value: { data, login: login === undefined ? '' : JSON.stringify(login) } })
        })
      case 'admit':
        return this.#messenger.admit(received.ask, outcome =>
          answered(
            outcome.ok ? { ok: true, value: { admission: JSON.stringify(outcome.admission) } } : outcome,
          ),
        )
      default:
        assert(false, `the messenger is no shard, which ${received.kind} is for`)
    }
  }

  #every(ms: number, work: () => void): void {
    this.#timers.push(
      setInterval(
        guard(work, error => this.#onError('timer', error)),
        ms,
      ),
    )
  }

  #sample(): void {
    this.#meter.sample()
    this.#row[slots.messengerLoopUtilization] = this.#row[slots.eventLoopUtilization]!
    this.#links.measure()
    this.#relay.payOff()
    // Not needed as long as every bell arrives; one that is rung at a thread while it is replaced may not.
    this.#links.drain()
  }

  #onError(place: 'ring' | 'timer', error: unknown): void {
    this.#row[slots.guardErrors[place]]! += 1
    const times = this.#errors.count(error instanceof Error ? `${place} ${error.message}` : place)
    if (times > 0) this.log.error({ err: error, place, times }, 'an error was caught in the messenger')
  }

  losePeer(shard: number): void {
    this.#links.disconnect(shard)
    this.#asks.losePeer(shard)
    this.#relay.loseShard(shard)
  }

  addPeers(ends: readonly PeerEnd[]): void {
    for (const end of ends) this.#links.connect(end)
    this.#links.drain()
  }

  /** No shard sends anything new: what was sent is carried out, stored and delivered, and the database closed. */
  async finish(): Promise<void> {
    this.#links.drainAll()
    this.#finished = true
    // It holds sockets of nobody: while shards answer, the loop goes on by their bells.
    await this.#messenger.close()
    while (this.#asks.open > 0 || this.#relay.owed() > 0 || !this.#links.mesh.pump()) {
      this.#relay.payOff()
      await new Promise(resolve => setTimeout(resolve, FINISH_STEP_MS))
    }
  }

  /** The state can't be trusted: nothing of it reaches a shard or the database any more. */
  isolate(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#links.close()
  }

  /** Ends the threads of the pool, whatever they do. */
  closePool(): Promise<void> {
    return this.#pool.close()
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    if (!this.#finished) await this.#messenger.close()
    await this.#pool.close()
    this.#links.close()
  }
}
