// The directory: brings an ask to the home of its channel, here or on another shard, and its answer back.
// Runs on every shard. Invariant: each ask gets exactly one outcome; the end of a peer fails what it still owes.
// Whatever came in (socket, HTTP, ring) is the same ask from here on.

import { assert, unreachable } from '../base/assert.ts'
import { errors } from '../protocol/codes.ts'
import {
  type Answer,
  type Ask,
  type AskKind,
  answerOf,
  decodeHead,
  type Encoded,
  encodeAnswer,
  encodeAsk,
  encodeFailure,
  encodeTell,
  type Received,
  type Tells,
} from '../protocol/envelope.ts'
import type { Mesh } from '../shared/mesh.ts'
import type { Home, Outcome } from './home.ts'

export type ChannelAskKind = Exclude<AskKind, 'sessions' | 'channels'>

/** What comes from homes for this shard's own connections. */
export type LocalSide = {
  deliver(channel: string, line: Uint8Array, offset: number, acceptedUs: number): void
  announce(channel: string, line: Uint8Array): void
  /** Carries out an operation of the server API on the sessions here. */
  sessions(order: string, answered: (outcome: Outcome<Answer<'sessions'>>) => void): void
}

type Pending = {
  shard: number
  kind: AskKind
  // The answer's type follows from the kind; the map can't say so.
  onOutcome: (outcome: Outcome<never>) => void
}

/** Asks that one shard may have open at once; beyond it new ones are refused with a temporary error. */
const PENDING_MAX = 100_000

export class Directory {
  readonly #shard: number
  readonly #mesh: Mesh
  readonly #home: Home
  readonly #local: LocalSide
  readonly #homeOf: (channel: string) => number
  readonly #pending = new Map<number, Pending>()
  /**
   * Heads of tells that found the ring full. Bounded by the subscriptions of this shard: each ends once, and no new
   * one is asked for while something is owed.
   */
  readonly #owed = new Map<number, Uint8Array[]>()
  #seq = 0

  constructor(options: {
    shard: number
    mesh: Mesh
    home: Home
    local: LocalSide
    homeOf: (channel: string) => number
  }) {
    this.#shard = options.shard
    this.#mesh = options.mesh
    this.#home = options.home
    this.#local = options.local
    this.#homeOf = options.homeOf
  }

  /** Asks the home of the channel. The outcome may come before this returns. */
  ask<K extends ChannelAskKind>(
    kind: K,
    ask: Ask<K>,
    onOutcome: (outcome: Outcome<Answer<K>>) => void,
  ): void {
    this.askShard(this.#homeOf(ask.channel), kind, ask, onOutcome)
  }

  askShard<K extends AskKind>(
    shard: number,
    kind: K,
    ask: Ask<K>,
    onOutcome: (outcome: Outcome<Answer<K>>) => void,
  ): void {
    if (shard === this.#shard) {
      this.#execute(
        { type: 'ask', kind, seq: 0, ask } as Extract<Received, { type: 'ask' }>,
        shard,
        onOutcome as never,
      )
      return
    }
    const link = this.#mesh.link(shard)
    // While a lost shard is being replaced its channels have no home: the client tries again shortly.
    if (link === undefined) return onOutcome({ ok: false, error: errors.internal })
    if (this.#pending.size >= PENDING_MAX) return onOutcome({ ok: false, error: errors.tooManyRequests })
    this.#seq = (this.#seq + 1) % SEQ_MODULUS
    const seq = this.#seq
    const { head, payload } = encodeAsk(kind, seq, ask)
    if (
      head.length + payload.length * 3 > link.frameBytesMax &&
      head.length + Buffer.byteLength(payload) > link.frameBytesMax
    ) {
      return onOutcome({ ok: false, error: errors.limitExceeded })
    }
    if (!this.#payOff(shard) || !link.send(head, payload))
      return onOutcome({ ok: false, error: errors.tooManyRequests })
    this.#pending.set(seq, { shard, kind, onOutcome })
  }

  /** Tells the home of a channel. While its ring is full the tell is owed: it goes before any later ask. */
  tell<K extends 'leave' | 'restore'>(kind: K, tell: Tells[K]): void {
    const shard = this.#homeOf(tell.channel)
    if (shard === this.#shard) {
      this.#hear({ type: 'tell', kind, tell } as Extract<Received, { type: 'tell' }>, shard, EMPTY)
      return
    }
    const link = this.#mesh.link(shard)
    // A home that was lost has forgotten its members; the new one is told who is left.
    if (link === undefined) return
    const head = encodeTell(kind, tell)
    // Only an info that is far beyond what a ring was made for: such a member stays unlisted.
    if (head.length > link.frameBytesMax) return
    if (this.#payOff(shard) && link.send(head, undefined)) return
    const owed = this.#owed.get(shard) ?? []
    owed.push(head)
    this.#owed.set(shard, owed)
  }

  /** Sends what is owed to a shard, in order. True: nothing is owed any more. */
  #payOff(shard: number): boolean {
    const owed = this.#owed.get(shard)
    if (owed === undefined) return true
    const link = this.#mesh.link(shard)
    let sent = 0
    while (sent < owed.length && link?.send(owed[sent]!, undefined)) sent++
    owed.splice(0, sent)
    if (owed.length > 0) return false
    this.#owed.delete(shard)
    return true
  }

  /** Now and then: tries again what is owed. */
  payOffAll(): void {
    for (const shard of [...this.#owed.keys()]) this.#payOff(shard)
  }

  /** A frame from the ring of another shard. The bytes are views that are valid until this returns. */
  receive(from: number, bytes: Buffer, headStart: number, payloadStart: number, end: number): void {
    const payloadText = () => bytes.toString('utf8', payloadStart, end)
    const received = decodeHead(bytes.subarray(headStart, payloadStart), payloadText)
    switch (received.type) {
      case 'tell':
        return this.#hear(received, from, bytes.subarray(payloadStart, end))
      case 'ask':
        return this.#serve(received, from)
      case 'answer': {
        const pending = this.#settle(received.seq)
        const value = answerOf(pending.kind, received.values, payloadText)
        return pending.onOutcome({ ok: true, value: value as never })
      }
      case 'failure':
        return this.#settle(received.seq).onOutcome({ ok: false, error: received.error })
      default:
        unreachable(received)
    }
  }

  /** The peer is lost: what it owes is answered with a temporary error, and its members leave. */
  losePeer(shard: number): void {
    for (const [seq, pending] of this.#pending) {
      if (pending.shard !== shard) continue
      this.#pending.delete(seq)
      pending.onOutcome({ ok: false, error: errors.internal })
    }
    this.#owed.delete(shard)
    this.#home.loseShard(shard)
  }

  /** An ask of another shard; an error of ours is its failure, and then the caller's to count. */
  #serve(received: Extract<Received, { type: 'ask' }>, from: number): void {
    const { kind, seq } = received
    let isAnswered = false
    try {
      this.#execute(received, from, outcome => {
        isAnswered = true
        this.#answer(from, kind, seq, outcome)
      })
    } catch (error) {
      if (!isAnswered) this.#answer(from, kind, seq, { ok: false, error: errors.internal })
      throw error
    }
  }

  #settle(seq: number): Pending {
    const pending = this.#pending.get(seq)
    assert(pending !== undefined, 'an answer belongs to an ask')
    this.#pending.delete(seq)
    return pending
  }

  #answer(to: number, kind: AskKind, seq: number, outcome: Outcome<Answer<AskKind>>): void {
    const link = this.#mesh.link(to)
    if (link === undefined) return
    let encoded: Encoded = outcome.ok
      ? encodeAnswer(kind, seq, outcome.value)
      : encodeFailure(seq, outcome.error)
    if (encoded.head.length + Buffer.byteLength(encoded.payload) > link.frameBytesMax) {
      encoded = encodeFailure(seq, errors.limitExceeded)
    }
    // Full, that is a peer that has been stuck for long: it learns at least that there is no answer.
    if (!link.send(encoded.head, encoded.payload)) {
      // Not "too many requests": it was carried out, and must not be taken for something to try again at once.
      link.sendAnswer(encodeFailure(seq, errors.internal).head)
    }
  }

  #hear(received: Extract<Received, { type: 'tell' }>, from: number, payload: Uint8Array): void {
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
      default:
        unreachable(received)
    }
  }

  #execute(
    received: Extract<Received, { type: 'ask' }>,
    from: number,
    answered: (outcome: Outcome<Answer<AskKind>>) => void,
  ): void {
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
      default:
        unreachable(received)
    }
  }
}

const EMPTY = new Uint8Array(0)
/** Asks are numbered round and round; far more than can be pending. */
const SEQ_MODULUS = 2 ** 31
