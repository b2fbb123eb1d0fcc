// A session: the protocol state of one connection, from its first command to its goodbye. Runs on the connection's
// shard. Invariants: commands are carried out in the order they came; nothing but `connect`, and calls to log
// in, is heard before the session is live; whatever happens, `closed` runs once and gives everything back.

import { unreachable } from '../base/assert.ts'
import { monotonicMs, wallMs } from '../base/clock.ts'
import { TokenBucket } from '../base/token-bucket.ts'
import { NOT_TIMED } from '../base/wheel.ts'
import { BAD_COMMANDS_MAX } from '../config/limits.ts'
import { Outbox, type OutboxOwner } from '../fanout/outbox.ts'
import type { Wire } from '../fanout/wire.ts'
import { pick, slots } from '../metrics/slots.ts'
import { because, type Disconnect, disconnects, type ErrorCode, errors } from '../protocol/codes.ts'
import { type Command, readCommand } from '../protocol/commands.ts'
import { errorReply, PING } from '../protocol/replies.ts'
import { CatchUp } from './catch-up.ts'
import { CommandQueue } from './command-queue.ts'
import { nextDeadlineMs } from './deadlines.ts'
import { answerLive, stepBeforeConnect } from './dispatch.ts'
import type { SessionEnv, SessionPort } from './port.ts'
import type { Live, SessionState } from './state.ts'
import { dropExpired, endAll } from './subscriptions.ts'

/** After its goodbye a connection has so long to take what was queued. */
const CLOSING_MS = 5000
const CLOSED: SessionState = { kind: 'closed' }

export class Session implements SessionPort, OutboxOwner {
  readonly env: SessionEnv
  readonly outbox: Outbox
  wheelTick = NOT_TIMED
  state: SessionState
  /** Tokens being checked and large answers under way: commands wait, so that their order stays. */
  #holds = 0
  #queue: CommandQueue | undefined
  #catchUp: CatchUp | undefined
  #badCommands = 0
  /** Undefined: without a limit a session need not carry a bucket. */
  readonly #rate: TokenBucket | undefined

  /** @param device what it calls itself; '' */
  constructor(env: SessionEnv, wire: Wire, device: string) {
    const nowMs = monotonicMs()
    this.env = env
    this.outbox = new Outbox(wire, this, env.outboxLimits)
    this.state = { kind: 'opening', device, calls: 0, login: undefined }
    const { command_rate_limit: rate } = env.config.client
    this.#rate = rate === 0 ? undefined : new TokenBucket(rate, nowMs)
    env.sessions.open(this)
    env.wheel.schedule(this, nowMs + env.config.client.stale_close_delay)
  }

  /** A ping or pong of the transport itself, which has answered it: it costs as much as a command. */
  receiveControl(): void {
    if (!this.isOpen) return
    if (this.#rate?.take(monotonicMs()) === false) this.disconnect(disconnects.tooManyRequests)
    // Pongs to a client that does not read pile up where no outbox sees them.
    else if (this.outbox.wire.waitingBytes() > this.env.outboxLimits.hardBytes)
      this.disconnect(disconnects.slow)
  }

  /** One command as JSON text. False: the session has ended, the rest of the frame is nobody's. */
  receive(text: string): boolean {
    if (this.state.kind === 'closing' || this.state.kind === 'closed') return false
    const read = readCommand(text)
    switch (read.kind) {
      case 'malformed':
        this.#count('unknown', 'disconnect')
        this.disconnect(because(disconnects.badRequest, read.why))
        return false
      case 'refused':
        return this.#refuse(read.id, read.why)
      case 'command':
        return this.#take(read.command, text.length)
      default:
        return unreachable(read)
    }
  }

  #take(command: Command, size: number): boolean {
    if (this.#rate?.take(monotonicMs()) === false) {
      this.#count(command.kind, 'disconnect')
      this.disconnect(disconnects.tooManyRequests)
      return false
    }
    // A pong says that the client lives; it must not wait behind commands that wait for it to read.
    if (command.kind === 'pong') return this.#pong()
    if (!this.#mustWait()) return this.#carryOut(command)
    this.#queue ??= new CommandQueue(this.env.outboxLimits.hardBytes)
    if (!this.#queue.push(command, size)) {
      this.#count(command.kind, 'disconnect')
      this.disconnect(disconnects.tooManyRequests)
      return false
    }
    this.outbox.wantsFlushed = true
    return true
  }

  #mustWait(): boolean {
    if (this.#holds > 0 || this.#queue?.isEmpty === false) return true
    // Replies to a client that does not read would pile up: its commands wait until it does. What waits only for the
    // end of this tick says nothing of its reading, and is sent to see.
    const { outbox } = this
    const { softBytes } = this.env.outboxLimits
    if (!outbox.lagging && outbox.pendingSize > softBytes) this.env.flusher.flushNow(outbox)
    return outbox.lagging || outbox.pendingSize > softBytes
  }

  #drainQueue(): void {
    this.#queue?.drain(
      () => this.#mayGoOn(),
      command => this.#carryOut(command),
    )
    if (this.#queue?.isEmpty) this.#queue = undefined
    else if (this.#queue !== undefined && this.#holds === 0) this.#afterNextFlush()
  }

  #mayGoOn(): boolean {
    return (
      this.isOpen &&
      this.#holds === 0 &&
      !this.outbox.lagging &&
      this.outbox.pendingSize <= this.env.outboxLimits.softBytes
    )
  }

  #carryOut(command: Command): boolean {
    if (this.state.kind === 'opening') {
      const step = stepBeforeConnect(this, this.state, command)
      if (step !== undefined) {
        this.#count(command.kind, 'ok')
        step()
        return this.isOpen
      }
      this.#count(command.kind, 'disconnect')
      this.disconnect(because(disconnects.badRequest, `${command.kind} before connect`))
      return false
    }
    if (this.state.kind !== 'live') return false
    if (command.kind === 'connect') {
      this.#count('connect', 'disconnect')
      this.disconnect(because(disconnects.badRequest, 'already connected'))
      return false
    }
    this.#count(command.kind, 'ok')
    answerLive(this, this.state, command)
    return this.isOpen
  }

  #pong(): boolean {
    this.#count('pong', 'ok')
    if (this.state.kind === 'live' && this.state.pongDueMs !== 0) {
      this.state.pongDueMs = 0
      return true
    }
    // Where no pong is expected, a person at a terminal may answer a ping all the same.
    if (this.state.kind === 'live' && !this.expectsPong) return true
    this.disconnect(because(disconnects.badRequest, 'a pong without a ping'))
    return false
  }

  get isOpen(): boolean {
    return this.state.kind === 'opening' || this.state.kind === 'live'
  }

  reply(text: string): void {
    this.env.flusher.write(this.outbox, text)
  }

  /** The command ends the session. */
  refuse(kind: Command['kind'], disconnect: Disconnect): void {
    this.#recount(kind, 'disconnect')
    this.disconnect(disconnect)
  }

  fail(id: number, kind: Command['kind'], error: ErrorCode): void {
    this.#recount(kind, 'error')
    this.env.row[pick(slots.errors, error.code, slots.errors.other)]! += 1
    this.reply(errorReply(id, error))
  }

  #refuse(id: number, why: string): boolean {
    this.#count('unknown', 'error')
    this.env.row[slots.errors[107]]! += 1
    this.reply(errorReply(id, { ...errors.badRequest, message: `${errors.badRequest.message}: ${why}` }))
    this.#badCommands++
    if (this.#badCommands < BAD_COMMANDS_MAX) return true
    this.disconnect(disconnects.tooManyErrors)
    return false
  }

  /** Runs an asynchronous step; commands that come meanwhile wait for it. */
  async hold(step: () => Promise<void>): Promise<void> {
    this.#holds++
    try {
      await step()
    } catch (error) {
      this.#failed(error)
    }
    this.#holds--
    this.#guarded(() => this.#drainQueue())
  }

  /** For what runs outside of the edge's guards: an error ends this session and nothing else. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#failed(error)
    }
  }

  #failed(error: unknown): void {
    const { transport } = this.outbox.wire
    this.env.row[slots.guardErrors[transport]]! += 1
    this.env.onError(transport, error)
    this.disconnect(disconnects.serverError)
  }

  /** Ends the session with a code; what was written before still goes out first. */
  disconnect(disconnect: Disconnect): void {
    if (!this.isOpen) return
    this.#end(disconnect.code)
    // From here on nothing that the last flush brings (a full socket, say) is this session's business any more.
    this.state = { kind: 'closing', untilMs: monotonicMs() + CLOSING_MS }
    this.env.flusher.flushNow(this.outbox)
    this.env.wheel.schedule(this, this.state.untilMs)
    this.outbox.wire.end(disconnect)
  }

  /** The connection is gone. */
  closed(): void {
    if (this.state.kind === 'closed') return
    if (this.isOpen) {
      this.outbox.close()
      this.#end(disconnects.connectionClosed.code)
    }
    this.outbox.close()
    this.state = CLOSED
    this.env.wheel.cancel(this)
    this.env.sessions.close(this)
  }

  /** Gives back what the session held; the state is the caller's to set. */
  #end(code: number): void {
    const { row, sessions } = this.env
    row[pick(slots.disconnects, code, slots.disconnects.other)]! += 1
    this.#queue = undefined
    this.#notLagging()
    this.outbox.held = false
    if (this.state.kind !== 'live') return
    endAll(this, this.state)
    sessions.dismiss(this, this.state.identity.user)
  }

  onTooSlow(): void {
    this.#guarded(() => this.disconnect(disconnects.slow))
  }

  onLagging(): void {
    if (!this.isOpen) return
    this.env.row[slots.laggingConnections]! += 1
    this.env.wheel.schedule(this, this.#nextDeadlineMs())
  }

  #notLagging(): void {
    if (this.outbox.lagging) this.env.row[slots.laggingConnections]! -= 1
  }

  onFlushed(): void {
    if (!this.isOpen || this.outbox.lagging) return
    this.#guarded(() => {
      this.#catchUp?.resume()
      this.#drainQueue()
    })
  }

  /** A step of the catching up that comes later, by a timer. */
  resumeCatchUp(): void {
    this.#guarded(() => this.#catchUp?.resume())
  }

  #afterNextFlush(): void {
    this.outbox.wantsFlushed = true
    this.env.flusher.touch(this.outbox)
  }

  /** The socket has room again. */
  onDrained(): void {
    if (this.state.kind !== 'live' || !this.outbox.lagging || !this.outbox.hasRoom()) return
    this.#notLagging()
    this.outbox.resume()
    this.#catchUp ??= new CatchUp(this, this.state)
    this.#catchUp.resume()
    this.#afterNextFlush()
  }

  /** The wheel: one of the deadlines has come. */
  onDue(): void {
    const nowMs = monotonicMs()
    const { state } = this
    switch (state.kind) {
      case 'opening':
        // While a token is being checked the client has done its part.
        if (this.#holds > 0) this.env.wheel.schedule(this, nowMs + this.env.config.client.stale_close_delay)
        else this.disconnect(disconnects.stale)
        return
      case 'live':
        this.#onLiveDue(state, nowMs)
        if (this.isOpen) this.env.wheel.schedule(this, this.#nextDeadlineMs())
        return
      case 'closing':
        // The goodbye did not go through, for the client does not read: no more waiting.
        this.outbox.wire.destroy()
        return
      case 'closed':
        return
      default:
        unreachable(state)
    }
  }

  #onLiveDue(live: Live, nowMs: number): void {
    const { client } = this.env.config
    if (live.pongDueMs !== 0 && nowMs >= live.pongDueMs) {
      // Its ping waits behind all that the client has not read yet: while it lags, slow_timeout is its limit.
      if (!this.outbox.lagging) return this.disconnect(disconnects.noPong)
      live.pongDueMs = nowMs + client.pong_timeout
    }
    const { lagging, laggingSinceMs } = this.outbox
    if (lagging && nowMs >= laggingSinceMs + client.slow_timeout) return this.onTooSlow()
    if (live.expireAt !== 0 && wallMs() >= live.expireAt * 1000 + client.expired_close_delay) {
      return this.disconnect(disconnects.expired)
    }
    if (live.hasExpiringSubscriptions) dropExpired(this, live, wallMs())
    if (client.ping_interval === 0 || nowMs < live.pingAtMs) return
    live.pingAtMs = nowMs + client.ping_interval
    if (this.expectsPong) {
      // One ping at a time, or the pongs of a client that lagged would be one too many.
      if (live.pongDueMs !== 0) return
      live.pongDueMs = nowMs + client.pong_timeout
    }
    this.reply(PING)
  }

  /** On TCP the kernel notices dead peers, and a person with a line client need not answer pings. */
  get expectsPong(): boolean {
    return this.outbox.wire.transport === 'websocket' || this.env.config.tcp.require_pong
  }

  #nextDeadlineMs(): number {
    if (this.state.kind !== 'live') return Number.POSITIVE_INFINITY
    const { laggingSinceMs } = this.outbox
    return nextDeadlineMs(this.state, this.env.config.client, laggingSinceMs, monotonicMs(), wallMs())
  }

  /** Sets the clock anew after something with a deadline has changed. */
  rescheduled(): void {
    this.env.wheel.schedule(this, this.#nextDeadlineMs())
  }

  /** It was counted as ok when it was taken; what it became is known only now. */
  #recount(kind: Command['kind'], outcome: 'error' | 'disconnect'): void {
    this.env.row[slots.commands[kind].ok]! -= 1
    this.#count(kind, outcome)
  }

  #count(kind: Command['kind'] | 'unknown', outcome: 'ok' | 'error' | 'disconnect'): void {
    this.env.row[slots.commands[kind][outcome]]! += 1
  }
}
