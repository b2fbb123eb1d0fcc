// The home of channels: recovery, catching up and history, over a real route table.

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { monotonicMs } from '../../src/base/clock.ts'
import { slots } from '../../src/metrics/slots.ts'
import { errors } from '../../src/protocol/codes.ts'
import {
  addSubscribers,
  createHome,
  datasOf,
  pub,
  publish,
  resultOf,
  subscribe,
  subscribeAsk,
} from './recording-outlet.ts'

// Only the monotonic clock is ours: ages are decided by it.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['hrtime'] })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('subscribe', () => {
  test('answers with the position, and before the join event goes out', () => {
    const shard = createHome()
    addSubscribers(shard, 'h:a', 0)
    const { epoch } = publish(shard, 'h:a')
    shard.outlet.take()
    const order: string[] = []
    shard.home.subscribe(subscribeAsk('h:a', { emitsJoinLeave: true }), 0, outcome => {
      order.push('answer')
      expect(shard.outlet.sent).toEqual([])
      expect(resultOf(outcome)).toEqual({ epoch, offset: 1, recovered: false, publications: '' })
    })
    expect(order).toEqual(['answer'])
    expect(shard.outlet.take()).toEqual([{ channel: 'h:a', join: { info: { user: 'u', client: 'id' } } }])
  })

  test('without history there is no position', () => {
    const shard = createHome()
    const asked = { recover: true, epoch: 'x', offset: 3 }
    expect(subscribe(shard, 'plain', asked)).toEqual({
      epoch: '',
      offset: 0,
      recovered: false,
      publications: '',
    })
  })

  test('recovers exactly what was missed, or says that it can not', () => {
    const shard = createHome()
    const { epoch } = publish(shard, 'h:a', '1')
    for (let data = 2; data <= 8; data++) publish(shard, 'h:a', `${data}`, { info: '{"user":"u"}' })
    // The window holds 4 to 8.
    for (let offset = 0; offset <= 9; offset++) {
      const answer = subscribe(shard, 'h:a', { recover: true, epoch, offset })
      const recovered = offset >= 3 && offset <= 8
      expect(answer).toMatchObject({ epoch, offset: 8, recovered })
      const missed = [4, 5, 6, 7, 8].filter(data => recovered && data > offset)
      expect(datasOf(answer.publications)).toEqual(missed)
    }
    const { publications } = subscribe(shard, 'h:a', { recover: true, epoch, offset: 7 })
    expect(JSON.parse(publications)).toEqual({ data: 8, offset: 8, info: { user: 'u' } })
    const other = subscribe(shard, 'h:a', { recover: true, epoch: 'other', offset: 7 })
    expect(other).toMatchObject({ epoch, offset: 8, recovered: false, publications: '' })
  })

  test('recovers nothing rather than a part: too many, or too many bytes for one reply', () => {
    const few = createHome({ recoveryCountMax: 2 })
    const { epoch } = publish(few, 'h:a')
    for (let round = 0; round < 3; round++) publish(few, 'h:a')
    expect(subscribe(few, 'h:a', { recover: true, epoch, offset: 1 }).recovered).toBe(false)
    expect(subscribe(few, 'h:a', { recover: true, epoch, offset: 2 }).recovered).toBe(true)
    const large = createHome()
    const position = publish(large, 'h:a')
    for (let round = 0; round < 2; round++) publish(large, 'h:a', `"${'x'.repeat(60_000)}"`)
    const answer = subscribe(large, 'h:a', { recover: true, ...position })
    expect(answer).toMatchObject({ recovered: false, publications: '' })
    expect(subscribe(large, 'h:a', { recover: true, epoch: position.epoch, offset: 2 }).recovered).toBe(true)
  })

  test('what is older than its time is not recovered, and no offset comes back', () => {
    const shard = createHome()
    const first = publish(shard, 'h:a')
    publish(shard, 'h:a')
    vi.advanceTimersByTime(60_000)
    expect(subscribe(shard, 'h:a', { recover: true, ...first })).toMatchObject({
      offset: 2,
      recovered: false,
    })
    expect(subscribe(shard, 'h:a', { recover: true, epoch: first.epoch, offset: 2 }).recovered).toBe(true)
    expect(publish(shard, 'h:a').offset).toBe(3)
    expect(shard.row[slots.historyPublications]).toBe(1)
  })
})

describe('catching up', () => {
  test('page after page brings every line after the position, each once', () => {
    const arbitrary = fc.record({
      published: fc.nat(5),
      offset: fc.nat(7),
      bytesMax: fc.integer({ min: 0, max: 600 }),
    })
    fc.assert(
      fc.property(arbitrary, ({ published, offset, bytesMax }) => {
        const shard = createHome()
        const { epoch } = subscribe(shard, 'h:a')
        for (let data = 1; data <= published; data++) publish(shard, 'h:a', `${data}`)
        let at = offset
        const lines: string[] = []
        for (let pages = 0; ; pages++) {
          expect(pages).toBeLessThan(10)
          const outcome = shard.home.catchUp({ channel: 'h:a', epoch, offset: at, bytesMax })
          expect(outcome.ok).toBe(offset <= published)
          if (!outcome.ok) {
            expect(outcome.error).toEqual(errors.unrecoverablePosition)
            return
          }
          const page = outcome.value
          expect(page.count).toBe(page.offset - at)
          expect(page.complete || page.count > 0).toBe(true)
          lines.push(...page.lines.split('\n').slice(0, page.count))
          expect(page.lines.endsWith('\n')).toBe(page.count > 0)
          at = page.offset
          if (page.complete) break
        }
        expect(at).toBe(published)
        const offsets = Array.from({ length: published - offset }, (_, index) => offset + 1 + index)
        expect(lines.map(line => JSON.parse(line).push)).toEqual(offsets.map(one => pub(one, one)))
      }),
    )
  })

  test('from what the window has passed, from another epoch or in a channel without history is impossible', () => {
    const shard = createHome()
    const { epoch } = publish(shard, 'h:a')
    for (let round = 0; round < 6; round++) publish(shard, 'h:a')
    subscribe(shard, 'plain')
    const tries = [
      { channel: 'h:a', epoch, offset: 1 },
      { channel: 'h:a', epoch: 'other', offset: 5 },
      { channel: 'plain', epoch: '', offset: 0 },
      { channel: 'h:nowhere', epoch, offset: 0 },
    ]
    for (const ask of tries) {
      const outcome = shard.home.catchUp({ ...ask, bytesMax: 1000 })
      expect(outcome).toEqual({ ok: false, error: errors.unrecoverablePosition })
    }
    expect(shard.home.catchUp({ channel: 'h:a', epoch, offset: 2, bytesMax: 1e6 })).toMatchObject({
      ok: true,
    })
  })
})

describe('history', () => {
  const ask = (changed = {}) => {
    const all = { limit: -1, countMax: 100, hasSince: false, sinceEpoch: '', sinceOffset: 0, reverse: false }
    return { channel: 'h:a', ...all, ...changed }
  }

  test('is read forwards and backwards, in pages, from a position', () => {
    const shard = createHome()
    const { epoch } = publish(shard, 'h:a')
    for (let data = 2; data <= 7; data++) publish(shard, 'h:a', `${data}`)
    const read = (changed = {}) => datasOf(resultOf(shard.home.history(ask(changed))).publications)
    expect(read()).toEqual([3, 4, 5, 6, 7])
    expect(read({ limit: 0 })).toEqual([])
    expect(read({ limit: 2 })).toEqual([3, 4])
    expect(read({ countMax: 3 })).toEqual([3, 4, 5])
    expect(read({ limit: 2, reverse: true })).toEqual([7, 6])
    const since = { hasSince: true, sinceEpoch: epoch, sinceOffset: 5 }
    expect(read(since)).toEqual([6, 7])
    expect(read({ ...since, reverse: true })).toEqual([4, 3])
    expect(read({ ...since, sinceEpoch: '', sinceOffset: 1 })).toEqual([3, 4, 5, 6, 7])
    const other = shard.home.history(ask({ ...since, sinceEpoch: 'other' }))
    expect(other).toEqual({ ok: false, error: errors.unrecoverablePosition })
    expect(resultOf(shard.home.history(ask({ limit: 0 })))).toEqual({ epoch, offset: 7, publications: '' })
  })

  test('of a channel that nobody used is empty, and to ask for it takes no place', () => {
    const shard = createHome()
    expect(resultOf(shard.home.history(ask()))).toEqual({ epoch: '', offset: 0, publications: '' })
    const since = { hasSince: true, sinceEpoch: 'of old', sinceOffset: 0 }
    expect(shard.home.history(ask(since))).toEqual({ ok: false, error: errors.unrecoverablePosition })
    expect([shard.routes.used(), shard.row[slots.channels]]).toEqual([0, 0])
  })

  test('of a channel in which nothing was published has a position; of one that keeps none is not available', () => {
    const shard = createHome()
    const { epoch } = subscribe(shard, 'h:a')
    expect(resultOf(shard.home.history(ask()))).toEqual({ epoch, offset: 0, publications: '' })
    subscribe(shard, 'plain')
    expect(shard.home.history(ask({ channel: 'plain' }))).toEqual({ ok: false, error: errors.notAvailable })
  })

  test('that is removed is gone, but its position goes on', () => {
    const shard = createHome()
    const first = publish(shard, 'h:a')
    publish(shard, 'h:a')
    expect(resultOf(shard.home.historyRemove({ channel: 'h:a' }))).toEqual({ removed: 2 })
    expect(resultOf(shard.home.historyRemove({ channel: 'h:nowhere' }))).toEqual({ removed: 0 })
    expect([shard.row[slots.historyPublications], shard.row[slots.historyBytes]]).toEqual([0, 0])
    expect(publish(shard, 'h:a')).toEqual({ epoch: first.epoch, offset: 3 })
    expect(subscribe(shard, 'h:a', { recover: true, ...first }).recovered).toBe(false)
  })

  test('memory has a limit: channels that were quiet longest lose their oldest first, and no position', () => {
    const bytesMax = 10_000
    const shard = createHome({ historyBytesMax: bytesMax })
    const data = `"${'x'.repeat(800)}"`
    const count = (channel: string) =>
      datasOf(resultOf(shard.home.history(ask({ channel }))).publications).length
    for (const channel of ['h:old', 'h:mid', 'h:new']) {
      for (let round = 0; round < 5; round++) publish(shard, channel, data)
      expect(shard.row[slots.historyBytes]).toBeLessThanOrEqual(bytesMax)
    }
    expect([count('h:old'), count('h:mid'), count('h:new')]).toEqual([0, 5, 5])
    publish(shard, 'h:old', data)
    expect([count('h:old'), count('h:mid'), count('h:new')]).toEqual([1, 4, 5])
    expect(shard.row[slots.historyPublications]).toBe(10)
    expect(resultOf(shard.home.history(ask({ channel: 'h:old' }))).offset).toBe(6)
  })

  test('memory is counted right through any sequence of operations', () => {
    const step = fc.record({
      channel: fc.constantFrom('h:a', 'h:b', 'h:c'),
      kind: fc.constantFrom('publish', 'publish', 'publish', 'remove', 'pass', 'sweep'),
      bytes: fc.nat(2000),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), steps => {
        const shard = createHome({ historyBytesMax: 5000, historyMetaTtlMs: 100_000 })
        for (const { channel, kind, bytes } of steps) {
          if (kind === 'publish') publish(shard, channel, `"${'x'.repeat(bytes)}"`)
          else if (kind === 'remove') shard.home.historyRemove({ channel })
          else if (kind === 'sweep') shard.home.sweep(monotonicMs())
          else vi.advanceTimersByTime(bytes * 30)
          expect(shard.row[slots.historyBytes]).toBeLessThanOrEqual(5000)
        }
        shard.home.sweep(monotonicMs())
        let publications = 0
        for (const channel of ['h:a', 'h:b', 'h:c']) {
          publications += datasOf(resultOf(shard.home.history(ask({ channel }))).publications).length
        }
        expect(shard.row[slots.historyPublications]).toBe(publications)
        expect(shard.row[slots.historyBytes]! > 0).toBe(publications > 0)
        for (const channel of ['h:a', 'h:b', 'h:c']) shard.home.historyRemove({ channel })
        expect(shard.row[slots.historyBytes]).toBe(0)
        expect(shard.row[slots.historyPublications]).toBe(0)
      }),
      { numRuns: 200 },
    )
  })
})
