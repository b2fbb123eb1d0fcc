// The reader: whatever a connection brings, cut anywhere, every publication is taken once and every other message shown.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Dialect } from '../../../load/generator/dialect.ts'
import { dialect as fanwire } from '../../../load/generator/fanwire.ts'
import { type BlockEvents, type Cutter, FrameCutter, LineCutter } from '../../../load/generator/frames.ts'
import { payloadText } from '../../../load/generator/payload.ts'
import { Reader } from '../../../load/generator/reader.ts'
import { type Subscription, Tally } from '../../../load/generator/tally.ts'
import { histogramFrom } from '../../../load/ledger/histogram.ts'
import { SubscriptionLedger } from '../../../load/ledger/subscription.ts'
import {
  clientInfo,
  publication,
  publicationPush,
  subscribeReply,
  subscribeResult,
} from '../../../src/protocol/replies.ts'

const AT_US = 5_000_000
const DUE_US = 4_000_000

type Reading = {
  tally: Tally
  subscriptions: Map<number, Subscription>
  reader: Reader
  events: BlockEvents
  /** Messages that were shown. */
  shown: string[]
}

function createReading(channels: readonly number[], dialect: Dialect = fanwire): Reading {
  const subscriptions = new Map(channels.map(channel => [channel, subscriptionTo(channel)]))
  const tally = new Tally()
  const shown: string[] = []
  const reader = new Reader(dialect, tally, {
    subscriptionOf: channel => subscriptions.get(channel),
    onMessage(message) {
      const line = message.toString('latin1')
      shown.push(line)
      return line.includes('"recovered":true')
    },
  })
  const fail = (what: unknown) => {
    throw new Error(`unexpected: ${what}`)
  }
  const events: BlockEvents = {
    onBlock: (bytes, from, end, atUs) => reader.readBlock(bytes, from, end, atUs),
    onPing: fail,
    onClose: fail,
    onError: fail,
  }
  return { tally, subscriptions, reader, events, shown }
}

function subscriptionTo(channel: number): Subscription {
  return {
    channel,
    name: `room-${channel}`,
    aside: false,
    ledger: new SubscriptionLedger(),
    epoch: 'abcdefgh',
    offset: 0,
    counted: false,
  }
}

function push(channel: number, sequence: number, offset: number, tags?: string, size = 64): string {
  const info = clientInfo('11111111-2222-4333-8444-555555555555', '"me"', undefined, undefined)
  const data = payloadText(channel, sequence, DUE_US, size)
  return publicationPush(`"room-${channel}"`, publication(data, offset, info, tags))
}

function frameOf(lines: readonly string[]): Buffer {
  const body = Buffer.from(lines.join('\n'))
  const header = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0])
  header.writeBigUInt64BE(BigInt(body.length), 2)
  return Buffer.concat([header, body])
}

/** The pieces come to lie in one buffer, one after another, over what was read before. */
function feed(cutter: Cutter, bytes: Buffer, cuts: readonly number[]): void {
  const shared = Buffer.alloc(bytes.length + 64, '~fw~')
  const places = [...new Set([0, ...cuts.map(cut => cut % (bytes.length + 1)), bytes.length])]
  places.sort((a, b) => a - b)
  places.slice(1).forEach((end, index) => {
    const from = places[index]!
    shared.set(bytes.subarray(from, end))
    cutter.take(shared, 0, end - from, AT_US)
  })
}

const OTHERS = [
  '{}',
  '{"id":7,"publish":{}}',
  '{"push":{"channel":"room-1","unsubscribe":{"code":2500,"reason":"insufficient state"}}}',
  '{"push":{"refresh":{}}}',
  '{"push":{"channel":"room-1000","join":{"info":{"user":"","client":"11111111-2222-4333-8444-555555555555"}}}}',
  '{"push":{"disconnect":{"code":3001,"reason":"shutdown","reconnect":true}}}',
]
/** Their names, and their lines, are of different lengths. */
const CHANNELS = [1, 22, 333, 1000, 4444, 99_999]

const line = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      channel: fc.constantFrom(...CHANNELS),
      // Offsets of few and of many digits, in turns, so that predicted ends are wrong by what a ping is long.
      offset: fc.constantFrom(0, 1, 9999, 10_000),
      tags: fc.constantFrom(undefined, '{"a":"b"}'),
      size: fc.constantFrom(64, 64, 64, 67, 70),
    }),
  },
  { weight: 2, arbitrary: fc.constantFrom(...OTHERS) },
)
const frames = fc.array(fc.array(line, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 8 })

describe.each(['ws', 'tcp'] as const)('over %s', transport => {
  test('all publications are taken and all other messages shown, at any split', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 12 }), fc.boolean(), (wanted, cuts, attentive) => {
        const reading = createReading(CHANNELS)
        reading.reader.attentive = attentive
        const sequences = new Map<number, number>()
        const offsets = new Map<number, number>()
        const others: string[] = []
        const chunks = wanted.map(lines => {
          const texts = lines.map(one => {
            if (typeof one === 'string') {
              others.push(one)
              return one
            }
            const sequence = (sequences.get(one.channel) ?? 0) + 1
            sequences.set(one.channel, sequence)
            if (one.offset > 0) offsets.set(one.channel, one.offset)
            const text = push(one.channel, sequence, one.offset, one.tags, one.size)
            if (attentive) others.push(text)
            return text
          })
          return transport === 'ws' ? frameOf(texts) : Buffer.from(`${texts.join('\n')}\n`)
        })
        const cutter = transport === 'ws' ? new FrameCutter(reading.events) : new LineCutter(reading.events)
        feed(cutter, Buffer.concat(chunks), cuts)
        expect(reading.shown).toEqual(others)
        expect(reading.tally.unreadable).toBe(0)
        for (const channel of CHANNELS) {
          const { ledger, offset } = reading.subscriptions.get(channel)!
          const last = sequences.get(channel) ?? 0
          expect(ledger.close({ last, exceptions: [] })).toMatchObject({
            delivered: last,
            lost: 0,
            duplicated: 0,
          })
          // Where a block has publications without an offset last, the one before it is not looked for.
          if (wanted.every(lines => lines.every(one => typeof one === 'string' || one.offset > 0))) {
            expect(offset).toBe(offsets.get(channel) ?? 0)
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})

function readFrame(reading: Reading, lines: readonly string[]): void {
  feed(new FrameCutter(reading.events), frameOf(lines), [])
}

test('a ping behind a shorter publication is not taken for its end', () => {
  const reading = createReading([1])
  // "10000" is by a line break and "{}" longer than "10".
  readFrame(reading, [push(1, 1, 10_000)])
  readFrame(reading, [push(1, 2, 10), '{}', push(1, 3, 11)])
  readFrame(reading, ['{}', push(1, 4, 12)])
  // Two pings are six bytes with their line breaks, as are the digits by which these offsets differ.
  readFrame(reading, [push(1, 5, 10_000_000)])
  readFrame(reading, [push(1, 6, 10), '{}', '{}', push(1, 7, 11)])
  expect(reading.shown).toEqual(['{}', '{}', '{}', '{}'])
  expect(reading.subscriptions.get(1)!.ledger.close({ last: 7, exceptions: [] }).delivered).toBe(7)
})

test('what a resubscription brings counts as recovered, and its position is not read from the publications', () => {
  const reading = createReading([1])
  readFrame(reading, [push(1, 1, 5)])
  reading.reader.attentive = true
  const publications = [2, 3, 4].map(sequence =>
    publication(payloadText(1, sequence, DUE_US, 64), 10 + sequence, undefined, undefined),
  )
  const answer = subscribeReply(
    9,
    subscribeResult({
      expires: false,
      ttlS: 0,
      recoverable: true,
      positioned: true,
      epoch: 'abcdefgh',
      offset: 14,
      wasRecovering: true,
      recovered: true,
      publications: publications.join(','),
      data: undefined,
    }),
  )
  readFrame(reading, [answer])
  expect(reading.shown).toEqual([answer])
  const { ledger, offset } = reading.subscriptions.get(1)!
  expect(ledger.close({ last: 4, exceptions: [] })).toMatchObject({ delivered: 4, recovered: 3, lost: 0 })
  expect(offset).toBe(5)
})

test('marks that can’t be read, or are of no channel here, are counted and nothing else', () => {
  const reading = createReading([1])
  const good = push(1, 1, 1)
  readFrame(reading, [good.replace('~fw~000001', '~fw~00x001')])
  expect(reading.tally.unreadable).toBe(1)
  readFrame(reading, [push(2, 1, 1)])
  expect(reading.tally.unreadable).toBe(2)
  readFrame(reading, ['{"push":{"channel":"room-1","pub":{"data":"~fw~0000010000"}}}'])
  expect(reading.tally.unreadable).toBe(3)
  readFrame(reading, [good])
  readFrame(reading, [good.replace('~fw~000001', '~fw~00x001')])
  expect(reading.tally.unreadable).toBe(4)
  expect(reading.tally.progress().deliveries).toBe(1)
})

test('a message that is no line may have several publications', () => {
  const dialect: Dialect = { ...fanwire, lines: false }
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat(40)), { maxLength: 5 }), fc.array(fc.nat()), (wanted, cuts) => {
      const reading = createReading([1], dialect)
      let last = 0
      const messages = wanted.map(gaps =>
        gaps
          .map(gap => `${'-'.repeat(gap)}MSG room-1 1 64\r\n${payloadText(1, ++last, DUE_US, 64)}\r\n`)
          .join(''),
      )
      feed(new FrameCutter(reading.events), Buffer.concat(messages.map(one => frameOf([one]))), cuts)
      expect(reading.subscriptions.get(1)!.ledger.close({ last, exceptions: [] }).delivered).toBe(last)
      expect(reading.tally.unreadable).toBe(0)
      expect(reading.shown).toEqual([])
    }),
  )
})

describe('the tally', () => {
  const take = (tally: Tally, subscription: Subscription, sequence: number, dueUs: number) =>
    tally.take(subscription, sequence, dueUs, AT_US, false)

  test('records each latency in the window that it was due in, and in one progress', () => {
    const tally = new Tally()
    const subscription = subscriptionTo(1)
    tally.window(1, 100, 200)
    take(tally, subscription, 1, 99)
    take(tally, subscription, 2, 100)
    take(tally, subscription, 3, 199)
    expect(histogramFrom(tally.progress().latency).count()).toBe(3)
    tally.window(2, 200)
    tally.window(2, 200, 300)
    // Late ones of the window before, too.
    take(tally, subscription, 4, 150)
    take(tally, subscription, 5, 200)
    take(tally, subscription, 6, 300)
    expect(tally.windows().map(([id, bytes]) => [id, histogramFrom(bytes).count()])).toEqual([
      [1, 3],
      [2, 1],
    ])
    const { deliveries, latency } = tally.progress()
    expect([deliveries, histogramFrom(latency).count(), tally.deliveredTotal]).toEqual([3, 3, 6])
    expect(histogramFrom(tally.progress().latency).count()).toBe(0)
  })

  test('refuses windows that overlap', () => {
    const tally = new Tally()
    tally.window(1, 100)
    expect(() => tally.window(2, 500, 600)).toThrow('window 2 overlaps window 1')
    tally.window(1, 100, 500)
    tally.window(2, 500, 600)
  })

  test('leaves duplicates out, and those aside out of the latencies', () => {
    const tally = new Tally()
    const aside = { ...subscriptionTo(1), aside: true }
    tally.recipients.join(1)
    take(tally, aside, 1, 0)
    take(tally, subscriptionTo(1), 1, 0)
    take(tally, aside, 1, 0)
    const { deliveries, latency, complete } = tally.progress()
    expect([deliveries, histogramFrom(latency).count(), complete.length]).toEqual([2, 1, 5])
  })
})
