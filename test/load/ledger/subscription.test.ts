// The ledger of a subscription: exact on every fault by itself, and on any mix of them against a naive model.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ClosedLedger, SubscriptionLedger } from '../../../load/ledger/subscription.ts'

type Exceptions = readonly (readonly [number, number])[]

const CLEAN = {
  expected: 0,
  delivered: 0,
  lost: 0,
  toldLost: 0,
  duplicated: 0,
  outOfOrder: 0,
  recovered: 0,
  overflowed: 0,
  foreign: 0,
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}

function closed(sequences: readonly number[], last: number, exceptions: Exceptions = []): ClosedLedger {
  const ledger = new SubscriptionLedger()
  for (const sequence of sequences) ledger.take(sequence)
  return ledger.close({ last, exceptions })
}

describe('reports exactly', () => {
  const all = range(1, 1_000_000)

  test('that nothing is wrong', () => {
    expect(closed(all, 1_000_000)).toEqual({ ...CLEAN, expected: 1_000_000, delivered: 1_000_000 })
  })

  test('one of 10,000 dropped', () => {
    const some = all.filter(sequence => sequence % 10_000 !== 0)
    expect(closed(some, 1_000_000)).toEqual({
      ...CLEAN,
      expected: 1_000_000,
      delivered: 999_900,
      lost: 100,
    })
  })

  test('two swapped, one twice, the first and the last missing', () => {
    expect(closed([2, 1, 3], 3)).toEqual({ ...CLEAN, expected: 3, delivered: 3, outOfOrder: 1 })
    expect(closed([1, 2, 2, 3, 1], 3)).toEqual({ ...CLEAN, expected: 3, delivered: 3, duplicated: 2 })
    expect(closed([2], 3)).toEqual({ ...CLEAN, expected: 3, delivered: 1, lost: 2 })
    expect(closed([], 3)).toEqual({ ...CLEAN, expected: 3, lost: 3 })
    expect(closed([], 0)).toEqual(CLEAN)
  })

  test('one that overtakes three: three are late', () => {
    expect(closed([1, 5, 2, 3, 4, 6], 6)).toEqual({ ...CLEAN, expected: 6, delivered: 6, outOfOrder: 3 })
  })

  test('that refused ones are not owed, and those of unknown fate may have come', () => {
    const exceptions: Exceptions = [
      [2, 3],
      [5, 5],
      [9, 10],
    ]
    expect(closed([1, 4, 5, 6, 8], 10, exceptions)).toEqual({
      ...CLEAN,
      expected: 5,
      delivered: 5,
      lost: 1,
    })
  })

  test('what was never sent', () => {
    expect(closed([0, 1, 2, 3, 7, -1, Number.NaN, 1e300], 2)).toEqual({
      ...CLEAN,
      expected: 2,
      delivered: 2,
      foreign: 6,
    })
  })
})

describe('what the server tells', () => {
  test('covers what is missing until the next that comes, and nothing later or earlier', () => {
    const ledger = new SubscriptionLedger()
    for (const sequence of [1, 3]) ledger.take(sequence)
    ledger.tell()
    for (const sequence of [6, 8]) ledger.take(sequence)
    expect(ledger.close({ last: 8, exceptions: [] })).toEqual({
      ...CLEAN,
      expected: 8,
      delivered: 4,
      lost: 2,
      toldLost: 2,
    })
  })

  test('covers nothing when the next is the one in order, or when it is taken back', () => {
    const ledger = new SubscriptionLedger()
    ledger.tell()
    ledger.take(1)
    ledger.take(3)
    ledger.tell()
    ledger.assure()
    ledger.take(5)
    expect(ledger.close({ last: 5, exceptions: [] })).toMatchObject({ lost: 2, toldLost: 0 })
  })

  test('covers the end, when nothing comes any more', () => {
    const ledger = new SubscriptionLedger()
    ledger.take(1)
    ledger.tell()
    expect(ledger.close({ last: 4, exceptions: [[3, 3]] })).toEqual({
      ...CLEAN,
      expected: 3,
      delivered: 1,
      toldLost: 2,
    })
  })
})

describe('a subscriber that leaves and comes back', () => {
  test('is owed what lies between its first and its last', () => {
    const ledger = new SubscriptionLedger()
    ledger.rejoin()
    for (const sequence of [5, 6, 8]) ledger.take(sequence)
    ledger.leave()
    for (const sequence of [9, 11]) ledger.take(sequence)
    ledger.rejoin()
    for (const sequence of [20, 22]) ledger.take(sequence)
    expect(ledger.close({ last: 23, exceptions: [] })).toEqual({
      ...CLEAN,
      expected: 10,
      delivered: 7,
      lost: 3,
    })
  })

  test('is owed nothing while it is away', () => {
    const ledger = new SubscriptionLedger()
    ledger.take(1)
    ledger.leave()
    expect(ledger.close({ last: 9, exceptions: [] })).toEqual({ ...CLEAN, expected: 1, delivered: 1 })
    ledger.rejoin()
    expect(ledger.close({ last: 9, exceptions: [] })).toEqual({ ...CLEAN, expected: 1, delivered: 1 })
  })

  test('counts what an answer to a resubscription brought, once', () => {
    const ledger = new SubscriptionLedger()
    ledger.take(1)
    for (const sequence of [1, 2, 3]) ledger.takeRecovered(sequence)
    ledger.take(4)
    expect(ledger.close({ last: 4, exceptions: [] })).toEqual({
      ...CLEAN,
      expected: 4,
      delivered: 4,
      duplicated: 1,
      recovered: 2,
    })
  })
})

test('holes that are filled leave nothing behind, however many there are', () => {
  const swapped = range(1, 10_000).map(n => (n % 2 === 0 ? n - 1 : n + 1))
  expect(closed(swapped, 10_000)).toEqual({
    ...CLEAN,
    expected: 10_000,
    delivered: 10_000,
    outOfOrder: 5_000,
  })
})

test('says so when there are more holes than it keeps; what it left out stays lost', () => {
  const some = range(1, 10_000).filter(sequence => sequence % 2 === 0)
  const ledger = new SubscriptionLedger()
  for (const sequence of some) ledger.take(sequence)
  expect(ledger.close({ last: 10_000, exceptions: [] })).toEqual({
    ...CLEAN,
    expected: 10_000,
    delivered: 5_000,
    lost: 5_000,
    overflowed: 1,
  })
  expect(ledger.take(1)).toBe('duplicate')
  expect(ledger.take(9_999)).toBe('late')
  // What was told counts as well: a late one would be taken for a repeat.
  const told = new SubscriptionLedger()
  for (const sequence of some) {
    told.tell()
    told.take(sequence)
  }
  expect(told.close({ last: 10_000, exceptions: [] })).toMatchObject({ toldLost: 5_000, overflowed: 1 })
  // Late ones that cut holes into pieces don't break the limit either.
  const wide = new SubscriptionLedger()
  wide.take(100_000)
  for (const sequence of range(1, 20_000)) wide.take(5 * sequence - 2)
  expect(wide.close({ last: 100_000, exceptions: [] })).toMatchObject({ overflowed: 1 })
})

test('one that comes and goes for hours fills nothing, and what it loses is known', () => {
  const ledger = new SubscriptionLedger()
  let last = 0
  for (let coming = 0; coming < 5000; coming++) {
    ledger.rejoin()
    // Ten were published meanwhile; in some comings the second of five is lost.
    const first = last + 11
    last = first + 4
    const lost = coming % 1000 === 0 ? first + 1 : 0
    for (const sequence of range(first, last)) if (sequence !== lost) ledger.take(sequence)
    ledger.leave()
  }
  expect(ledger.close({ last: last + 10, exceptions: [] })).toEqual({
    ...CLEAN,
    expected: 25_000,
    delivered: 24_995,
    lost: 5,
  })
})

type Operation =
  | Readonly<{ kind: 'take' | 'recover'; sequence: number }>
  | Readonly<{ kind: 'tell' | 'assure' | 'leave' | 'rejoin' }>

const LAST = 40

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constantFrom('take' as const, 'take' as const, 'recover' as const),
      sequence: fc.integer({ min: 0, max: LAST + 3 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('tell', 'assure', 'leave', 'rejoin') }) },
)

/** What each publication that did not come is: decided, one by one, when a later one comes, or at the end. */
class NaiveLedger {
  readonly came = new Set<number>()
  readonly missing = new Map<number, string>()
  mode = 'owed'
  counts = { duplicated: 0, outOfOrder: 0, recovered: 0, foreign: 0 }

  take(sequence: number, recovered: boolean): void {
    if (sequence < 1) this.counts.foreign++
    else if (this.came.has(sequence)) this.counts.duplicated++
    else {
      if (recovered) this.counts.recovered++
      if (Math.max(0, ...this.came) > sequence) this.counts.outOfOrder++
      else {
        this.decide(sequence)
        if (this.mode !== 'away') this.mode = 'owed'
      }
      this.came.add(sequence)
    }
  }

  decide(before: number): void {
    for (let one = 1; one < before; one++) {
      if (!this.came.has(one) && !this.missing.has(one)) this.missing.set(one, this.mode)
    }
  }

  close(exceptions: ReadonlySet<number>): ClosedLedger {
    this.decide(LAST + 1)
    const sent = range(1, LAST)
    const missing = (mode: string) =>
      sent.filter(one => !this.came.has(one) && !exceptions.has(one) && this.missing.get(one) === mode).length
    const came = sent.filter(one => this.came.has(one))
    const owedAndCame = came.filter(one => !exceptions.has(one)).length
    const foreign = this.counts.foreign + this.came.size - came.length
    return {
      ...this.counts,
      expected: owedAndCame + missing('owed') + missing('told'),
      delivered: came.length,
      lost: missing('owed'),
      toldLost: missing('told'),
      overflowed: 0,
      foreign,
    }
  }
}

function asRanges(sequences: ReadonlySet<number>): Exceptions {
  const ranges: [number, number][] = []
  for (const one of [...sequences].sort((a, b) => a - b)) {
    const end = ranges.at(-1)
    if (end?.[1] === one - 1) end[1] = one
    else ranges.push([one, one])
  }
  return ranges
}

test('agrees with a naive model on any operations', () => {
  const exceptions = fc.uniqueArray(fc.integer({ min: 1, max: LAST }), { maxLength: 12 })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), exceptions, (operations, excepted) => {
      const ledger = new SubscriptionLedger()
      const model = new NaiveLedger()
      for (const one of operations) {
        if (one.kind === 'take') ledger.take(one.sequence)
        else if (one.kind === 'recover') ledger.takeRecovered(one.sequence)
        else ledger[one.kind]()
        if ('sequence' in one) model.take(one.sequence, one.kind === 'recover')
        else if (one.kind === 'tell') model.mode = model.mode === 'owed' ? 'told' : model.mode
        else if (one.kind === 'assure') model.mode = model.mode === 'told' ? 'owed' : model.mode
        else model.mode = one.kind === 'leave' ? 'away' : 'joining'
      }
      const set = new Set(excepted)
      expect(ledger.close({ last: LAST, exceptions: asRanges(set) })).toEqual(model.close(set))
    }),
    { numRuns: 2000 },
  )
})

test('agrees with it on streams that are dropped from, reordered and repeated', () => {
  const faults = fc.record({
    drop: fc.uniqueArray(fc.integer({ min: 1, max: LAST })),
    move: fc.array(fc.tuple(fc.nat(LAST - 1), fc.integer({ min: -6, max: 6 })), { maxLength: 4 }),
    twice: fc.array(fc.nat(LAST - 1), { maxLength: 4 }),
  })
  fc.assert(
    fc.property(faults, ({ drop, move, twice }) => {
      const stream = range(1, LAST).filter(sequence => !drop.includes(sequence))
      for (const at of twice) if (at < stream.length) stream.splice(at, 0, stream[at]!)
      for (const [at, by] of move) {
        const moved = stream.splice(at, 1)
        stream.splice(Math.max(0, at + by), 0, ...moved)
      }
      const model = new NaiveLedger()
      for (const sequence of stream) model.take(sequence, false)
      const books = closed(stream, LAST)
      expect(books).toEqual(model.close(new Set()))
      expect(books.lost).toBe(drop.length)
    }),
  )
})
