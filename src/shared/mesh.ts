// The mesh: one ring from each shard to each other, with a bounded backlog behind each ring. Runs on every shard.
// Invariant: frames to a peer arrive in the order they were sent, or `send` said no; while a backlog is not empty
// everything goes through it. A peer's bell rings at the end of the callback that sent to it.

import { assert } from '../base/assert.ts'
import type { Doorbell, DoorbellButton } from './doorbell.ts'
import { FULL, type RingConsumer, type RingProducer } from './ring.ts'

export type Payload = string | Uint8Array | undefined

type Waiting = Readonly<{ head: Uint8Array; payload: Uint8Array | undefined; bytes: number }>

/** The way to one peer. */
export class Link {
  readonly #ring: RingProducer
  readonly #button: DoorbellButton
  readonly #backlogBytesMax: number
  readonly #onBacklog: () => void
  readonly #ringBell: () => void
  #backlog: Waiting[] = []
  #backlogBytes = 0
  #bellIsDue = false
  #closed = false
  fullEvents = 0
  frames = 0
  wakes = 0

  /** `onBacklog`: something waits behind the full ring, and `pump` has to be called now and then. */
  constructor(ring: RingProducer, button: DoorbellButton, backlogBytesMax: number, onBacklog: () => void) {
    this.#onBacklog = onBacklog
    this.#ring = ring
    this.#button = button
    this.#backlogBytesMax = backlogBytesMax
    this.#ringBell = () => {
      this.#bellIsDue = false
      if (!this.#closed && this.#button.ring()) this.wakes++
    }
  }

  get usedBytes(): number {
    return this.#ring.usedBytes()
  }

  get backlogBytes(): number {
    return this.#backlogBytes
  }

  /** The largest frame, head and payload together. */
  get frameBytesMax(): number {
    return this.#ring.maxRecordBytes
  }

  /** Whether a frame of so many bytes would be taken now. */
  accepts(bytes: number): boolean {
    return this.#backlogBytes + bytes <= this.#backlogBytesMax
  }

  /** False: ring and backlog are full, nothing was sent. Strings are written as UTF-8, straight into the ring. */
  send(head: Uint8Array, payload: Payload): boolean {
    const payloadBytes = payload === undefined ? 0 : byteLengthOf(payload)
    if (this.#backlog.length === 0) {
      if (this.#write(head, payload, payloadBytes)) return true
      this.fullEvents++
    }
    if (!this.accepts(head.length + payloadBytes)) return false
    this.#enqueue(head, payload === undefined ? undefined : Buffer.from(payload as string))
    return true
  }

  /**
   * Sends a small frame whatever waits already: the answer to an ask, without which the asker would wait for ever.
   * Their number is bounded by the asks that a shard may have open.
   */
  sendAnswer(head: Uint8Array): void {
    if (this.#backlog.length > 0 || !this.#write(head, undefined, 0)) this.#enqueue(head, undefined)
  }

  #enqueue(head: Uint8Array, payload: Uint8Array | undefined): void {
    const bytes = head.length + (payload?.length ?? 0)
    this.#backlog.push({ head, payload, bytes })
    this.#backlogBytes += bytes
    this.#onBacklog()
  }

  /** Moves what waits into the ring, as far as it has room. Returns whether the backlog is empty. */
  pump(): boolean {
    let moved = 0
    for (const { head, payload, bytes } of this.#backlog) {
      if (!this.#write(head, payload, payload?.length ?? 0)) break
      this.#backlogBytes -= bytes
      moved++
    }
    if (moved > 0) this.#backlog.splice(0, moved)
    return this.#backlog.length === 0
  }

  /** The peer is lost or we are: a bell that rings at a closed port would only tell others that the peer is awake. */
  close(): void {
    this.#closed = true
  }

  #write(head: Uint8Array, payload: Payload, payloadBytes: number): boolean {
    const start = this.#ring.tryClaim(head.length, payloadBytes)
    if (start === FULL) return false
    const { bytes } = this.#ring
    bytes.set(head, start)
    if (typeof payload === 'string') bytes.write(payload, start + head.length, payloadBytes, 'utf8')
    else if (payload !== undefined) bytes.set(payload, start + head.length)
    this.#ring.commit()
    this.frames++
    // Once for all that this callback sends: a bell for each frame wakes the peer for the first of them, and it is
    // asleep again before the next is written. Not later either: the peer works while we flush.
    if (!this.#bellIsDue) {
      this.#bellIsDue = true
      queueMicrotask(this.#ringBell)
    }
    return true
  }
}

/** Gets a frame: views that are valid until it returns. The payload ends at `end`. */
export type OnFrame = (
  from: number,
  bytes: Buffer,
  headStart: number,
  payloadStart: number,
  end: number,
) => void

/** So many frames of one peer are taken before the next peer has its turn. */
const FRAMES_PER_TURN = 256

export class Mesh {
  readonly #shard: number
  readonly #doorbell: Doorbell
  readonly #links: (Link | undefined)[] = []
  readonly #inbound: (RingConsumer | undefined)[] = []

  constructor(shard: number, doorbell: Doorbell) {
    this.#shard = shard
    this.#doorbell = doorbell
  }

  connect(peer: number, link: Link, inbound: RingConsumer): void {
    assert(peer !== this.#shard, 'a shard has no ring to itself')
    this.#links[peer] = link
    this.#inbound[peer] = inbound
  }

  /** The peer has ended: what it sent before was drained, what waits for it is dropped. */
  disconnect(peer: number): void {
    this.#links[peer]?.close()
    this.#links[peer] = undefined
    this.#inbound[peer] = undefined
  }

  /** Undefined while the peer is being replaced. */
  link(peer: number): Link | undefined {
    return this.#links[peer]
  }

  *links(): Iterable<Link> {
    for (const link of this.#links) if (link !== undefined) yield link
  }

  /** Hands over what has come, a bounded number of frames. Returns whether there is more. */
  drain(onFrame: OnFrame): boolean {
    this.#doorbell.awake()
    for (let peer = 0; peer < this.#inbound.length; peer++) this.drainPeer(peer, FRAMES_PER_TURN, onFrame)
    return !this.#doorbell.fallAsleep(() => this.#inbound.some(ring => ring !== undefined && !ring.isEmpty()))
  }

  drainPeer(peer: number, framesMax: number, onFrame: OnFrame): void {
    this.#inbound[peer]?.drain(framesMax, (bytes, headStart, payloadStart, end) =>
      onFrame(peer, bytes, headStart, payloadStart, end),
    )
  }

  /** Whether all backlogs are empty now. */
  pump(): boolean {
    let empty = true
    for (const link of this.links()) empty = link.pump() && empty
    return empty
  }
}

function byteLengthOf(payload: string | Uint8Array): number {
  return typeof payload === 'string' ? Buffer.byteLength(payload, 'utf8') : payload.length
}
