// The messenger's place beside the shards: its thread is started, replaced when it fails, and ended in order. Main thread.
// Invariant: `onLive` and `onLost` come in turns, and the thread that was lost says nothing between them any more.

import { Worker } from 'node:worker_threads'
import { unreachable } from '../base/assert.ts'
import { monotonicMs } from '../base/clock.ts'
import { StartError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { resetGauges, slots } from '../metrics/slots.ts'
import { rowOf } from '../shared/counters.ts'
import { WITHOUT_WARNINGS } from './exec-argv.ts'
import { restartDelayMs } from './restart-delay.ts'
import type { FromMessenger, MessengerTopology, PeerEnd, ToMessenger, Topology } from './topology.ts'

type State = 'starting' | 'live' | 'failed' | 'closing' | 'ended'

/** The database may wait for a disk for long; longer than this it waits for ever. */
const STUCK_AFTER_MS = 60_000

export class MessengerPlace {
  readonly #topology: Topology
  readonly #messenger: MessengerTopology
  readonly #row: Float64Array
  readonly #log: Log
  readonly #onLive: () => void
  readonly #onLost: () => void
  #worker: Worker | undefined
  #state: State = 'ended'
  #failures = 0
  #startedMs = 0
  #isStopping = false
  #ended = Promise.withResolvers<void>()
  /** Of what was asked at the end. */
  #finished = Promise.withResolvers<void>()

  /** `row`: main's own. */
  constructor(options: {
    topology: Topology
    messenger: MessengerTopology
    row: Float64Array
    log: Log
    onLive: () => void
    onLost: () => void
  }) {
    this.#topology = options.topology
    this.#messenger = options.messenger
    this.#row = options.row
    this.#log = options.log
    this.#onLive = options.onLive
    this.#onLost = options.onLost
  }

  get peer(): number {
    return this.#messenger.peer
  }

  get isLive(): boolean {
    return this.#state === 'live'
  }

  isStuck(nowMs: number): boolean {
    const turnedMs = rowOf(this.#messenger.counters, 0)[slots.loopTurnSeconds]! * 1000
    return this.isLive && turnedMs > 0 && nowMs - turnedMs > STUCK_AFTER_MS
  }

  /** What an operator sees. */
  describe(): object {
    return { state: this.#state, failures: this.#failures }
  }

  /** Resolves when it is live; rejects with a StartError when it can't be. */
  start(): Promise<void> {
    this.#state = 'starting'
    this.#startedMs = monotonicMs()
    this.#ended = Promise.withResolvers()
    this.#finished = Promise.withResolvers()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const worker = new Worker(new URL('./messenger.ts', import.meta.url), {
      workerData: { topology: this.#topology, messenger: this.#messenger },
      name: 'messenger',
      execArgv: WITHOUT_WARNINGS,
    })
    this.#worker = worker
    worker.on('message', (message: FromMessenger) => {
      switch (message.kind) {
        case 'ready':
          // Who comes up while all are ending takes no part any more.
          if (this.#isStopping) return
          this.#state = 'live'
          this.#onLive()
          return resolve()
        case 'refused':
          return reject(new StartError(message.message))
        case 'failed':
          return this.#onFailed(message.reason)
        case 'finished':
          return this.#finished.resolve()
        default:
          unreachable(message)
      }
    })
    worker.on('error', error => {
      this.#log.error({ err: error }, 'the messenger failed')
      reject(error)
    })
    worker.on('exit', () => {
      reject(new StartError('the messenger ended before it was ready'))
      this.#onExit()
    })
    return promise
  }

  #onFailed(reason: string): void {
    const wasLive = this.isLive
    this.#state = 'failed'
    this.#row[slots.quarantines]! += 1
    this.#log.error({ reason }, 'the messenger failed')
    if (wasLive) this.#onLost()
    this.#finished.resolve()
  }

  #onExit(): void {
    const { isLive } = this
    // The first start, which has failed: it is the caller's to end all.
    const isFirst = this.#state === 'starting' && this.#failures === 0
    this.#state = 'ended'
    resetGauges(rowOf(this.#messenger.counters, 0))
    if (isLive) {
      this.#log.error({}, 'the messenger ended by itself')
      this.#onLost()
    }
    this.#finished.resolve()
    this.#ended.resolve()
    if (this.#isStopping || isFirst) return
    const { delayMs, failures } = restartDelayMs(this.#failures, monotonicMs() - this.#startedMs)
    this.#failures = failures
    setTimeout(() => this.#replace(), delayMs)
  }

  #replace(): void {
    if (this.#isStopping) return
    this.#row[slots.messengerReplacements]! += 1
    const startedMs = monotonicMs()
    this.start().then(
      () => this.#log.info({ tookMs: monotonicMs() - startedMs }, 'messenger replaced'),
      // Its exit is seen as well, and tried again there.
      error => this.#log.error({ err: error }, 'the messenger could not be replaced'),
    )
  }

  tell(message: ToMessenger, transfer: readonly PeerEnd['port'][] = []): void {
    this.#worker?.postMessage(message, transfer)
  }

  /** All shards are quiet: resolves when all that they asked is stored and delivered, or it is lost. */
  async finish(): Promise<void> {
    this.#isStopping = true
    if (!this.isLive) return
    this.tell({ kind: 'finish' })
    await this.#finished.promise
  }

  async close(): Promise<void> {
    this.#isStopping = true
    if (this.#state === 'ended') return
    if (this.#state !== 'failed') {
      this.#state = 'closing'
      this.tell({ kind: 'close' })
    }
    await this.#ended.promise
  }
}
