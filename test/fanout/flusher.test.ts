// The flusher: what each case of a tick sends to whom, in which order.

import { describe, expect, test } from 'vitest'
import type { SlowPolicy } from '../../src/fanout/audience.ts'
import {
  createLocalChannel,
  createSubscriber,
  FLOWING,
  type LocalChannel,
  type Subscriber,
  startDelivery,
} from '../../src/fanout/audience.ts'
import { BATCH_BYTES_MAX, BatchMemory } from '../../src/fanout/batch-memory.ts'
import { Flusher } from '../../src/fanout/flusher.ts'
import { slotCount, slots } from '../../src/metrics/slots.ts'
import { type Connection, createConnection, optionsOf } from './recording-wire.ts'

function createShard() {
  const row = new Float64Array(slotCount)
  const scheduled: number[] = []
  const flusher = new Flusher(row, { schedule: (_, delayMs) => scheduled.push(delayMs) }, new BatchMemory())
  return { row, scheduled, flusher }
}

type Shard = ReturnType<typeof createShard>

function createChannel(policy: SlowPolicy = 'catch_up', historyEnabled = true): LocalChannel {
  return createLocalChannel({ name: 'c', options: optionsOf(policy, historyEnabled), route: 0, home: 0 })
}

function subscribe(
  channel: LocalChannel,
  { outbox }: Connection,
  watches = false,
  offset = channel.topOffset,
): Subscriber {
  const subscriber = createSubscriber(outbox, channel)
  startDelivery(subscriber, offset, watches)
  return subscriber
}

function publish({ flusher }: Shard, channel: LocalChannel, text: string, offset = 0): void {
  flusher.publish(channel, Buffer.from(text), offset, 0)
}

/** From here on the connection lags. */
function makeLag(shard: Shard, connection: Connection): void {
  connection.wire.stuck = true
  shard.flusher.write(connection.outbox, 'x'.repeat(1001))
  shard.flusher.flush()
  connection.wire.sends.length = 0
  expect(connection.outbox.lagging).toBe(true)
}

describe('a tick', () => {
  test('sends each connection one frame: its replies, then the publications', () => {
    const shard = createShard()
    const [one, two] = [createConnection(), createConnection(undefined, 'tcp')]
    const channel = createChannel()
    subscribe(channel, one)
    subscribe(channel, two)
    publish(shard, channel, 'p1', 1)
    shard.flusher.write(one.outbox, 'r1')
    publish(shard, channel, 'p2', 2)
    shard.flusher.write(one.outbox, 'ä2')
    expect(one.wire.sends).toEqual([])
    shard.flusher.flush()
    expect(one.wire.sends).toEqual([['r1', 'ä2', 'p1', 'p2']])
    expect(two.wire.sends).toEqual([['p1', 'p2']])
    expect(shard.row[slots.framesSent.websocket]).toBe(1)
    expect(shard.row[slots.deliveries.tcp]).toBe(2)
    expect(shard.row[slots.sentBytes.tcp]).toBe(6)
  })

  test('is flushed once, and a quiet one not at all', () => {
    const shard = createShard()
    const one = createConnection()
    const channel = createChannel()
    publish(shard, channel, 'to nobody', 1)
    expect(shard.scheduled).toEqual([])
    subscribe(channel, one)
    shard.flusher.delayMs = 3
    for (let offset = 2; offset < 9; offset++) publish(shard, channel, `p${offset}`, offset)
    shard.flusher.write(one.outbox, 'r')
    expect(shard.scheduled).toEqual([3])
    shard.flusher.flush()
    shard.flusher.write(one.outbox, 'r')
    expect(shard.scheduled).toEqual([3, 3])
  })

  test('brings who came in its middle what came after, and who left what came before', () => {
    const shard = createShard()
    const [early, late, leaving, last] = [
      createConnection(),
      createConnection(),
      createConnection(),
      createConnection(),
    ]
    const channel = createChannel()
    const early1 = subscribe(channel, early)
    const left = subscribe(channel, leaving)
    publish(shard, channel, 'p1', 1)
    subscribe(channel, late)
    publish(shard, channel, 'p2', 2)
    shard.flusher.stop(left)
    shard.flusher.write(leaving.outbox, 'unsubscribed')
    publish(shard, channel, 'p3', 3)
    subscribe(channel, last)
    shard.flusher.flush()
    expect(early.wire.lines).toEqual(['p1', 'p2', 'p3'])
    expect(late.wire.lines).toEqual(['p2', 'p3'])
    expect(leaving.wire.lines).toEqual(['p1', 'p2', 'unsubscribed'])
    expect(last.wire.lines).toEqual([])
    expect(shard.row[slots.deliveries.websocket]).toBe(7)
    shard.flusher.stop(early1)
    expect(() => shard.flusher.stop(early1)).not.toThrow()
    publish(shard, channel, 'p4', 4)
    shard.flusher.flush()
    expect(last.wire.lines).toEqual(['p4'])
    expect(early.wire.lines).toHaveLength(3)
  })

  test('tells of joins and leaves those who watch, in order with the publications', () => {
    const shard = createShard()
    const [plain, watching] = [createConnection(), createConnection()]
    const channel = createChannel()
    subscribe(channel, plain)
    subscribe(channel, watching, true)
    shard.flusher.announce(channel, Buffer.from('join'))
    publish(shard, channel, 'p1', 1)
    shard.flusher.announce(channel, Buffer.from('leave'))
    shard.flusher.flush()
    expect(plain.wire.lines).toEqual(['p1'])
    expect(watching.wire.lines).toEqual(['join', 'p1', 'leave'])
  })

  test('with more than a batch holds is flushed in its middle, nothing twice and in order', () => {
    const shard = createShard()
    const [one, late] = [createConnection(), createConnection()]
    const channel = createChannel()
    subscribe(channel, one)
    const large = 'x'.repeat(BATCH_BYTES_MAX / 2 - 1)
    publish(shard, channel, `1${large}`, 1)
    publish(shard, channel, `2${large}`, 2)
    expect(one.wire.lines.map(line => line[0])).toEqual(['1'])
    subscribe(channel, late)
    publish(shard, channel, `3${large}`, 3)
    shard.flusher.flush()
    expect(one.wire.lines.map(line => line[0])).toEqual(['1', '2', '3'])
    expect(late.wire.lines.map(line => line[0])).toEqual(['3'])
    // One line may be larger than a batch: it goes alone.
    publish(shard, channel, 'y'.repeat(2 * BATCH_BYTES_MAX), 4)
    shard.flusher.flush()
    expect(one.wire.lines.at(-1)).toHaveLength(2 * BATCH_BYTES_MAX)
  })

  test('a frame that is kept for later does not change with the next flush', () => {
    const shard = createShard()
    const one = createConnection()
    const channel = createChannel()
    subscribe(channel, one)
    for (let offset = 1; offset < 20; offset++) {
      publish(shard, channel, `publication ${offset} ${'x'.repeat(offset * 10)}`, offset)
      if (offset % 3 === 0) shard.flusher.write(one.outbox, `reply ${offset}`)
      shard.flusher.flush()
    }
    expect(one.wire.keptFramesAreIntact()).toBe(true)
  })

  test('owners that wanted to hear of the flush hear of it once, closed ones never', () => {
    const shard = createShard()
    const [one, closed] = [createConnection(), createConnection()]
    for (const { outbox } of [one, closed]) {
      outbox.wantsFlushed = true
      shard.flusher.touch(outbox)
    }
    closed.outbox.close()
    shard.flusher.flush()
    shard.flusher.flush()
    expect([one.owner.flushed, closed.owner.flushed]).toEqual([1, 0])
  })

  test('a connection may be finished before the tick is over: all that was written goes out, once', () => {
    const shard = createShard()
    const one = createConnection()
    shard.flusher.write(one.outbox, 'r1')
    shard.flusher.write(one.outbox, 'goodbye')
    shard.flusher.flushNow(one.outbox)
    shard.flusher.flush()
    expect(one.wire.sends).toEqual([['r1', 'goodbye']])
  })
})

describe('a slow connection', () => {
  test('lags past the soft limit, and ends past the hard one or when its socket refuses', () => {
    const shard = createShard()
    const [slow, full, gone] = [
      createConnection(),
      createConnection({ softBytes: 10, hardBytes: 20 }),
      createConnection(),
    ]
    for (const { wire } of [slow, full]) wire.stuck = true
    gone.wire.refuses = true
    for (const { outbox } of [slow, full, gone]) shard.flusher.write(outbox, 'x'.repeat(999))
    shard.flusher.flush()
    expect([slow, full, gone].map(({ owner }) => owner.tooSlow > 0)).toEqual([false, true, true])
    expect(slow.outbox.lagging).toBe(false)
    shard.flusher.write(slow.outbox, 'x')
    shard.flusher.flush()
    expect([slow.outbox.lagging, slow.owner.lagging, slow.owner.tooSlow]).toEqual([true, 1, 0])
  })

  test('catches up from the last publication that it got, also when others of the channel are flushed before it', () => {
    for (const watchesFirst of [false, true]) {
      const shard = createShard()
      const connections = [createConnection(), createConnection(), createConnection()]
      const channel = createChannel()
      const subscribers = connections.map((connection, index) => subscribe(channel, connection, index !== 0))
      publish(shard, channel, 'p1', 1)
      publish(shard, channel, 'p2', 2)
      shard.flusher.flush()
      for (const connection of connections.slice(0, 2)) makeLag(shard, connection)
      if (watchesFirst) shard.flusher.announce(channel, Buffer.from('join'))
      for (const offset of [3, 4]) publish(shard, channel, `p${offset}`, offset)
      shard.flusher.flush()
      publish(shard, channel, 'p5', 5)
      shard.flusher.flush()
      expect(subscribers.map(({ heldAt }) => heldAt)).toEqual([2, 2, FLOWING])
      expect(connections.map(({ wire }) => wire.lines.length)).toEqual([0, 0, watchesFirst ? 6 : 5])
      expect(shard.row[slots.drops.lagging_join_leave]).toBe(watchesFirst ? 1 : 0)
    }
  })

  test('catches up from before a publication that overfilled the batch in which it began to lag', () => {
    for (const watches of [false, true]) {
      const shard = createShard()
      const one = createConnection()
      const channel = createChannel()
      subscribe(channel, createConnection())
      const subscriber = subscribe(channel, one, watches)
      one.wire.stuck = true
      const large = 'x'.repeat(BATCH_BYTES_MAX - 100)
      publish(shard, channel, large, 1)
      publish(shard, channel, large, 2)
      expect(one.outbox.lagging).toBe(true)
      expect(one.wire.lines).toHaveLength(1)
      shard.flusher.flush()
      expect(subscriber.heldAt).toBe(1)
    }
  })

  test('that subscribes while it lags is held where its delivery began', () => {
    const shard = createShard()
    const one = createConnection()
    const channel = createChannel()
    subscribe(channel, createConnection())
    for (const offset of [1, 2, 3]) publish(shard, channel, `p${offset}`, offset)
    makeLag(shard, one)
    publish(shard, channel, 'p4', 4)
    const subscriber = subscribe(channel, one, false, 4)
    shard.flusher.flush()
    expect(subscriber.heldAt).toBe(FLOWING)
    publish(shard, channel, 'p5', 5)
    publish(shard, channel, 'p6', 6)
    shard.flusher.flush()
    expect(subscriber.heldAt).toBe(4)
  })

  test('is held where its new epoch began, whatever the offsets of the old one were', () => {
    const shard = createShard()
    const one = createConnection()
    const channel = createChannel()
    const old = subscribe(channel, one)
    publish(shard, channel, 'p900', 900)
    shard.flusher.flush()
    shard.flusher.stop(old)
    const subscriber = subscribe(channel, one, false, 0)
    makeLag(shard, one)
    publish(shard, channel, 'p1', 1)
    shard.flusher.flush()
    expect(subscriber.heldAt).toBe(0)
  })

  test('join and leave events alone hold nobody: there is nothing to catch up', () => {
    const shard = createShard()
    const one = createConnection()
    const channel = createChannel()
    const subscriber = subscribe(channel, one, true)
    makeLag(shard, one)
    shard.flusher.announce(channel, Buffer.from('join'))
    shard.flusher.flush()
    expect(subscriber.heldAt).toBe(FLOWING)
    expect(shard.row[slots.drops.lagging_join_leave]).toBe(1)
  })

  test('latest_only keeps the newest publication of each channel, and counts what it replaced', () => {
    const shard = createShard()
    const one = createConnection()
    const [a, b] = [createChannel('latest_only', false), createChannel('latest_only', false)]
    subscribe(a, one)
    subscribe(b, one)
    makeLag(shard, one)
    for (const round of [1, 2, 3]) {
      publish(shard, a, `a${round}`)
      publish(shard, a, `a${round}'`)
      if (round < 3) publish(shard, b, `b${round}`)
      shard.flusher.flush()
    }
    expect(shard.row[slots.drops.latest_only]).toBe(6)
    one.wire.drained()
    one.outbox.resume()
    publish(shard, a, 'a4')
    shard.flusher.flush()
    expect(one.wire.lines).toEqual(['b2', "a3'", 'a4'])
  })

  test('latest_only keeps the newest publication of one that came in the middle of the tick, whatever comes behind it', () => {
    const shard = createShard()
    const [first, one] = [createConnection(), createConnection()]
    const channel = createChannel('latest_only', false)
    subscribe(channel, first, true)
    makeLag(shard, one)
    publish(shard, channel, 'a1')
    subscribe(channel, one, true)
    publish(shard, channel, 'a2')
    publish(shard, channel, 'a3')
    shard.flusher.announce(channel, Buffer.from('join'))
    shard.flusher.flush()
    one.wire.drained()
    one.outbox.resume()
    shard.flusher.touch(one.outbox)
    shard.flusher.flush()
    expect(one.wire.lines).toContain('a3')
    expect(one.wire.lines).not.toContain('a1')
  })

  test('drop_oldest keeps as much as the soft limit allows, and counts the rest', () => {
    const shard = createShard()
    const one = createConnection({ softBytes: 1000, hardBytes: 1 << 20 })
    // Without history catch_up is drop_oldest.
    const channel = createChannel('catch_up', false)
    subscribe(channel, one)
    makeLag(shard, one)
    for (let round = 0; round < 10; round++) {
      publish(shard, channel, `${round}${'x'.repeat(298)}`)
      shard.flusher.flush()
      expect(one.outbox.keptBytes).toBeLessThanOrEqual(1000)
    }
    expect(shard.row[slots.drops.drop_oldest]).toBe(7)
    one.wire.drained()
    one.outbox.resume()
    shard.flusher.touch(one.outbox)
    shard.flusher.flush()
    expect(one.wire.lines.map(line => line[0])).toEqual(['7', '8', '9'])
    expect(one.outbox.keptBytes).toBe(0)
  })

  test('of a channel that disconnects slow ones is ended, and what it missed is counted', () => {
    const shard = createShard()
    const [one, other] = [createConnection(), createConnection()]
    const channel = createChannel('disconnect', false)
    subscribe(channel, one)
    subscribe(channel, other)
    makeLag(shard, one)
    publish(shard, channel, 'p1')
    shard.flusher.flush()
    expect([one.owner.tooSlow, other.owner.tooSlow]).toEqual([1, 0])
    expect(shard.row[slots.drops.slow_disconnected]).toBe(1)
  })

  test('that leaves a channel counts what it will not get there any more', () => {
    const cases = [
      ['catch_up', true],
      ['drop_oldest', false],
      ['latest_only', false],
    ] as const
    for (const [policy, historyEnabled] of cases) {
      const shard = createShard()
      const one = createConnection()
      const channel = createChannel(policy, historyEnabled)
      const subscriber = subscribe(channel, one)
      makeLag(shard, one)
      for (const offset of [1, 2]) publish(shard, channel, `p${offset}`, historyEnabled ? offset : 0)
      shard.flusher.flush()
      publish(shard, channel, 'p3', historyEnabled ? 3 : 0)
      shard.flusher.stop(subscriber)
      const replaced = policy === 'latest_only' ? 1 : 0
      expect(shard.row[slots.drops.latest_only]).toBe(replaced)
      expect(shard.row[slots.drops.subscription_ended]).toBe(3 - replaced)
      one.wire.drained()
      one.outbox.resume()
      shard.flusher.touch(one.outbox)
      shard.flusher.flush()
      expect(one.wire.lines).toEqual([])
    }
  })

  test('slows down nobody else', () => {
    const shard = createShard()
    const [slow, quick] = [createConnection(), createConnection()]
    const channel = createChannel()
    subscribe(channel, slow)
    subscribe(channel, quick)
    makeLag(shard, slow)
    for (let offset = 1; offset <= 50; offset++) {
      publish(shard, channel, `p${offset}`, offset)
      shard.flusher.flush()
    }
    expect(quick.wire.lines).toHaveLength(50)
    expect(slow.wire.lines).toHaveLength(0)
  })
})
