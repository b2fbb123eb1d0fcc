// The home of channels: the order of what is published, and what is kept how long, over a real route table.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { monotonicMs } from '../../src/base/clock.ts'
import { slots } from '../../src/metrics/slots.ts'
import { errors, serverFull } from '../../src/protocol/codes.ts'
import { NONE } from '../../src/shared/count-table.ts'
import {
  addSubscribers,
  createHome,
  pub,
  publish,
  publishAsk,
  resultOf,
  SHARDS,
  subscribe,
} from './recording-outlet.ts'

// Only the monotonic clock is ours: ages are decided by it.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['hrtime'] })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('publish', () => {
  test('gives offsets without gaps and sends each publication once to each shard with subscribers', () => {
    const shard = createHome()
    addSubscribers(shard, 'h:a', 0, 2)
    addSubscribers(shard, 'h:a', 2)
    const first = publish(shard, 'h:a')
    expect(first).toEqual({ epoch: expect.stringMatching(/^[-_A-Za-z0-9]{8}$/), offset: 1 })
    expect(publish(shard, 'h:a')).toEqual({ ...first, offset: 2 })
    const sent = shard.outlet.sent.map(({ shard, channel, offset }) => [shard, channel, offset])
    expect(sent).toEqual([
      [0, 'h:a', 1],
      [2, 'h:a', 1],
      [0, 'h:a', 2],
      [2, 'h:a', 2],
    ])
    expect(shard.outlet.take(2)).toEqual([pub(1), pub(2)])
  })

  test('channels have orders of their own, and epochs of their own', () => {
    const shard = createHome()
    const [a, b] = [publish(shard, 'h:a'), publish(shard, 'h:b')]
    expect([a.offset, b.offset]).toEqual([1, 1])
    expect(a.epoch).not.toBe(b.epoch)
  })

  test('without history there is no position; where nobody listens nothing is kept at all', () => {
    const shard = createHome()
    expect(publish(shard, 'plain')).toEqual({ epoch: '', offset: 0 })
    expect(shard.routes.used()).toBe(0)
    addSubscribers(shard, 'plain', 1)
    expect(publish(shard, 'plain', '{"a": 1.0}')).toEqual({ epoch: '', offset: 0 })
    expect(shard.outlet.sent).toEqual([
      {
        shard: 1,
        channel: 'plain',
        line: '{"push":{"channel":"plain","pub":{"data":{"a": 1.0}}}}',
        offset: 0,
      },
    ])
  })

  test('info and tags travel with it; skipHistory leaves the history and its offsets alone', () => {
    const shard = createHome()
    addSubscribers(shard, 'h:a', 0)
    publish(shard, 'h:a', '1', { info: '{"user":"u"}', tags: '{"t":"1"}' })
    expect(publish(shard, 'h:a', '2', { skipHistory: true })).toEqual({ epoch: '', offset: 0 })
    expect(publish(shard, 'h:a', '3').offset).toBe(2)
    expect(shard.outlet.take()).toEqual([
      { channel: 'h:a', pub: { data: 1, info: { user: 'u' }, offset: 1, tags: { t: '1' } } },
      { channel: 'h:a', pub: { data: 2 } },
      pub(2, 3),
    ])
  })

  test('a shard without room refuses it for all, and the offset goes to the next one', () => {
    const shard = createHome()
    for (let other = 0; other < SHARDS; other++) addSubscribers(shard, 'h:a', other)
    shard.outlet.full.add(1)
    for (let round = 0; round < 3; round++) {
      expect(shard.home.publish(publishAsk('h:a'))).toEqual({ ok: false, error: errors.tooManyRequests })
    }
    expect(shard.outlet.sent).toEqual([])
    shard.outlet.full.clear()
    expect(publish(shard, 'h:a').offset).toBe(1)
    expect(shard.outlet.take()).toHaveLength(3)
    expect(shard.row[slots.historyPublications]).toBe(1)
  })

  test('a full shard without subscribers refuses nothing', () => {
    const shard = createHome()
    addSubscribers(shard, 'h:a', 1)()
    addSubscribers(shard, 'h:a', 2)
    shard.outlet.full.add(1)
    expect(publish(shard, 'h:a').offset).toBe(1)
  })

  test('a shard that raises its count in the middle of it is not sent what it was not asked room for', () => {
    const shard = createHome()
    addSubscribers(shard, 'h:a', 0)
    publish(shard, 'h:a')
    shard.outlet.onAccepts = () => {
      shard.outlet.onAccepts = () => {}
      shard.outlet.full.add(2)
      addSubscribers(shard, 'h:a', 2)
    }
    expect(publish(shard, 'h:a').offset).toBe(2)
    expect(shard.outlet.sent.map(({ shard }) => shard)).toEqual([0, 0])
    // It asks for the position afterwards, and this publication is before it.
    expect(subscribe(shard, 'h:a').offset).toBe(2)
  })

  test('one that is too large for the rings is refused with its size, and leaves no trace', () => {
    const shard = createHome()
    shard.outlet.lineBytesMax = 200
    const large = shard.home.publish(publishAsk('h:a', `"${'ä'.repeat(100)}"`))
    expect(large).toMatchObject({
      ok: false,
      error: { code: 106, temporary: false, message: expect.stringContaining('200') },
    })
    expect(publish(shard, 'h:a').offset).toBe(1)
  })

  test('texts of any size and script come out as they went in', () => {
    const shard = createHome()
    addSubscribers(shard, 'h:a', 0)
    for (const text of ['ä', '😀'.repeat(20_000), 'x'.repeat(70_000), '€']) {
      publish(shard, 'h:a', JSON.stringify(text))
      expect(shard.outlet.take()).toMatchObject([{ pub: { data: text } }])
    }
  })

  test('an unknown namespace is an error, and so is a full route table, until there is room again', () => {
    const shard = createHome({ capacity: 1 })
    expect(shard.home.publish(publishAsk('?'))).toEqual({ ok: false, error: errors.unknownChannel })
    const free = addSubscribers(shard, 'h:other', 1)
    const refused = shard.home.publish(publishAsk('h:a'))
    expect(refused).toMatchObject({ ok: false, error: { code: 106, temporary: true } })
    expect(shard.row[slots.tableRefusals.route]).toBe(1)
    free()
    expect(publish(shard, 'h:a').offset).toBe(1)
  })

  test('the same idempotency key publishes once, in one channel and for five minutes', () => {
    const shard = createHome()
    addSubscribers(shard, 'h:a', 0)
    const keyed = { idempotencyKey: 'k' }
    const first = publish(shard, 'h:a', '1', keyed)
    expect(publish(shard, 'h:a', '2', keyed)).toEqual(first)
    expect(publish(shard, 'h:b', '1', keyed).offset).toBe(1)
    expect(publish(shard, 'h:a', '1', { idempotencyKey: 'k2' }).offset).toBe(2)
    vi.advanceTimersByTime(5 * 60_000 - 1)
    expect(publish(shard, 'h:a', '2', keyed)).toEqual(first)
    vi.advanceTimersByTime(1)
    expect(publish(shard, 'h:a', '2', keyed).offset).toBe(3)
    expect(shard.outlet.take()).toHaveLength(3)
  })

  test('a publication that was refused may be tried again with its key', () => {
    const shard = createHome()
    addSubscribers(shard, 'h:a', 1)
    shard.outlet.full.add(1)
    expect(shard.home.publish(publishAsk('h:a', '1', { idempotencyKey: 'k' })).ok).toBe(false)
    shard.outlet.full.clear()
    expect(publish(shard, 'h:a', '1', { idempotencyKey: 'k' }).offset).toBe(1)
  })
})

describe('channels', () => {
  test('with subscribers are listed by pattern, with their counts over all shards', () => {
    const shard = createHome()
    for (const channel of ['news:a', 'news:b', 'chat"x']) {
      addSubscribers(shard, channel, 1, 2)
      subscribe(shard, channel)
    }
    addSubscribers(shard, 'news:a', 2)
    subscribe(shard, 'quiet')
    const list = (pattern: string) => JSON.parse(`{${resultOf(shard.home.channels({ pattern })).channels}}`)
    expect(list('')).toEqual({
      'news:a': { num_clients: 3 },
      'news:b': { num_clients: 2 },
      'chat"x': { num_clients: 2 },
    })
    expect(list('news:*')).toEqual({ 'news:a': { num_clients: 3 }, 'news:b': { num_clients: 2 } })
    expect(list('nothing')).toEqual({})
  })

  test('more than fit in a reply are refused', () => {
    const shard = createHome()
    const small = createHome({ outlet: Object.assign(shard.outlet, { lineBytesMax: 50 }) })
    for (const channel of ['a', 'b', 'c']) {
      addSubscribers(small, channel, 1)
      subscribe(small, channel)
    }
    expect(small.home.channels({ pattern: '' })).toMatchObject({ ok: false, error: { code: 106 } })
    expect(small.home.channels({ pattern: 'a' })).toMatchObject({ ok: true })
  })
})

describe('the sweep', () => {
  test('gives the slot of a channel without history back when nobody is left', () => {
    const shard = createHome()
    const leave = addSubscribers(shard, 'c', 1)
    subscribe(shard, 'c', { presence: true }, 1)
    publish(shard, 'c')
    shard.home.sweep(monotonicMs())
    leave()
    shard.home.sweep(monotonicMs())
    // The member has not left yet.
    expect(shard.routes.find('c')).not.toBe(NONE)
    shard.home.leave({ channel: 'c', client: 'id', presence: true, emitsJoinLeave: false })
    shard.home.sweep(monotonicMs())
    expect(shard.routes.used()).toBe(0)
    expect(shard.row[slots.channels]).toBe(0)
  })

  test('keeps the position of a channel with history for its time, and then forgets all of it', () => {
    const shard = createHome()
    const { epoch } = publish(shard, 'h:a')
    const passAndSweep = (ms: number) => {
      vi.advanceTimersByTime(ms)
      shard.home.sweep(monotonicMs())
    }
    passAndSweep(60_000)
    expect([shard.row[slots.historyPublications], shard.row[slots.historyBytes]]).toEqual([0, 0])
    expect(publish(shard, 'h:a')).toEqual({ epoch, offset: 2 })
    passAndSweep(3_599_999)
    expect(shard.row[slots.channels]).toBe(1)
    passAndSweep(1)
    expect([shard.row[slots.channels], shard.routes.used()]).toEqual([0, 0])
    const later = publish(shard, 'h:a')
    expect(later.offset).toBe(1)
    expect(later.epoch).not.toBe(epoch)
  })

  test('keeps a channel with history as long as somebody is subscribed', () => {
    const shard = createHome()
    const leave = addSubscribers(shard, 'h:a', 1)
    const { epoch } = publish(shard, 'h:a')
    vi.advanceTimersByTime(4_000_000)
    shard.home.sweep(monotonicMs())
    leave()
    shard.home.sweep(monotonicMs())
    vi.advanceTimersByTime(3_000_000)
    shard.home.sweep(monotonicMs())
    expect(subscribe(shard, 'h:a').epoch).toBe(epoch)
  })

  test('keeps the position of a channel in which nothing was ever published for a minute only', () => {
    const shard = createHome()
    const { epoch } = subscribe(shard, 'h:a')
    vi.advanceTimersByTime(59_999)
    shard.home.sweep(monotonicMs())
    expect(subscribe(shard, 'h:a').epoch).toBe(epoch)
    vi.advanceTimersByTime(1)
    shard.home.sweep(monotonicMs())
    expect([shard.row[slots.channels], shard.routes.used()]).toEqual([0, 0])
    expect(subscribe(shard, 'h:a').epoch).not.toBe(epoch)
  })

  test('keeps no channel longer than channels with publications are kept', () => {
    const shard = createHome({ historyMetaTtlMs: 3000 })
    subscribe(shard, 'h:a')
    vi.advanceTimersByTime(3000)
    shard.home.sweep(monotonicMs())
    expect(shard.routes.used()).toBe(0)
  })

  test('comes round to all of many channels, some at a time', () => {
    const shard = createHome({ capacity: 30_000 })
    for (let channel = 0; channel < 25_000; channel++) subscribe(shard, `c${channel}`)
    shard.home.sweep(monotonicMs())
    expect(shard.routes.used()).toBe(15_000)
    for (let round = 0; round < 2; round++) shard.home.sweep(monotonicMs())
    expect(shard.routes.used()).toBe(0)
  })
})

describe('a full route table', () => {
  const full = { ok: false, error: serverFull('the route table') }
  const publishTo = (shard: ReturnType<typeof createHome>, channel: string) =>
    shard.home.publish(publishAsk(channel))

  test('makes room by forgetting channels that are only remembered, and no others', () => {
    const shard = createHome({ capacity: 4 })
    const published = publish(shard, 'h:published')
    addSubscribers(shard, 'h:subscribed', 1)
    const subscribed = subscribe(shard, 'h:subscribed')
    const member = subscribe(shard, 'h:member', { presence: true })
    const idle = subscribe(shard, 'h:idle')
    expect(shard.routes.used()).toBe(4)
    expect(publishTo(shard, 'h:new').ok).toBe(true)
    expect(shard.routes.find('h:idle')).toBe(NONE)
    expect(publishTo(shard, 'h:newer')).toEqual(full)
    expect(shard.row[slots.tableRefusals.route]).toBe(1)
    expect(publish(shard, 'h:published')).toEqual({ epoch: published.epoch, offset: 2 })
    expect(subscribe(shard, 'h:subscribed').epoch).toBe(subscribed.epoch)
    expect(subscribe(shard, 'h:member').epoch).toBe(member.epoch)
    shard.home.historyRemove({ channel: 'h:new' })
    vi.advanceTimersByTime(100)
    expect(subscribe(shard, 'h:idle').epoch).not.toBe(idle.epoch)
  })

  test('is looked through for room every now and then, not for each command', () => {
    const shard = createHome({ capacity: 1 })
    publish(shard, 'h:a')
    expect(publishTo(shard, 'h:b')).toEqual(full)
    shard.home.historyRemove({ channel: 'h:a' })
    vi.advanceTimersByTime(99)
    expect(publishTo(shard, 'h:b')).toEqual(full)
    vi.advanceTimersByTime(1)
    expect(publishTo(shard, 'h:b').ok).toBe(true)
  })
})
