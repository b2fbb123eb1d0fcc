// The directory: brings an ask to the home of its channel, here or on another shard, and its answer back.
// Runs on every shard. Invariant: each ask gets exactly one outcome.
// Whatever came in (socket, HTTP, ring) is the same ask from here on.

import { assert, unreachable } from '../base/assert.ts'
import type { Answer, Ask, AskKind, Tells } from '../protocol/envelope.ts'
import type { Mesh } from '../shared/mesh.ts'
import { Asks, type ReceivedAsk, type ReceivedTell } from './asks.ts'
import type { Home, Outcome } from './home.ts'

export type ChannelAskKind = Exclude<AskKind, 'sessions' | 'channels' | 'call' | 'admit'>

/** What comes from homes for this shard's own connections, and from the messenger. */
export type LocalSide = {
  deliver(channel: string, line: Uint8Array, offset: number, acceptedUs: number): void
  announce(channel: string, line: Uint8Array): void
  /** Carries out an operation of the server API on the sessions here. */
  sessions(order: string, answered: (outcome: Outcome<Answer<'sessions'>>) => void): void
  notice(topic: string, text: string): void
}

export class Directory {
  readonly #shard: number
  readonly #asks: Asks
  readonly #home: Home
  readonly #local: LocalSide
  readonly #homeOf: (channel: string) => number

  constructor(options: {
    shard: number
    mesh: Mesh
    home: Home
    local: LocalSide
    homeOf: (channel: string) => number
  }) {
    this.#shard = options.shard
    this.#home = options.home
    this.#local = options.local
    this.#homeOf = options.homeOf
    this.#asks = new Asks(options.mesh, {
      serve: (ask, from, answered) => this.#execute(ask, from, answered),
      hear: (tell, from, payload) => this.#hear(tell, from, payload),
    })
  }

  /** Asks the home of the channel. The outcome may come before this returns. */
  ask<K extends ChannelAskKind>(
    kind: K,
    ask: Ask<K>,
    onOutcome: (outcome: Outcome<Answer<K>>) => void,
  ): void {
    this.askShard(this.#homeOf(ask.channel), kind, ask, onOutcome)
  }

  /** Asks a shard, or the messenger by its place behind the last shard. */
  askShard<K extends AskKind>(
    shard: number,
    kind: K,
    ask: Ask<K>,
    onOutcome: (outcome: Outcome<Answer<K>>) => void,
  ): void {
    if (shard === this.#shard)
      this.#execute({ type: 'ask', kind, seq: 0, ask } as ReceivedAsk, shard, onOutcome as never)
    else this.#asks.ask(shard, kind, ask, onOutcome)
  }

  /** Tells the home of a channel. While its ring is full the tell is owed: it goes before any later ask. */
  tell<K extends 'leave' | 'restore'>(kind: K, tell: Tells[K]): void {
    const shard = this.#homeOf(tell.channel)
    if (shard === this.#shard) this.#hear({ type: 'tell', kind, tell } as ReceivedTell, shard, EMPTY)
    // A home that was lost has forgotten its members; the new one is told who is left.
    else this.#asks.tell(shard, kind, tell)
  }

  /** Now and then: tries again what is owed. */
  payOffAll(): void {
    this.#asks.payOffAll()
  }

  /** A frame from the ring of another thread. The bytes are views that are valid until this returns. */
  receive(from: number, bytes: Buffer, headStart: number, payloadStart: number, end: number): void {
    this.#asks.receive(from, bytes, headStart, payloadStart, end)
  }

  /** The peer is lost: what it owes is answered with a temporary error, and its members leave. */
  losePeer(shard: number): void {
    this.#asks.losePeer(shard)
    this.#home.loseShard(shard)
  }

  #hear(received: ReceivedTell, from: number, payload: Buffer): void {
    switch (received.kind) {
      case 'deliver': {
        const { channel, offset, acceptedUs } = received.tell
        return this.#local.deliver(channel, payload, offset, acceptedUs)
      }
      case 'announce':
        return this.#local.announce(received.tell.channel, payload)
      case 'leave':
        return this.#home.leave(received.tell)
      case 'restore':
        return this.#home.restore(received.tell, from)
      case 'notice':
        return this.#local.notice(received.tell.topic, payload.toString('utf8'))
      default:
        unreachable(received)
    }
  }

  #execute(received: ReceivedAsk, from: number, answered: (outcome: Outcome<Answer<AskKind>>) => void): void {
    switch (received.kind) {
      case 'publish':
        return answered(this.#home.publish(received.ask))
      case 'subscribe':
        return this.#home.subscribe(received.ask, from, answered)
      case 'catchUp':
        return answered(this.#home.catchUp(received.ask))
      case 'history':
        return answered(this.#home.history(received.ask))
      case 'historyRemove':
        return answered(this.#home.historyRemove(received.ask))
      case 'presence':
        return answered(this.#home.presence(received.ask))
      case 'presenceStats':
        return answered(this.#home.presenceStats(received.ask))
      case 'channels':
        return answered(this.#home.channels(received.ask))
      case 'sessions':
        return this.#local.sessions(received.ask.order, answered)
      case 'call':
      case 'admit':
        return assert(false, `a shard is not the messenger, which ${received.kind} is for`)
      default:
        unreachable(received)
    }
  }
}

const EMPTY = Buffer.alloc(0)
