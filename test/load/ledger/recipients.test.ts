// First and last recipient: exact where all recipients are known, silent where they are not, and bounded.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LocalRecipients, RECORD_NUMBERS, Recipients } from '../../../load/ledger/recipients.ts'

const CHANNEL = 3

function records(local: LocalRecipients): number[][] {
  const flat = [...local.drain()]
  return Array.from({ length: flat.length / RECORD_NUMBERS }, (_, i) =>
    flat.slice(i * RECORD_NUMBERS, (i + 1) * RECORD_NUMBERS),
  )
}

function withSubscribers(count: number): LocalRecipients {
  const local = new LocalRecipients()
  local.join(CHANNEL, count)
  return local
}

describe('in a receiver', () => {
  test('a publication is complete when all subscribers of its channel have it', () => {
    const local = withSubscribers(3)
    for (const [sequence, atUs] of [
      [1, 130],
      [1, 110],
      [2, 140],
      [1, 120],
    ] as const) {
      local.note(CHANNEL, sequence, 100, atUs)
    }
    expect(records(local)).toEqual([[CHANNEL, 1, 100, 110, 130]])
    expect(records(local)).toEqual([])
  })

  test('with one subscriber it is complete at once; with none, or in a channel unknown, never', () => {
    const local = withSubscribers(1)
    local.note(CHANNEL, 1, 100, 130)
    local.note(CHANNEL + 1, 1, 100, 130)
    local.leave(CHANNEL)
    local.note(CHANNEL, 2, 100, 130)
    expect(records(local)).toEqual([[CHANNEL, 1, 100, 130, 130]])
  })

  test('one subscriber that is far behind does not stop the others, nor is forgotten at once', () => {
    const local = withSubscribers(2)
    for (let sequence = 1; sequence <= 10_000; sequence++) local.note(CHANNEL, sequence, sequence, sequence)
    for (let sequence = 1; sequence <= 10_000; sequence++) local.note(CHANNEL, sequence, sequence, 20_000)
    const complete = records(local)
    expect(complete.length).toBe(10_000)
    expect(complete[0]).toEqual([CHANNEL, 1, 1, 1, 20_000])
  })

  test('one that has lost a publication costs the figure of that publication only', () => {
    const local = withSubscribers(2)
    for (let sequence = 1; sequence <= 100_000; sequence++) {
      local.note(CHANNEL, sequence, 0, 1)
      if (sequence % 1000 !== 0) local.note(CHANNEL, sequence, 0, 2)
    }
    const complete = records(local)
    expect(complete.length).toBe(100_000 - 100)
    expect(complete.every(([, sequence]) => sequence! % 1000 !== 0)).toBe(true)
  })

  test('what lies too far back is left out, and never mixed up with what took its place', () => {
    const local = withSubscribers(2)
    const far = 200_000
    for (let sequence = 1; sequence <= far; sequence++) local.note(CHANNEL, sequence, sequence, sequence)
    for (let sequence = 1; sequence <= far; sequence++) local.note(CHANNEL, sequence, sequence, far + 1)
    const complete = records(local)
    expect(complete.length).toBe(32_768)
    expect(complete.every(([, sequence, due, first]) => sequence === due && due === first)).toBe(true)
  })

  test('a subscriber that comes or goes leaves out what is on its way at that moment', () => {
    const local = withSubscribers(2)
    local.note(CHANNEL, 1, 0, 1)
    local.join(CHANNEL)
    local.note(CHANNEL, 1, 0, 2)
    for (const atUs of [3, 4, 5]) local.note(CHANNEL, 2, 0, atUs)
    local.note(CHANNEL, 3, 0, 6)
    local.leave(CHANNEL)
    local.note(CHANNEL, 3, 0, 7)
    for (const atUs of [8, 9]) local.note(CHANNEL, 4, 0, atUs)
    expect(records(local)).toEqual([
      [CHANNEL, 2, 0, 3, 5],
      [CHANNEL, 4, 0, 8, 9],
    ])
  })

  test('is bounded while nobody drains it', () => {
    const local = withSubscribers(1)
    for (let sequence = 1; sequence <= 400_000; sequence++) local.note(CHANNEL, sequence, 0, 1)
    expect(records(local).length).toBe(2 ** 18)
    local.note(CHANNEL, 400_001, 0, 1)
    expect(records(local).length).toBe(1)
  })
})

describe('of several threads', () => {
  test('a publication is complete when all threads with subscribers have it', () => {
    const recipients = new Recipients(channel => (channel === CHANNEL ? 2 : 1))
    const { first, last } = recipients.window(1, 0)
    recipients.add(Float64Array.of(CHANNEL, 1, 100, 110, 150, CHANNEL, 2, 100, 120, 130))
    expect(last.count()).toBe(0)
    recipients.add(Float64Array.of(CHANNEL, 1, 100, 105, 140, CHANNEL + 1, 1, 100, 101, 102))
    expect([first.count(), first.percentile(0), first.maxUs()]).toEqual([2, 1, 5])
    expect([last.count(), last.percentile(0), last.maxUs()]).toEqual([2, 2, 50])
  })

  test('it belongs to the windows in which it was due, whose end may come later', () => {
    const recipients = new Recipients(() => 1)
    const open = recipients.window(1, 100)
    const whole = recipients.window(2, 0, 1000)
    recipients.add(Float64Array.of(CHANNEL, 1, 99, 150, 150, CHANNEL, 2, 100, 150, 150))
    expect(recipients.window(1, 100, 200)).toBe(open)
    recipients.add(Float64Array.of(CHANNEL, 3, 199, 250, 250, CHANNEL, 4, 200, 250, 250))
    expect(open.last.count()).toBe(2)
    expect(whole.last.count()).toBe(4)
  })

  test("those that never become complete are bounded, and stand in nobody's way", () => {
    const recipients = new Recipients(() => 2)
    const { last } = recipients.window(1, 0)
    const many = 300_000
    const half = new Float64Array(many * RECORD_NUMBERS)
    for (let i = 0; i < many; i++) half.set([CHANNEL, i + 1, 7, 7, 7], i * RECORD_NUMBERS)
    recipients.add(half)
    recipients.add(half.subarray(0, 10 * RECORD_NUMBERS))
    expect(last.count()).toBe(0)
    recipients.add(half.subarray(-10 * RECORD_NUMBERS))
    expect(last.count()).toBe(10)
    for (const _ of [1, 2]) recipients.add(Float64Array.of(CHANNEL + 1, 1, 7, 8, 9))
    expect(last.count()).toBe(11)
  })
})

test('agrees with a naive model, whatever the order in which subscribers and threads get publications', () => {
  const subscribers = 5
  const publications = 12
  const all = Array.from({ length: subscribers * publications }, (_, i) => ({
    subscriber: i % subscribers,
    sequence: 1 + Math.floor(i / subscribers),
  }))
  const receipts = fc.shuffledSubarray(all, { minLength: 0, maxLength: all.length })
  fc.assert(
    fc.property(receipts, fc.nat(subscribers), (order, inFirstThread) => {
      const sizes = [inFirstThread, subscribers - inFirstThread]
      const threads = sizes.map(size => withSubscribers(size))
      const recipients = new Recipients(() => sizes.filter(size => size > 0).length)
      const { first, last } = recipients.window(1, 0)
      const receivedAt = new Map<number, number[]>()
      for (const [at, { subscriber, sequence }] of order.entries()) {
        threads[subscriber < inFirstThread ? 0 : 1]!.note(CHANNEL, sequence, 0, at)
        receivedAt.set(sequence, [...(receivedAt.get(sequence) ?? []), at])
        if (at % 7 === 0) for (const thread of threads) recipients.add(thread.drain())
      }
      for (const thread of threads) recipients.add(thread.drain())
      const complete = [...receivedAt.values()].filter(times => times.length === subscribers)
      expect(first.count()).toBe(complete.length)
      expect(last.count()).toBe(complete.length)
      expect(first.maxUs()).toBe(Math.max(0, ...complete.map(times => Math.min(...times))))
      expect(last.maxUs()).toBe(Math.max(0, ...complete.map(times => Math.max(...times))))
    }),
  )
})
