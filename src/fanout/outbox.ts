// The outbox of one connection: what waits for it in this tick, and how it stands when its reader is slow.
// Runs on the connection's shard. Invariant: in this process at most `hardBytes` plus one flush wait for a
// connection; past `softBytes` it is lagging, and publications are withheld instead of queued.

import { assert } from '../base/assert.ts'
import { type Frame, frameOf, newestOf, stableFrame } from './frame.ts'
import { REFUSED, type Wire } from './wire.ts'

export type OutboxLimits = Readonly<{ softBytes: number; hardBytes: number }>

export type OutboxOwner = {
  /** The hard limit was passed, or a channel's policy ends slow connections. */
  onTooSlow(): void
  /** It began to lag in this flush. */
  onLagging(): void
  /** A flush is over that the owner wanted to hear of (`wantsFlushed`). */
  onFlushed(): void
}

/** One frame that a lagging connection will still get, of a channel that has no history to replay from. */
type Kept = { readonly subscriber: object; readonly frame: Frame }

export class Outbox {
  readonly wire: Wire
  /** In the flusher's list of this tick. */
  queued = false
  closed = false
  /** Nothing leaves yet: the reply to `connect` has to be the first (see release). */
  held = false
  /** The owner has more to do once this tick's flush is over. */
  wantsFlushed = false
  /** What waits in this tick, in characters and bytes: enough to see that it is much. */
  pendingSize = 0
  /** The hard limit was passed; the flusher ends the connection after the flush. */
  overLimit = false
  /** Monotonic milliseconds since it lags; 0: it keeps up. */
  laggingSinceMs = 0
  readonly #owner: OutboxOwner
  readonly #limits: OutboxLimits
  // The first pending piece has a field of its own: most flushes have just one, and an array for each idle
  // connection would cost more memory than the rest of the outbox.
  #first: string | Frame | undefined
  #rest: (string | Frame)[] | undefined
  #kept: Kept[] | undefined
  #keptBytes = 0

  constructor(wire: Wire, owner: OutboxOwner, limits: OutboxLimits) {
    this.wire = wire
    this.#owner = owner
    this.#limits = limits
  }

  get lagging(): boolean {
    return this.laggingSinceMs !== 0
  }

  get keptBytes(): number {
    return this.#keptBytes
  }

  /** Puts a piece behind what waits already. The flusher sends it (see Flusher.write). */
  push(piece: string | Frame): void {
    if (this.closed) return
    this.pendingSize += typeof piece === 'string' ? piece.length : piece.lines.length
    // A held piece outlives the flush, and with it the memory of the batch it came from.
    if (this.held && typeof piece !== 'string') piece = stableFrame(piece)
    if (this.#first === undefined) {
      this.#first = piece
    } else if (this.#rest === undefined) {
      this.#rest = [piece]
    } else {
      this.#rest.push(piece)
    }
  }

  /** Sends all that waits as one frame. Returns the bytes sent, as they are on the wire. */
  flush(scratch: Scratch, nowMs: number): number {
    const first = this.#first
    if (first === undefined || this.closed || this.held) return 0
    const rest = this.#rest
    this.#first = undefined
    this.#rest = undefined
    this.pendingSize = 0
    const frame = rest === undefined ? first : scratch.join(first, rest)
    const waiting = typeof frame === 'string' ? this.wire.sendText(frame) : this.wire.send(frame)
    if (waiting !== 0) this.#afterSend(waiting, nowMs)
    const bytes = typeof frame === 'string' ? Buffer.byteLength(frame) : frame.message.length
    return this.wire.transport === 'tcp' ? bytes + LINE_BREAK_BYTES : bytes
  }

  /** Ends the hold: `first` goes before all that has come meanwhile. */
  release(first: string): void {
    this.held = false
    const earlier = this.#first
    this.#first = first
    this.pendingSize += first.length
    if (earlier !== undefined) this.#rest = [earlier, ...(this.#rest ?? [])]
  }

  #afterSend(waiting: number, nowMs: number): void {
    if (waiting === REFUSED || waiting > this.#limits.hardBytes) {
      this.overLimit = true
    } else if (waiting > this.#limits.softBytes && !this.lagging) {
      this.laggingSinceMs = nowMs
      this.#owner.onLagging()
    }
  }

  /** The socket has room again: what was kept goes out in order, and publications flow as before. */
  resume(): void {
    this.laggingSinceMs = 0
    const kept = this.#kept
    this.#kept = undefined
    this.#keptBytes = 0
    if (kept !== undefined) for (const { frame } of kept) this.push(frame)
  }

  /** Room in the socket for another page of a replay. */
  hasRoom(): boolean {
    return this.wire.waitingBytes() <= this.#limits.softBytes / 2
  }

  /** Keeps only the newest publication of this subscriber. Returns how many were dropped for it. */
  keepLatest(subscriber: object, frame: Frame): number {
    const kept = this.#kept ?? []
    const at = kept.findIndex(entry => entry.subscriber === subscriber)
    const older = at < 0 ? 0 : kept[at]!.frame.publications
    if (at >= 0) {
      this.#keptBytes -= kept[at]!.frame.lines.length
      kept.splice(at, 1)
    }
    const newest = newestOf(frame)
    return older + frame.publications - newest.publications + this.keepNewest(subscriber, newest)
  }

  /** Keeps the frame, and drops the oldest kept ones when there are too many bytes. Returns the publications dropped. */
  keepNewest(subscriber: object, frame: Frame): number {
    this.#kept ??= []
    const kept = this.#kept
    kept.push({ subscriber, frame: stableFrame(frame) })
    this.#keptBytes += frame.lines.length
    let dropped = 0
    while (this.#keptBytes > this.#limits.softBytes && kept.length > 1) {
      const oldest = kept.shift()
      assert(oldest !== undefined, 'there is an oldest kept frame')
      this.#keptBytes -= oldest.frame.lines.length
      dropped += oldest.frame.publications
    }
    return dropped
  }

  /** Forgets the frames kept for a subscriber that has gone. Returns how many publications were in them. */
  forget(subscriber: object): number {
    let publications = 0
    this.#kept = this.#kept?.filter(entry => {
      if (entry.subscriber !== subscriber) return true
      this.#keptBytes -= entry.frame.lines.length
      publications += entry.frame.publications
      return false
    })
    return publications
  }

  /** The hard limit was passed, or a channel's policy ends connections that lag. */
  endSlow(): void {
    if (!this.closed) this.#owner.onTooSlow()
  }

  afterFlush(): void {
    this.wantsFlushed = false
    if (!this.closed) this.#owner.onFlushed()
  }

  close(): void {
    this.closed = true
    this.#first = undefined
    this.#rest = undefined
    this.#kept = undefined
    this.#keptBytes = 0
  }
}

/** On TCP every frame ends with one; between the lines of a WebSocket frame they are part of it. */
const LINE_BREAK_BYTES = 1

/** What one scratch buffer keeps between flushes; a larger join allocates for once. */
const SCRATCH_BYTES = 1 << 20

/** Memory in which the pieces of one connection's flush are joined; used again for the next connection. */
export class Scratch {
  readonly #buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

  join(first: string | Frame, rest: readonly (string | Frame)[]): Frame {
    let bytes = sizeBound(first)
    for (const piece of rest) bytes += sizeBound(piece)
    const target = bytes <= SCRATCH_BYTES ? this.#buffer : Buffer.allocUnsafe(bytes)
    let end = put(target, 0, first)
    let publications = typeof first === 'string' ? 0 : first.publications
    for (const piece of rest) {
      end = put(target, end, piece)
      if (typeof piece !== 'string') publications += piece.publications
    }
    return frameOf(target.subarray(0, end), publications)
  }
}

/** A UTF-16 code unit becomes at most three bytes of UTF-8. */
function sizeBound(piece: string | Frame): number {
  return typeof piece === 'string' ? piece.length * 3 + 1 : piece.lines.length
}

function put(target: Buffer, at: number, piece: string | Frame): number {
  if (typeof piece === 'string') {
    const end = at + target.write(piece, at, 'utf8')
    target[end] = NEWLINE
    return end + 1
  }
  target.set(piece.lines, at)
  return at + piece.lines.length
}

const NEWLINE = 0x0a
