// A lane: one connection that publishes to some of the channels, in order. Types, and the queue of what waits in it.
// Runs on the publisher's thread. Invariant: what waits has no sequence number yet, so that what is never sent leaves
// no hole; it gets one when the lane hands it to its connection.

/** How a publication ended, as its lane learnt it. */
export type Outcome =
  | Readonly<{ kind: 'acknowledged' }>
  /** Answered with an error: it is not delivered. */
  | Readonly<{ kind: 'refused'; reason: string }>
  /** No answer: it may be delivered or not. */
  | Readonly<{ kind: 'unknown'; reason: string }>

export type Publication = Readonly<{ channel: number; sequence: number; dueUs: number }>

/** Where a lane gets sequence numbers and reports to: the publisher's book. */
export type Book = Readonly<{
  /** The publication is handed to a connection. */
  send: (channel: number, dueUs: number) => Publication
  settle: (publication: Publication, outcome: Outcome, atUs: number) => void
  /** Something went wrong that is no publication's outcome, such as a connection that was lost. */
  note: (text: string) => void
}>

/** What lanes of both kinds need. */
export type LaneOptions = Readonly<{
  /** Local address. */
  source: string | undefined
  waitingMax: number
  nameOf: (channel: number) => string
  /** JSON text of a publication's data. */
  dataOf: (publication: Publication) => string
}>

export type Lane = Readonly<{
  /** Resolves when it can publish; rejects with what the operator has to know. */
  open: () => Promise<void>
  /** False: as much waits as may. The publication is never sent. */
  take: (channel: number, dueUs: number) => boolean
  /** Sends what it can of what was taken. */
  flush: () => void
  /** Taken, not sent. */
  waiting: () => number
  /** Sent, not answered. */
  unanswered: () => number
  /** Forgets what waits; what is not answered is of unknown outcome from now on. Resolves with what was forgotten. */
  giveUp: () => number
  close: () => void
}>

/** Slots that a queue begins with. */
const SLOTS_MIN = 64

/** What was due and is not sent. First in, first out; it grows up to `waitingMax`. */
export class DueQueue {
  readonly #waitingMax: number
  /** Pairs of channel and due time, as a ring. */
  #ring = new Float64Array(2 * SLOTS_MIN)
  #first = 0
  #count = 0

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax
  }

  get count(): number {
    return this.#count
  }

  /** False: full. */
  push(channel: number, dueUs: number): boolean {
    if (this.#count >= this.#waitingMax) return false
    if (2 * this.#count === this.#ring.length) this.#grow()
    const at = (2 * (this.#first + this.#count)) % this.#ring.length
    this.#ring[at] = channel
    this.#ring[at + 1] = dueUs
    this.#count++
    return true
  }

  /** Takes the first one out. There must be one. */
  shift(): Readonly<{ channel: number; dueUs: number }> {
    const at = 2 * this.#first
    this.#first = (this.#first + 1) % (this.#ring.length / 2)
    this.#count--
    return { channel: this.#ring[at]!, dueUs: this.#ring[at + 1]! }
  }

  clear(): void {
    this.#first = 0
    this.#count = 0
  }

  #grow(): void {
    const ring = new Float64Array(2 * this.#ring.length)
    const head = this.#ring.subarray(2 * this.#first)
    ring.set(head)
    ring.set(this.#ring.subarray(0, 2 * this.#first), head.length)
    this.#ring = ring
    this.#first = 0
  }
}
