// The ledger of one subscription: which publications of a channel came, and which of those that are owed did not.
// Runs in the receivers. Invariant: the publications 1 … next − 1 are those that came and those in the holes, which
// are sorted, don't touch what came, and are at most HOLES_MAX; so nothing is counted on the way of the usual case.

import type { ChannelEnd } from '../generator/requests.ts'
import type { DeliveryCounts } from '../model.ts'

/**
 * What a publication was to a subscription: the `next` in order, one `ahead` of some that are missing, a `late` one
 * that was missing, a `duplicate`, or `foreign`: one that can't exist. All but the last two came for the first time.
 */
export type Taken = 'next' | 'ahead' | 'late' | 'duplicate' | 'foreign'

/**
 * What it means when publications are left out:
 * - `owed`: they are missing, and nobody said so.
 * - `told`: the server has said that some are missing.
 * - `joining`: the subscription has just begun, anywhere; nothing before its first publication is owed.
 * - `away`: it ends; what still comes is welcome, but nothing is owed.
 */
type Mode = 'owed' | 'told' | 'joining' | 'away'

type Hole = { from: number; to: number; readonly mode: Mode }

/** One subscription that misses one of 10,000 fills it after five million; and it bounds what 10,000 such cost. */
const HOLES_MAX = 512

/** The books of a subscription, closed. */
export type ClosedLedger = Omit<DeliveryCounts, 'unreadable'> &
  Readonly<{
    /** Came, but was never sent. */
    foreign: number
  }>

/** Of a subscription that is owed everything from publication 1 on; else call `rejoin` at once. */
export class SubscriptionLedger {
  #next = 1
  #mode: Mode = 'owed'
  #holes: Hole[] | undefined
  #folded: Record<Mode, number> | undefined
  #duplicated = 0
  #late = 0
  #recovered = 0
  #foreign = 0

  /** Something came. One comparison decides the usual case. */
  take(sequence: number): Taken {
    if (sequence === this.#next) {
      this.#next = sequence + 1
      if (this.#mode !== 'owed' && this.#mode !== 'away') this.#mode = 'owed'
      return 'next'
    }
    return sequence > this.#next ? this.#leap(sequence) : this.#back(sequence)
  }

  /** The same, for what came within the answer to a resubscription. */
  takeRecovered(sequence: number): Taken {
    const taken = this.take(sequence)
    if (taken !== 'duplicate' && taken !== 'foreign') this.#recovered++
    return taken
  }

  /** The server said that something is missing: whatever is missing before the next that comes is no silent loss. */
  tell(): void {
    if (this.#mode === 'owed') this.#mode = 'told'
  }

  /** It took that back (by `recovered: true`, for instance): what is missing is lost in silence. */
  assure(): void {
    if (this.#mode === 'told') this.#mode = 'owed'
  }

  /** The subscriber leaves of its own will and will not ask for what it misses; some may still be on the way. */
  leave(): void {
    this.#mode = 'away'
  }

  /** It is back (or here for the first time), without having asked for what it missed: the next begins anew. */
  rejoin(): void {
    this.#mode = 'joining'
  }

  /** Closes the books. The ledger itself stays as it is. */
  close({ last, exceptions }: Pick<ChannelEnd, 'last' | 'exceptions'>): ClosedLedger {
    const tail: Hole[] = this.#next <= last ? [{ from: this.#next, to: last, mode: this.#mode }] : []
    const holes = (this.#holes ?? []).filter(({ from }) => from <= last)
    const missing = [...holes.map(hole => ({ ...hole, to: Math.min(hole.to, last) })), ...tail]
    const folded = this.#folded ?? { owed: 0, told: 0, joining: 0, away: 0 }
    const size = { ...folded }
    const excepted = { owed: 0, told: 0, joining: 0, away: 0 }
    for (const { from, to, mode } of missing) size[mode] += to - from + 1
    forEachOverlap(missing, exceptions, ({ mode }, count) => {
      excepted[mode] += count
    })
    const allExcepted = exceptions.reduce((sum, [from, to]) => sum + (to - from + 1), 0)
    const delivered = last - sumOf(size)
    const lost = size.owed - excepted.owed
    const toldLost = size.told - excepted.told
    return {
      expected: delivered - (allExcepted - sumOf(excepted)) + lost + toldLost,
      delivered,
      lost,
      toldLost,
      duplicated: this.#duplicated,
      outOfOrder: this.#late,
      recovered: this.#recovered,
      overflowed: folded.owed + folded.told > 0 ? 1 : 0,
      foreign: this.#foreign + this.#cameAfter(last),
    }
  }

  /** Some were left out. */
  #leap(sequence: number): Taken {
    if (!Number.isSafeInteger(sequence)) return this.#strange()
    this.#holes ??= []
    this.#holes.push({ from: this.#next, to: sequence - 1, mode: this.#mode })
    if (this.#holes.length > HOLES_MAX) this.#foldOne(this.#holes)
    this.#next = sequence + 1
    if (this.#mode !== 'away') this.#mode = 'owed'
    return 'ahead'
  }

  /** One that is behind what came last: it was missing, or it came before. */
  #back(sequence: number): Taken {
    if (!(sequence >= 1)) return this.#strange()
    const at = this.#holeAt(sequence)
    if (at < 0) {
      this.#duplicated++
      return 'duplicate'
    }
    const holes = this.#holes!
    const { from, to, mode } = holes[at]!
    const left: Hole[] = from < sequence ? [{ from, to: sequence - 1, mode }] : []
    const right: Hole[] = sequence < to ? [{ from: sequence + 1, to, mode }] : []
    holes.splice(at, 1, ...left, ...right)
    if (holes.length > HOLES_MAX) this.#foldOne(holes)
    this.#late++
    return 'late'
  }

  #strange(): Taken {
    this.#foreign++
    return 'foreign'
  }

  /** Rather one in which nothing was owed: who comes and goes for hours has many of these, and they cost no figure. */
  #foldOne(holes: Hole[]): void {
    const at = Math.max(
      0,
      holes.findIndex(({ mode }) => mode === 'joining' || mode === 'away'),
    )
    const { from, to, mode } = holes.splice(at, 1)[0]!
    this.#folded ??= { owed: 0, told: 0, joining: 0, away: 0 }
    this.#folded[mode] += to - from + 1
  }

  /** The place of the hole that it is in, or −1. */
  #holeAt(sequence: number): number {
    const holes = this.#holes ?? []
    let low = 0
    let high = holes.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const { from, to } = holes[middle]!
      if (sequence < from) high = middle - 1
      else if (sequence > to) low = middle + 1
      else return middle
    }
    return -1
  }

  #cameAfter(last: number): number {
    let came = Math.max(0, this.#next - 1 - last)
    for (const { from, to } of this.#holes ?? []) came -= Math.max(0, to - Math.max(from, last + 1) + 1)
    return came
  }
}

type Range = Readonly<{ from: number; to: number }>

/** For each piece that lies in one of the first and one of the second: the first and how many. Both ascend. */
function forEachOverlap<R extends Range>(
  first: readonly R[],
  second: ReadonlyArray<readonly [from: number, to: number]>,
  visit: (range: R, count: number) => void,
): void {
  let at = 0
  for (const range of first) {
    while (at < second.length && second[at]![1] < range.from) at++
    // One range of the second may reach into several of the first, so that the place is kept for the next.
    for (let i = at; i < second.length && second[i]![0] <= range.to; i++) {
      visit(range, Math.min(range.to, second[i]![1]) - Math.max(range.from, second[i]![0]) + 1)
    }
  }
}

function sumOf(counts: Readonly<Record<Mode, number>>): number {
  return counts.owed + counts.told + counts.joining + counts.away
}
