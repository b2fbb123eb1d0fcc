// The life of a shard: its parts come up, tick, drain and go down; the thread around it is in shard.ts.
// Runs on the shard.

import { monotonicMs } from '../base/clock.ts'
import { StartError } from '../base/errors.ts'
import { guard, Sampler } from '../base/guard.ts'
import { createLog, type Log } from '../base/log.ts'
import { Wheel } from '../base/wheel.ts'
import { Admission, isOriginAllowed } from '../edge/admission.ts'
import { TcpEdge } from '../edge/tcp.ts'
import { createApp, type Listening, listen, type UwsApp } from '../edge/uws.ts'
import { attachWebSocket } from '../edge/websocket.ts'
import { createApi } from '../http/api/api.ts'
import { attachRoutes } from '../http/routes.ts'
import { resetGauges, slots } from '../metrics/slots.ts'
import { type Disconnect, disconnects } from '../protocol/codes.ts'
import type { SessionPort } from '../session/port.ts'
import { onHomeReplaced } from '../session/replaced-home.ts'
import { Revalidation } from '../session/revalidation.ts'
import { rowOf } from '../shared/counters.ts'
import { LoopMeter, SAMPLE_MS } from './loop-meter.ts'
import type { AttachMessengerHttp } from './messenger-http.ts'
import { keepHistories, takeOverHistories } from './shard-histories.ts'
import { ShardLinks } from './shard-links.ts'
import { createShardRelay, type ShardRelay } from './shard-relay.ts'
import type { KeptFile, PeerEnd, ShardStart, Topology } from './topology.ts'

/** Deadlines of sessions are kept to this precision. */
const WHEEL_TICK_MS = 100
const SWEEP_MS = 1000
/** While draining, clients are told in steps. */
const DRAIN_STEP_MS = 20
/** A few clients need no spreading over the whole drain time. */
const DRAIN_MS_PER_SESSION = 5
/** After the last client was told, so long is waited for goodbyes that are under way. */
const DRAIN_GRACE_MS = 1000
/** What waits before full rings is moved on so often while all become quiet. */
const QUIET_STEP_MS = 1

export class ShardCore {
  readonly log: Log
  readonly #shard: number
  readonly #topology: Topology
  readonly #row: Float64Array
  readonly #links: ShardLinks
  readonly #relay: ShardRelay
  readonly #wheel: Wheel<SessionPort>
  readonly #revalidation: Revalidation | undefined
  readonly #admission: Admission
  readonly #app: UwsApp
  readonly #tcp: TcpEdge | undefined
  readonly #meter: LoopMeter
  readonly #errors = new Sampler()
  readonly #timers: NodeJS.Timeout[] = []
  #listening: Listening | undefined
  #edgesClosed = false
  /** What the clients that are left are told at the end. */
  #goodbye: Disconnect = disconnects.shutdown

  constructor({ topology, shard }: ShardStart, attachMessengerHttp: AttachMessengerHttp | undefined) {
    const { config, counters } = topology
    this.#topology = topology
    this.#shard = shard
    this.log = createLog(config.log.level, `shard ${shard}`)
    this.#row = rowOf(counters, shard)
    resetGauges(this.#row)
    this.#links = new ShardLinks(topology, shard, this.#row)
    this.#wheel = new Wheel({
      tickMs: WHEEL_TICK_MS,
      nowMs: monotonicMs(),
      onDue: session => this.#onDue(session),
    })
    this.#relay = createShardRelay({
      topology,
      shard,
      row: this.#row,
      mesh: this.#links.mesh,
      wheel: this.#wheel,
      onError: (place, error) => this.#onError(place, error),
    })
    this.#revalidation = topology.messenger && new Revalidation(this.#relay.env, monotonicMs())
    const rows = Array.from({ length: topology.shards }, (_, other) => rowOf(counters, other))
    const origins = {
      allowedOrigins: config.client.allowed_origins,
      loopbackOnly: topology.profile === 'development',
      listedOnly:
        config.client.insecure ||
        config.client.allow_anonymous_connect_without_token ||
        config.http_api.insecure,
    }
    this.#admission = new Admission({
      ...origins,
      connectionLimit: topology.connectionLimit,
      connectionRateLimit: config.client.connection_rate_limit / topology.shards,
      rows,
      row: this.#row,
    })
    const isPageAllowed = (origin: string, host: string) => isOriginAllowed(origin, host, origins)
    this.#app = this.#createApp(rows, isPageAllowed, attachMessengerHttp)
    this.#tcp = config.tcp.enabled ? new TcpEdge(this.#relay.env, this.#admission) : undefined
    this.#meter = new LoopMeter(this.#row, config.flush_delay_max)
    const { directory } = this.#relay
    this.#links.open(
      (from, bytes, headStart, payloadStart, end) =>
        directory.receive(from, bytes, headStart, payloadStart, end),
      error => this.#onRingError(error),
    )
  }

  #createApp(
    rows: readonly Float64Array[],
    isPageAllowed: (origin: string, host: string) => boolean,
    attachMessengerHttp: AttachMessengerHttp | undefined,
  ): UwsApp {
    const { config, version, shards, startedMs, nodeId } = this.#topology
    const { env, directory, presence } = this.#relay
    const app = createApp(config.http_server.tls.enabled ? config.http_server.tls : undefined)
    attachWebSocket(app, env, this.#admission)
    const { namespaces } = env
    const row = this.#row
    const context = { config, version, shards, namespaces, directory, presence, row, rows, startedMs, nodeId }
    const onHttpError = (error: unknown) => {
      row[slots.guardErrors.http]! += 1
      this.#onError('http', error)
    }
    attachMessengerHttp?.(app, this.#relay, isPageAllowed, onHttpError)
    attachRoutes(app, createApi(context, isPageAllowed, onHttpError), onHttpError)
    return app
  }

  /** From here on the shard ticks, but takes no connections. Returns its name for the acceptor. */
  start(): unknown {
    this.#every(SAMPLE_MS, () => this.#sample())
    this.#every(WHEEL_TICK_MS, () => this.#tick(monotonicMs()))
    this.#every(SWEEP_MS, () => this.#sweep(monotonicMs()))
    return this.#app.getDescriptor()
  }

  /** Takes connections, now that the ways to the other shards are there. */
  async accept(): Promise<void> {
    const { http_server: http, tcp } = this.#topology.config
    if (http.tls.enabled) {
      // The acceptor can't hand over TLS connections, so each shard listens itself.
      this.#listening = listen(this.#app, http.address, http.port, true)
      if (this.#listening === undefined) throw new StartError(`can't listen on ${http.address}:${http.port}`)
    }
    await this.#tcp?.listen(tcp.address, tcp.port)
    // Asked to end while it began to listen: what came up after that has to go down as well.
    if (this.#edgesClosed) this.#closeEdges()
  }

  /** What the last run kept of the channels at home here. Before the shard takes connections. */
  takeOver(folder: string, files: readonly KeptFile[]): Promise<{ channels: number; publications: number }> {
    const { home, homeOf } = this.#relay
    const isHomeHere = (channel: string) => homeOf(channel) === this.#shard
    return takeOverHistories({ folder, files, home, isHomeHere, log: this.log })
  }

  #every(ms: number, work: () => void): void {
    const onError = (error: unknown) => {
      this.#row[slots.guardErrors.timer]! += 1
      this.#onError('timer', error)
    }
    this.#timers.push(setInterval(guard(work, onError), ms))
  }

  #sample(): void {
    this.#relay.env.flusher.delayMs = this.#meter.sample()
    this.#links.measure()
    // Not needed as long as every bell arrives. One that is rung at a shard while it is replaced may not.
    this.#links.drain()
  }

  #tick(nowMs: number): void {
    this.#wheel.advance(nowMs)
    this.#tcp?.advance(nowMs)
  }

  #sweep(nowMs: number): void {
    this.#relay.home.sweep(nowMs)
    this.#relay.directory.payOffAll()
    this.#revalidation?.sweep(nowMs)
    let waitingBytes = 0
    for (const session of this.#relay.env.sessions.all) {
      if (session.outbox.lagging)
        waitingBytes += session.outbox.wire.waitingBytes() + session.outbox.keptBytes
    }
    this.#row[slots.outboxBytes] = waitingBytes
  }

  #onDue(session: SessionPort): void {
    try {
      session.onDue()
    } catch (error) {
      this.#row[slots.guardErrors.timer]! += 1
      this.#onError('timer', error)
      session.disconnect(disconnects.serverError)
    }
  }

  #onRingError(error: unknown): void {
    this.#row[slots.guardErrors.ring]! += 1
    this.#onError('ring', error)
  }

  /** Logged at the first time and then ever more seldom: a client must not be able to fill the disk. */
  #onError(place: string, error: unknown): void {
    const times = this.#errors.count(error instanceof Error ? `${place} ${error.message}` : place)
    if (times > 0) this.log.error({ err: error, place, times }, 'an error was caught at the edge')
  }

  losePeer(shard: number): void {
    this.#links.disconnect(shard)
    this.#relay.directory.losePeer(shard)
  }

  /** All at once: a publication that one of them sends may have to go on to another. */
  addPeers(ends: readonly PeerEnd[]): void {
    for (const end of ends) this.#links.connect(end)
    for (const { peer } of ends) if (peer < this.#topology.shards) onHomeReplaced(this.#relay.env, peer)
    // What the last messenger had still to say is lost with it.
    if (ends.some(({ peer }) => peer === this.#topology.messenger?.peer)) {
      this.#revalidation?.beginAtOnce(monotonicMs())
    }
    this.#links.drain()
  }

  /** No new connections; clients are told to reconnect elsewhere, spread over the time. */
  drain(overMs: number, done: () => void): void {
    this.#stopAccepting()
    const sessions = [...this.#relay.env.sessions.all]
    const spreadMs = Math.min(overMs, sessions.length * DRAIN_MS_PER_SESSION)
    const steps = Math.max(1, Math.ceil(spreadMs / DRAIN_STEP_MS))
    const perStep = Math.ceil(sessions.length / steps)
    const untilMs = monotonicMs() + spreadMs + DRAIN_GRACE_MS
    const timer = setInterval(() => {
      for (const session of sessions.splice(0, perStep)) session.disconnect(disconnects.shutdown)
      const left = this.#relay.env.sessions.all.size
      if (left > 0 && monotonicMs() < untilMs) return
      clearInterval(timer)
      done()
    }, DRAIN_STEP_MS)
    this.#timers.push(timer)
  }

  #stopAccepting(): void {
    this.#admission.drain()
    this.#listening?.close()
    this.#listening = undefined
    this.#tcp?.stopAccepting()
  }

  /** The state can't be trusted: nothing of it reaches other shards any more, and nobody new comes in. */
  isolate(): void {
    this.#goodbye = disconnects.serverError
    this.#links.close()
    this.#stopAccepting()
  }

  /**
   * Says goodbye to who is left, and nothing comes in from outside any more. `done` runs when all that this shard had
   * to say to others is in their rings.
   */
  quiet(done: () => void): void {
    this.#closeEdges()
    if (this.#links.mesh.pump()) return done()
    const timer = setInterval(() => {
      if (!this.#links.mesh.pump()) return
      clearInterval(timer)
      done()
    }, QUIET_STEP_MS)
    this.#timers.push(timer)
  }

  /** When all shards are quiet: what others sent is placed, too, and then all is written. */
  async keep(folder: string): Promise<KeptFile | undefined> {
    this.#links.drainAll()
    try {
      return await keepHistories(folder, this.#shard, this.#relay.home)
    } catch (error) {
      this.log.error(
        { err: error, folder },
        'the histories could not be kept: the channels at home here start new',
      )
      return undefined
    }
  }

  #closeEdges(): void {
    this.#edgesClosed = true
    for (const session of [...this.#relay.env.sessions.all]) {
      // One session in a broken state must not keep the others from their goodbye.
      guard(
        () => session.disconnect(this.#goodbye),
        error => this.#onError('timer', error),
      )()
    }
    this.#stopAccepting()
    this.#tcp?.close()
    this.#app.close()
  }

  /** Says goodbye to all and closes all that keeps the thread's loop alive. */
  close(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#closeEdges()
    this.#links.close()
  }
}
