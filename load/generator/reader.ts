// Finds the publications in the blocks of a connection and hands them to the tally, without parsing anything around
// their marks. Runs on a receiver thread, on every byte that it receives: the hot path of the load.
// Invariant: every message is either seen as a publication or shown to the connection; a prediction of where the next
// mark and end stand is only a shortcut, which the bytes have to bear out.

import type { Dialect } from './dialect.ts'
import { MARK, MARKED_BYTES, marked, readMark } from './payload.ts'
import type { Subscription, Tally } from './tally.ts'

/** What the reader needs of its connection. */
export type ReaderOwner = Readonly<{
  subscriptionOf: (channel: number) => Subscription | undefined
  /**
   * A message without a mark; while the reader is attentive, each message before its marks are read. True: its
   * publications are those that a resubscription recovers.
   */
  onMessage: (message: Buffer) => boolean
}>

const NEWLINE = 0x0a
const TILDE = 0x7e
const LETTER_F = 0x66
const LETTER_W = 0x77
/** More than publications of a run differ from each other behind their marks, by offsets and their digits. */
const LENGTHS_DIFFER_BYTES = 48
/** So far a loop is faster than a call into the engine. */
const NEAR_BYTES = 256

export class Reader {
  readonly #owner: ReaderOwner
  readonly #tally: Tally
  readonly #lines: boolean
  readonly #offsetOf: Dialect['offset']
  /** While an answer is awaited: then all messages are looked at. */
  attentive = false
  /** The publication before: its first four bytes, where in it the mark stood, and how far behind that it ended. */
  #start = 0
  #markAt = 0
  #tailBytes = 0
  /** The subscription of the publication before, and where that one is in the block, if its offset is still to be read. */
  #subscription: Subscription | undefined
  #lastFrom = 0
  #lastEnd = 0

  constructor(dialect: Dialect, tally: Tally, owner: ReaderOwner) {
    this.#owner = owner
    this.#tally = tally
    this.#lines = dialect.lines
    this.#offsetOf = dialect.offset
  }

  /** Whole messages: bytes[from, end), read from the socket at `atUs`. */
  readBlock(bytes: Buffer, from: number, end: number, atUs: number): void {
    if (this.#lines) this.#readLines(bytes, from, end, atUs)
    else if (from < end) this.#readMessage(bytes, from, end, atUs)
    this.#readOffset(bytes)
  }

  #readLines(bytes: Buffer, from: number, end: number, atUs: number): void {
    while (from < end) {
      const markAt = this.attentive ? -1 : this.#predictMark(bytes, from, end)
      const lineEnd = markAt < 0 ? endOfLine(bytes, from, end) : this.#endOfPublication(bytes, markAt, end)
      if (markAt >= 0) this.#readPublication(bytes, from, lineEnd, markAt, atUs, false)
      else if (lineEnd > from) this.#readMessage(bytes, from, lineEnd, atUs)
      from = lineEnd + 1
    }
  }

  /** The mark of a line that begins like the publication before; −1: it doesn't, or has none. */
  #predictMark(bytes: Buffer, from: number, end: number): number {
    if (this.#tailBytes === 0 || startOf(bytes, from) !== this.#start) return -1
    // What a line begins with tells it from a short one and another behind it, whose mark happens to stand there.
    const markAt = from + this.#markAt
    return markAt < end && isMark(bytes, markAt) ? markAt : scanForMark(bytes, from, end)
  }

  /** Where the line of a publication ends: as far behind its mark as that of the one before, if it is so. */
  #endOfPublication(bytes: Buffer, markAt: number, end: number): number {
    const lineEnd = markAt + this.#tailBytes
    const isEnd = lineEnd === end || (lineEnd < end && bytes[lineEnd] === NEWLINE)
    if (!isEnd) return endOfLine(bytes, markAt, end)
    // It may be the end of another line, behind a publication that is by so much shorter.
    const nearFrom = Math.max(markAt, lineEnd - LENGTHS_DIFFER_BYTES)
    for (let at = nearFrom; at < lineEnd; at++) if (bytes[at] === NEWLINE) return at
    return lineEnd
  }

  /** Looks for what is in a message: nothing, a publication, or several. */
  #readMessage(bytes: Buffer, from: number, end: number, atUs: number): void {
    const first = findMark(bytes, from, end)
    const recovered = first < 0 || this.attentive ? this.#owner.onMessage(bytes.subarray(from, end)) : false
    let marks = 0
    for (let at = first; at >= 0; at = findMark(bytes, at + MARK.length, end)) {
      this.#readPublication(bytes, from, end, at, atUs, recovered)
      marks++
    }
    if (marks !== 1 || first + MARKED_BYTES > end) return
    this.#start = startOf(bytes, from)
    this.#markAt = first - from
    this.#tailBytes = end - first
  }

  #readPublication(
    bytes: Buffer,
    from: number,
    end: number,
    at: number,
    atUs: number,
    recovered: boolean,
  ): void {
    const dueUs = at + MARKED_BYTES <= end ? readMark(bytes, at) : -1
    let subscription = this.#subscription
    if (dueUs >= 0 && subscription?.channel !== marked.channel) {
      this.#readOffset(bytes)
      subscription = this.#owner.subscriptionOf(marked.channel)
      this.#subscription = subscription
    }
    if (dueUs < 0 || subscription === undefined) {
      this.#tally.unreadable++
      return
    }
    // What is recovered stands in an answer, which tells the offset by itself.
    this.#lastFrom = from
    this.#lastEnd = recovered ? 0 : end
    this.#tally.take(subscription, marked.sequence, dueUs, atUs, recovered)
  }

  /** Only of the last publication of a channel in a block: the ones before don't matter for where it stands. */
  #readOffset(bytes: Buffer): void {
    const subscription = this.#subscription
    if (this.#lastEnd > 0 && subscription?.epoch !== undefined && this.#offsetOf !== undefined) {
      const offset = this.#offsetOf(bytes, this.#lastFrom, this.#lastEnd)
      if (offset !== undefined) subscription.offset = offset
    }
    this.#lastEnd = 0
  }
}

/** In bytes[from, end) only: behind them stands what was read before, in which one could search for long. */
function endOfLine(bytes: Buffer, from: number, end: number): number {
  const nearEnd = Math.min(end, from + NEAR_BYTES)
  for (let at = from; at < nearEnd; at++) if (bytes[at] === NEWLINE) return at
  if (nearEnd === end) return end
  const found = bytes.subarray(nearEnd, end).indexOf(NEWLINE)
  return found < 0 ? end : nearEnd + found
}

function findMark(bytes: Buffer, from: number, end: number): number {
  if (end - from < MARK.length) return -1
  const found = bytes.subarray(from, end).indexOf(MARK)
  return found < 0 ? -1 : from + found
}

/** The first mark of a line, near its beginning. A call of indexOf() costs more than these few bytes. */
function scanForMark(bytes: Buffer, from: number, end: number): number {
  for (let at = from; at < end; at++) {
    const byte = bytes[at]
    if (byte === NEWLINE) return -1
    if (byte === TILDE && isMark(bytes, at)) return at
  }
  return -1
}

function isMark(bytes: Buffer, at: number): boolean {
  return (
    bytes[at] === TILDE && bytes[at + 1] === LETTER_F && bytes[at + 2] === LETTER_W && bytes[at + 3] === TILDE
  )
}

function startOf(bytes: Buffer, from: number): number {
  return bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16) | (bytes[from + 3]! << 24)
}
