// The raw TCP edge: lines of JSON in, lines of JSON out. Runs on a shard; each shard listens on the same port.
// Invariants: no callback lets an error out; a line that does not end is bounded in bytes and in time.

import { createServer, type Server, type Socket } from 'node:net'
import { plainAddress } from '../base/address.ts'
import { monotonicMs } from '../base/clock.ts'
import { StartError } from '../base/errors.ts'
import { guard } from '../base/guard.ts'
import { NOT_TIMED, type Timed, Wheel } from '../base/wheel.ts'
import { type Frame, stableLines } from '../fanout/frame.ts'
import { REFUSED, type Wire } from '../fanout/wire.ts'
import { slots } from '../metrics/slots.ts'
import { because, type Disconnect, disconnects, reconnects } from '../protocol/codes.ts'
import { type LineProblem, LineReader } from '../protocol/lines.ts'
import { disconnectPush } from '../protocol/replies.ts'
import type { SessionEnv } from '../session/port.ts'
import { Session } from '../session/session.ts'
import type { Admission, RefusalReason } from './admission.ts'

/** A peer that has gone silent is probed by the kernel after so long. */
const KEEP_ALIVE_MS = 30_000
/** After its last word a client gets the answers that are under way: a hop to another shard, a token check. */
const HALF_CLOSED_MS = 250
/** Lines waiting to be whole are looked at so often. */
const LINE_TICK_MS = 250
/** Connections that the kernel holds for us until we accept them: a storm of reconnects comes at once. */
const LISTEN_BACKLOG = 4096
/** A refused connection has so long to take its goodbye; it counts nowhere, so it must not stay. */
const REFUSED_MS = 1000

export class TcpEdge {
  readonly #env: SessionEnv
  readonly #admission: Admission
  readonly #server: Server
  readonly #wheel: Wheel<TcpConnection>
  readonly #sockets = new Set<Socket>()

  constructor(env: SessionEnv, admission: Admission) {
    this.#env = env
    this.#admission = admission
    this.#wheel = new Wheel({
      tickMs: LINE_TICK_MS,
      nowMs: monotonicMs(),
      onDue: connection => connection.onLineDue(),
    })
    const options = {
      // A client that has said all it has to say (`printf … | nc`) still gets the answers under way.
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      // A stream tells of its drain only once this much has waited: what makes a connection lag must reach it.
      highWaterMark: env.outboxLimits.softBytes,
    }
    this.#server = createServer(
      options,
      guard(
        socket => this.#accept(socket),
        (error, socket) => {
          this.#onError(error)
          socket.destroy()
        },
      ),
    )
  }

  listen(address: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', error =>
        reject(new StartError(`tcp.port ${address}:${port}: ${error.message}`)),
      )
      this.#server.listen({ host: address, port, reusePort: true, backlog: LISTEN_BACKLOG }, () => {
        const bound = this.#server.address()
        resolve(bound !== null && typeof bound === 'object' ? bound.port : port)
      })
    })
  }

  /** No new connections; those that are there stay. */
  stopAccepting(): void {
    if (this.#server.listening) this.#server.close()
  }

  close(): void {
    this.stopAccepting()
    for (const socket of this.#sockets) socket.destroy()
  }

  advance(nowMs: number): void {
    this.#wheel.advance(nowMs)
  }

  #accept(socket: Socket): void {
    const refusal = this.#admission.refusal('', '', monotonicMs())
    if (refusal !== undefined) return refuse(socket, refusal)
    const row = this.#env.row
    row[slots.connections.tcp]! += 1
    this.#sockets.add(socket)
    const connection = new TcpConnection(socket, this.#env, this.#wheel)
    const onError = (error: unknown) => {
      this.#onError(error)
      connection.session.disconnect(disconnects.serverError)
    }
    socket.on(
      'data',
      guard((chunk: Buffer) => connection.onData(chunk), onError),
    )
    socket.on(
      'end',
      guard(() => connection.onEnd(), onError),
    )
    socket.on(
      'drain',
      guard(() => connection.session.onDrained(), onError),
    )
    // A reset by the peer is no error of ours; 'close' follows.
    socket.on('error', () => socket.destroy())
    socket.on(
      'close',
      guard(
        () => {
          row[slots.connections.tcp]! -= 1
          this.#sockets.delete(socket)
          connection.onClose()
        },
        error => this.#onError(error),
      ),
    )
  }

  #onError(error: unknown): void {
    this.#env.row[slots.guardErrors.tcp]! += 1
    this.#env.onError('tcp', error)
  }
}

const REFUSED_WITH: Record<RefusalReason, Disconnect> = {
  origin: disconnects.permissionDenied,
  connection_limit: disconnects.connectionLimit,
  // Only for the moment: the client should come again.
  connection_rate: disconnects.tooManyRequests,
  draining: disconnects.shutdown,
}

function refuse(socket: Socket, refusal: RefusalReason): void {
  const disconnect = REFUSED_WITH[refusal]
  const timer = setTimeout(() => socket.destroy(), REFUSED_MS)
  socket.on('error', () => socket.destroy())
  socket.on('close', () => clearTimeout(timer))
  // Read and thrown away: closing with unread bytes would be a reset, which can overtake the goodbye.
  socket.resume()
  socket.end(`${disconnectPush(disconnect, reconnects(disconnect.code))}\n`)
}

class TcpConnection implements Timed {
  wheelTick = NOT_TIMED
  readonly session: Session
  readonly #wire: TcpWire
  readonly #env: SessionEnv
  readonly #wheel: Wheel<TcpConnection>
  readonly #reader: LineReader
  readonly #onLine: (line: string) => boolean
  #hasEnded = false

  constructor(socket: Socket, env: SessionEnv, wheel: Wheel<TcpConnection>) {
    this.#env = env
    this.#wheel = wheel
    this.#wire = new TcpWire(socket)
    this.#reader = new LineReader(env.config.client.message_size_limit)
    this.session = new Session(env, this.#wire, '')
    this.#onLine = line => this.session.receive(line)
  }

  onData(chunk: Buffer): void {
    this.#env.row[slots.receivedBytes.tcp]! += chunk.length
    if (!this.session.isOpen) return
    const heldBefore = this.#reader.heldBytes
    const problem = this.#reader.push(chunk, this.#onLine)
    if (problem !== undefined)
      return this.session.disconnect(because(disconnects.badRequest, EXPLAINED[problem]))
    const held = this.#reader.heldBytes
    if (held === 0) this.#wheel.cancel(this)
    // A line that goes on keeps the deadline of its first byte, unless another line ended in this chunk.
    else if (heldBefore === 0 || held <= chunk.length) this.#wheel.schedule(this, this.#lineDueMs())
  }

  #lineDueMs(): number {
    return monotonicMs() + this.#env.config.tcp.line_timeout
  }

  /** The client says no more: mostly it is gone, and its subscriptions must not outlive it for long. */
  onEnd(): void {
    this.#hasEnded = true
    this.#wheel.schedule(this, monotonicMs() + HALF_CLOSED_MS)
  }

  onLineDue(): void {
    if (this.#hasEnded) this.#wire.finish()
    else if (this.#reader.heldBytes > 0) {
      this.session.disconnect(because(disconnects.badRequest, 'a line took too long to end'))
    }
  }

  onClose(): void {
    this.#wheel.cancel(this)
    this.#wire.closed = true
    this.session.closed()
  }
}

const EXPLAINED: Record<LineProblem, string> = {
  line_too_long: 'a line is too long',
  not_utf8: 'a line is not UTF-8',
}

class TcpWire implements Wire {
  readonly transport = 'tcp'
  closed = false
  readonly #socket: Socket

  constructor(socket: Socket) {
    this.#socket = socket
  }

  send(frame: Frame): number {
    if (this.closed) return REFUSED
    // The stream may write later, when the frame's memory is used for something else.
    this.#socket.write(stableLines(frame))
    return this.#socket.writableLength
  }

  sendText(text: string): number {
    if (this.closed) return REFUSED
    this.#socket.write(`${text}\n`)
    return this.#socket.writableLength
  }

  waitingBytes(): number {
    return this.closed ? 0 : this.#socket.writableLength
  }

  address(): string {
    return plainAddress(this.#socket.remoteAddress ?? '')
  }

  end(disconnect: Disconnect): void {
    if (this.closed) return
    this.#socket.end(`${disconnectPush(disconnect, reconnects(disconnect.code))}\n`)
  }

  /** Closes after what is queued, without a word: the client has closed its side already. */
  finish(): void {
    if (!this.closed) this.#socket.end()
  }

  destroy(): void {
    // A reset, for after a mere close the kernel would keep what waits for minutes: megabytes for who never reads.
    this.#socket.resetAndDestroy()
  }
}
