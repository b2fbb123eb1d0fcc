// What a thread asks of others over the mesh, and what they ask of it: numbers, answers, and what becomes of them when a
// peer is lost. Runs on every shard and in the messenger's thread.
// Invariant: each ask gets exactly one outcome; the end of a peer fails what it still owes.

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
  type TellKind,
  type Tells,
} from '../protocol/envelope.ts'
import type { Link, Mesh } from '../shared/mesh.ts'
import type { Outcome } from './home.ts'

export type ReceivedAsk = Extract<Received, { type: 'ask' }>
export type ReceivedTell = Extract<Received, { type: 'tell' }>

/** What this thread does for its peers. */
export type Served = Readonly<{
  serve: (ask: ReceivedAsk, from: number, answered: (outcome: Outcome<Answer<AskKind>>) => void) => void
  /** `payload` is valid until this returns. */
  hear: (tell: ReceivedTell, from: number, payload: Buffer) => void
}>

type Pending = {
  peer: number
  kind: AskKind
  // The answer's type follows from the kind; the map can't say so.
  onOutcome: (outcome: Outcome<never>) => void
}

/** Asks that one thread may have open at once; beyond it new ones are refused with a temporary error. */
const PENDING_MAX = 100_000
/** Asks are numbered round and round; far more than can be pending. */
const SEQ_MODULUS = 2 ** 31

export class Asks {
  readonly #mesh: Mesh
  readonly #served: Served
  readonly #pending = new Map<number, Pending>()
  /**
   * Heads of tells that found the ring full. Bounded by the subscriptions of this shard: each ends once, and no new
   * one is asked for while something is owed.
   */
  readonly #owed = new Map<number, Uint8Array[]>()
  #seq = 0

  constructor(mesh: Mesh, served: Served) {
    this.#mesh = mesh
    this.#served = served
  }

  /** Asks without an outcome yet. */
  get open(): number {
    return this.#pending.size
  }

  /** Asks a peer. The outcome may come before this returns. */
  ask<K extends AskKind>(
    peer: number,
    kind: K,
    ask: Ask<K>,
    onOutcome: (outcome: Outcome<Answer<K>>) => void,
  ): void {
    const link = this.#mesh.link(peer)
    // While a lost peer is being replaced nobody can answer: the client tries again shortly.
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
    if (!this.#payOff(peer) || !link.send(head, payload))
      return onOutcome({ ok: false, error: errors.tooManyRequests })
    this.#pending.set(seq, { peer, kind, onOutcome })
  }

  /** Tells a peer something. While its ring is full the tell is owed: it goes before any later ask. */
  tell<K extends TellKind>(peer: number, kind: K, tell: Tells[K]): void {
    const link = this.#mesh.link(peer)
    // A peer that was lost has forgotten us; the one in its place is told anew.
    if (link === undefined) return
    const head = encodeTell(kind, tell)
    // Only an info that is far beyond what a ring was made for: such a member stays unlisted.
    if (head.length > link.frameBytesMax) return
    if (this.#payOff(peer) && link.send(head, undefined)) return
    const owed = this.#owed.get(peer) ?? []
    owed.push(head)
    this.#owed.set(peer, owed)
  }

  /** Sends what is owed to a peer, in order. True: nothing is owed any more. */
  #payOff(peer: number): boolean {
    const owed = this.#owed.get(peer)
    if (owed === undefined) return true
    const link = this.#mesh.link(peer)
    let sent = 0
    while (sent < owed.length && link?.send(owed[sent]!, undefined)) sent++
    owed.splice(0, sent)
    if (owed.length > 0) return false
    this.#owed.delete(peer)
    return true
  }

  /** Now and then: tries again what is owed. */
  payOffAll(): void {
    for (const peer of [...this.#owed.keys()]) this.#payOff(peer)
  }

  /** A frame from the ring of a peer. The bytes are views that are valid until this returns. */
  receive(from: number, bytes: Buffer, headStart: number, payloadStart: number, end: number): void {
    const payloadText = () => bytes.toString('utf8', payloadStart, end)
    const received = decodeHead(bytes.subarray(headStart, payloadStart), payloadText)
    switch (received.type) {
      case 'tell':
        return this.#served.hear(received, from, bytes.subarray(payloadStart, end))
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

  /** The peer is lost: what it owes is answered with a temporary error. */
  losePeer(peer: number): void {
    for (const [seq, pending] of this.#pending) {
      if (pending.peer !== peer) continue
      this.#pending.delete(seq)
      pending.onOutcome({ ok: false, error: errors.internal })
    }
    this.#owed.delete(peer)
  }

  /** An ask of a peer; an error of ours is its failure, and then the caller's to count. */
  #serve(received: ReceivedAsk, from: number): void {
    const { kind, seq } = received
    const link = this.#mesh.link(from)
    let isAnswered = false
    const answered = (outcome: Outcome<Answer<AskKind>>) => {
      isAnswered = true
      // Who took the place of a lost peer has asks of its own under the same numbers, and must not get this for one.
      if (link !== undefined && this.#mesh.link(from) === link) answer(link, kind, seq, outcome)
    }
    try {
      this.#served.serve(received, from, answered)
    } catch (error) {
      if (!isAnswered) answered({ ok: false, error: errors.internal })
      throw error
    }
  }

  #settle(seq: number): Pending {
    const pending = this.#pending.get(seq)
    assert(pending !== undefined, 'an answer belongs to an ask')
    this.#pending.delete(seq)
    return pending
  }
}

function answer(link: Link, kind: AskKind, seq: number, outcome: Outcome<Answer<AskKind>>): void {
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
