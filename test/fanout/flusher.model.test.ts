// The way out of a shard against a model: random operations of subscribers, publishers and slow readers, after which
// each subscriber must have seen each publication exactly once, in order, from where its delivery began to its end.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createLocalChannel,
  createSubscriber,
  FLOWING,
  type LocalChannel,
  type SlowPolicy,
  type Subscriber,
  startDelivery,
} from '../../src/fanout/audience.ts'
import { BATCH_BYTES_MAX, BatchMemory } from '../../src/fanout/batch-memory.ts'
import { Flusher } from '../../src/fanout/flusher.ts'
import { frameOf } from '../../src/fanout/frame.ts'
import { slotCount, slots } from '../../src/metrics/slots.ts'
import { type Connection, createConnection, optionsOf } from './recording-wire.ts'

const CONNECTIONS = 3
const CHANNELS = 2
/** So low that a few lines to a stuck reader make it lag. */
const LIMITS = { softBytes: 300, hardBytes: 1 << 30 }

/** What one subscription should bring: the lines of its channel from its begin to its end. */
type Expectation = {
  connection: number
  channel: number
  watches: boolean
  subscriber: Subscriber
  lines: string[]
}

/** One shard with channels that are at home here: what is published is delivered at once. */
class World {
  readonly row = new Float64Array(slotCount)
  readonly connections: Connection[] = Array.from({ length: CONNECTIONS }, () => createConnection(LIMITS))
  readonly channels: LocalChannel[]
  readonly histories: string[][] = Array.from({ length: CHANNELS }, () => [])
  readonly open: Expectation[] = []
  readonly ended: Expectation[] = []
  readonly replies: string[][] = Array.from({ length: CONNECTIONS }, () => [])
  readonly flusher: Flusher
  #scheduled = false
  #lines = 0

  constructor(policy: SlowPolicy, historyEnabled: boolean) {
    const timer = { schedule: () => (this.#scheduled = true) }
    this.flusher = new Flusher(this.row, timer, new BatchMemory())
    this.channels = Array.from({ length: CHANNELS }, (_, home) =>
      createLocalChannel({ name: `c${home}`, options: optionsOf(policy, historyEnabled), route: 0, home }),
    )
  }

  subscribe(connection: number, channel: number, watches: boolean): void {
    if (this.open.some(one => one.connection === connection && one.channel === channel)) return
    const subscriber = createSubscriber(this.connections[connection]!.outbox, this.channels[channel]!)
    startDelivery(subscriber, this.histories[channel]!.length, watches)
    this.open.push({ connection, channel, watches, subscriber, lines: [] })
  }

  stop(connection: number, channel: number): void {
    const at = this.open.findIndex(one => one.connection === connection && one.channel === channel)
    if (at < 0) return
    const [one] = this.open.splice(at, 1)
    this.flusher.stop(one!.subscriber)
    this.ended.push(one!)
    // The answer to unsubscribe: nothing of the channel may come after it.
    this.write(connection, `end ${channel}`)
    one!.lines.push(`end ${channel}`)
  }

  publish(channel: number, bytes: number, historyEnabled: boolean): void {
    const line = `p${channel} ${++this.#lines} ${'x'.repeat(bytes)}`
    const offset = historyEnabled ? this.histories[channel]!.push(line) : 0
    this.flusher.publish(this.channels[channel]!, Buffer.from(line), offset, 0)
    for (const one of this.open) if (one.channel === channel) one.lines.push(line)
  }

  announce(channel: number): void {
    const line = `j${channel} ${++this.#lines}`
    this.flusher.announce(this.channels[channel]!, Buffer.from(line))
    for (const one of this.open) if (one.channel === channel && one.watches) one.lines.push(line)
  }

  write(connection: number, text: string): void {
    this.flusher.write(this.connections[connection]!.outbox, text)
    this.replies[connection]!.push(text)
  }

  flush(): void {
    if (this.#scheduled) {
      this.#scheduled = false
      this.flusher.flush()
    }
  }

  /** The reader reads again. What was held is replayed from the history, as a session does it. */
  drain(connection: number): void {
    const { wire, outbox } = this.connections[connection]!
    wire.drained()
    if (!outbox.lagging) return
    outbox.resume()
    this.flusher.touch(outbox)
    for (const { connection: owner, channel, subscriber } of this.open) {
      if (owner !== connection || subscriber.heldAt === FLOWING) continue
      const missed = this.histories[channel]!.slice(subscriber.heldAt)
      if (missed.length > 0) outbox.push(frameOf(Buffer.from(`${missed.join('\n')}\n`), missed.length))
      subscriber.heldAt = FLOWING
      subscriber.startOffset = this.histories[channel]!.length
      subscriber.fromBytes = subscriber.audience!.batchBytes
      subscriber.fromPublications = subscriber.audience!.batchPublications
    }
  }

  /** How often a connection began to lag. */
  get lags(): number {
    return this.connections.reduce((sum, { owner }) => sum + owner.lagging, 0)
  }

  /** Everybody reads, until nothing waits any more. */
  settle(): void {
    for (let round = 0; round < 3; round++) {
      for (let connection = 0; connection < CONNECTIONS; connection++) this.drain(connection)
      this.flush()
    }
  }

  received(connection: number, channel: number): string[] {
    const { lines } = this.connections[connection]!.wire
    return lines.filter(
      line => [`p${channel}`, `j${channel}`].includes(line.slice(0, 2)) || line === `end ${channel}`,
    )
  }

  /** What all subscriptions of a connection to a channel should have brought together, in order. */
  expected(connection: number, channel: number): string[] {
    const all = [...this.ended, ...this.open]
    return all
      .filter(one => one.connection === connection && one.channel === channel)
      .flatMap(one => one.lines)
  }
}

const connection = fc.nat(CONNECTIONS - 1)
const channel = fc.nat(CHANNELS - 1)
const bytes = fc.oneof({ weight: 8, arbitrary: fc.nat(500) }, fc.constant(BATCH_BYTES_MAX / 2))
const subscribeOp = fc.record({
  kind: fc.constant('subscribe' as const),
  connection,
  channel,
  watches: fc.boolean(),
})
const stopOp = fc.record({ kind: fc.constant('stop' as const), connection, channel })
const publishOp = fc.record({ kind: fc.constant('publish' as const), channel, bytes })
const announceOp = fc.record({ kind: fc.constant('announce' as const), channel })
const writeOp = fc.record({ kind: fc.constant('write' as const), connection })
const flushOp = fc.record({ kind: fc.constant('flush' as const) })
const stickOp = fc.record({ kind: fc.constant('stick' as const), connection })
const drainOp = fc.record({ kind: fc.constant('drain' as const), connection })

const operation = fc.oneof(
  { weight: 3, arbitrary: subscribeOp },
  { weight: 1, arbitrary: stopOp },
  { weight: 6, arbitrary: publishOp },
  { weight: 1, arbitrary: announceOp },
  { weight: 1, arbitrary: writeOp },
  { weight: 3, arbitrary: flushOp },
)
const slowOperation = fc.oneof(
  { weight: 14, arbitrary: operation },
  { weight: 2, arbitrary: stickOp },
  { weight: 2, arbitrary: drainOp },
)
// Short sequences rarely come to anything, so the size is not left to chance.
const operations = fc.array(operation, { minLength: 10, maxLength: 60, size: 'max' })
const slowOperations = fc.array(slowOperation, { minLength: 20, maxLength: 80, size: 'max' })
type Operation = typeof slowOperation extends fc.Arbitrary<infer T> ? T : never

function run(world: World, operations: readonly Operation[], historyEnabled: boolean): void {
  for (const [index, step] of operations.entries()) {
    switch (step.kind) {
      case 'subscribe':
        world.subscribe(step.connection, step.channel, step.watches)
        break
      case 'stop':
        world.stop(step.connection, step.channel)
        break
      case 'publish':
        world.publish(step.channel, step.bytes, historyEnabled)
        break
      case 'announce':
        world.announce(step.channel)
        break
      case 'write':
        world.write(step.connection, `r ${index}`)
        break
      case 'stick':
        world.connections[step.connection]!.wire.stuck = true
        break
      case 'drain':
        world.drain(step.connection)
        break
      case 'flush':
        world.flush()
    }
  }
}

function expectRepliesInOrder(world: World): void {
  for (const [index, { wire }] of world.connections.entries()) {
    const replies = wire.lines.filter(line => line.startsWith('r ') || line.startsWith('end '))
    expect(replies).toEqual(world.replies[index])
    expect(wire.keptFramesAreIntact()).toBe(true)
  }
}

describe('the way out of a shard', () => {
  test('gives each subscriber each line once and in order, from its begin to its end', () => {
    fc.assert(
      fc.property(operations, steps => {
        const world = new World('catch_up', true)
        run(world, steps, true)
        world.flush()
        for (let connection = 0; connection < CONNECTIONS; connection++) {
          for (let channel = 0; channel < CHANNELS; channel++) {
            expect(world.received(connection, channel)).toEqual(world.expected(connection, channel))
          }
        }
        expectRepliesInOrder(world)
        const sent = world.connections.flatMap(({ wire }) => wire.lines).filter(line => line.startsWith('p'))
        expect(world.row[slots.deliveries.websocket]).toBe(sent.length)
        expect(world.row[slots.framesSent.websocket]).toBe(
          world.connections.flatMap(({ wire }) => wire.sends).length,
        )
      }),
      { numRuns: 500 },
    )
  })

  test('with history, slow readers too get each publication once and in order, after catching up', () => {
    let lags = 0
    fc.assert(
      fc.property(slowOperations, steps => {
        const world = new World('catch_up', true)
        run(world, steps, true)
        world.settle()
        lags += world.lags
        for (const { connection, channel, lines } of world.open) {
          const got = world.received(connection, channel).filter(line => line.startsWith('p'))
          const wanted = lines.filter(line => line.startsWith('p'))
          // Earlier subscriptions of the same connection ended, perhaps while it lagged: theirs come before.
          expect(got.slice(got.length - wanted.length)).toEqual(wanted)
          expect(new Set(got).size).toBe(got.length)
        }
        expectRepliesInOrder(world)
      }),
      { numRuns: 1000 },
    )
    expect(lags).toBeGreaterThan(100)
  })

  test.each(['drop_oldest', 'latest_only'] as const)(
    'without history, %s loses nothing that is not counted',
    policy => {
      fc.assert(
        fc.property(slowOperations, steps => {
          const world = new World(policy, false)
          run(world, steps, false)
          world.settle()
          let missing = 0
          for (let connection = 0; connection < CONNECTIONS; connection++) {
            for (let channel = 0; channel < CHANNELS; channel++) {
              const published = world.expected(connection, channel).filter(line => line.startsWith('p'))
              const got = world.received(connection, channel).filter(line => line.startsWith('p'))
              expect(got).toEqual(published.filter(line => got.includes(line)))
              missing += published.length - got.length
            }
          }
          const { drop_oldest, latest_only, subscription_ended } = slots.drops
          const counted = [drop_oldest, latest_only, subscription_ended].map(slot => world.row[slot]!)
          expect(counted.reduce((sum, count) => sum + count)).toBe(missing)
          expectRepliesInOrder(world)
        }),
        { numRuns: 1000 },
      )
    },
  )
})
