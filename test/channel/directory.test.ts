// Two shards in one thread, with real rings between them: asks, answers, and what happens when a peer is lost, a ring
// is full or a frame is too large.

import { describe, expect, test } from 'vitest'
import { Directory, type LocalSide } from '../../src/channel/directory.ts'
import { Home, type Outcome } from '../../src/channel/home.ts'
import { createMeshOutlet } from '../../src/channel/mesh-outlet.ts'
import { slotCount } from '../../src/metrics/slots.ts'
import { errors } from '../../src/protocol/codes.ts'
import { encodeTell } from '../../src/protocol/envelope.ts'
import { CountTable, createCountTableMemory, PIN_HOLDER } from '../../src/shared/count-table.ts'
import { createDoorbellMemory, Doorbell, DoorbellButton } from '../../src/shared/doorbell.ts'
import { Link, Mesh } from '../../src/shared/mesh.ts'
import { createRingMemory, RingConsumer, RingProducer } from '../../src/shared/ring.ts'
import { optionsOf, publishAsk, resultOf, subscribeAsk } from './recording-outlet.ts'

const RING_BYTES = 64 << 10
const BACKLOG_BYTES_MAX = 64 << 10
const hashKey = new Uint32Array([5, 6])

/** Channels `…0` are at home on shard 0, `…1` on shard 1. */
const homeOf = (channel: string) => Number(channel.at(-1))

type Shard = {
  directory: Directory
  mesh: Mesh
  home: Home
  routes: CountTable
  link: Link
  wakes: number
  backlogs: number
  delivered: unknown[]
  /** Answers nothing by itself: the test does. */
  orders: [order: string, answered: (outcome: Outcome<{ sessions: number }>) => void][]
  drain(): boolean
}

function createPair(): [Shard, Shard] {
  const table = createCountTableMemory({ capacity: 64, shards: 2 })
  const rings = [createRingMemory(RING_BYTES), createRingMemory(RING_BYTES)]
  const doorbells = createDoorbellMemory(2)
  const create = (shard: number): Shard => {
    const other = 1 - shard
    const mesh = new Mesh(shard, new Doorbell(doorbells, shard))
    const button = new DoorbellButton(doorbells, other, { postMessage: () => made.wakes++ })
    const ring = new RingProducer(rings[shard]!)
    const link = new Link(ring, button, BACKLOG_BYTES_MAX, () => made.backlogs++)
    mesh.connect(other, link, new RingConsumer(rings[other]!))
    const delivered: unknown[] = []
    const orders: Shard['orders'] = []
    const local: LocalSide = {
      deliver: (channel, line, offset) => delivered.push([channel, Buffer.from(line).toString(), offset]),
      announce: (channel, line) => delivered.push([channel, Buffer.from(line).toString()]),
      sessions: (order, answered) => orders.push([order, answered]),
      notice: (topic, text) => delivered.push([topic, text]),
    }
    const routes = new CountTable(table, hashKey)
    const home = new Home({
      shard,
      shards: 2,
      routes,
      outlet: createMeshOutlet({ shard, mesh, local, frameBytesMax: ring.maxRecordBytes }),
      row: new Float64Array(slotCount),
      optionsOf,
      historyBytesMax: 1 << 20,
      historyMetaTtlMs: 1000,
      recoveryCountMax: 100,
    })
    const directory = new Directory({ shard, mesh, home, local, homeOf })
    const drain = () => mesh.drain((...frame) => directory.receive(...frame))
    const made: Shard = {
      directory,
      mesh,
      home,
      routes,
      link,
      wakes: 0,
      backlogs: 0,
      delivered,
      orders,
      drain,
    }
    return made
  }
  return [create(0), create(1)]
}

/** Both shards take their turns until nothing is under way. */
function settle(...shards: Shard[]): void {
  for (let turn = 0; turn < 1000; turn++) {
    let busy = false
    for (const shard of shards) {
      if (!shard.mesh.pump()) busy = true
      if (shard.drain()) busy = true
    }
    if (!busy && shards.every(({ link }) => link.usedBytes === 0)) return
  }
  throw new Error('the shards never come to rest')
}

/** Remembers outcomes in the order in which they come. */
function outcomes() {
  const all: Outcome<unknown>[] = []
  return { all, add: (outcome: Outcome<unknown>) => all.push(outcome) }
}

describe('an ask', () => {
  test('to a home here has its outcome before it returns', () => {
    const [one] = createPair()
    const { all, add } = outcomes()
    one.directory.ask('publish', publishAsk('h:0'), add)
    expect(all).toEqual([{ ok: true, value: { epoch: expect.any(String), offset: 1 } }])
    expect(one.link.usedBytes).toBe(0)
  })

  test('to a home on another shard comes back over the rings, whatever it asks', () => {
    const pair = createPair()
    const [one] = pair
    const { all, add } = outcomes()
    const member = { presence: true, emitsJoinLeave: false }
    one.directory.ask('publish', publishAsk('h:1', '"ä😀"', { info: '{"user":"u"}', tags: '{"a":"b"}' }), add)
    one.directory.ask('subscribe', subscribeAsk('h:1', member), add)
    const page = { limit: -1, countMax: 9, hasSince: false, sinceEpoch: '', sinceOffset: 0, reverse: false }
    one.directory.ask('history', { channel: 'h:1', ...page }, add)
    one.directory.ask('presence', { channel: 'h:1' }, add)
    one.directory.ask('presenceStats', { channel: 'h:1' }, add)
    one.directory.ask('catchUp', { channel: 'h:1', epoch: 'x', offset: 0, bytesMax: 99 }, add)
    one.directory.ask('historyRemove', { channel: 'h:1' }, add)
    one.directory.askShard(1, 'channels', { pattern: '' }, add)
    expect(all).toEqual([])
    settle(...pair)
    const epoch = expect.any(String)
    const publications = '{"data":"ä😀","info":{"user":"u"},"offset":1,"tags":{"a":"b"}}'
    expect(all).toEqual([
      { ok: true, value: { epoch, offset: 1 } },
      { ok: true, value: { epoch, offset: 1, recovered: false, publications: '' } },
      { ok: true, value: { epoch, offset: 1, publications } },
      { ok: true, value: { members: '"id":{"user":"u","client":"id"}' } },
      { ok: true, value: { clients: 1, users: 1 } },
      { ok: false, error: errors.unrecoverablePosition },
      { ok: true, value: { removed: 1 } },
      { ok: true, value: { channels: '' } },
    ])
  })

  test('for sessions is answered when the other side is ready, out of turn', () => {
    const pair = createPair()
    const [one, two] = pair
    const { all, add } = outcomes()
    for (const order of ['first', 'second']) one.directory.askShard(1, 'sessions', { order }, add)
    settle(...pair)
    expect(two.orders.map(([order]) => order)).toEqual(['first', 'second'])
    two.orders[1]![1]({ ok: true, value: { sessions: 2 } })
    two.orders[0]![1]({ ok: false, error: errors.unknownChannel })
    settle(...pair)
    expect(all).toEqual([
      { ok: true, value: { sessions: 2 } },
      { ok: false, error: errors.unknownChannel },
    ])
  })

  test('wakes the other shard once while it sleeps', async () => {
    const pair = createPair()
    const [one, two] = pair
    settle(...pair)
    for (let round = 0; round < 5; round++) one.directory.ask('presence', { channel: '1' }, () => {})
    // The bell rings when the callback that asked is over.
    await Promise.resolve()
    expect(one.wakes).toBe(1)
    while (two.drain()) {}
    one.directory.ask('presence', { channel: '1' }, () => {})
    await Promise.resolve()
    expect(one.wakes).toBe(2)
  })

  test('that fails there is a failure here, and an error there', () => {
    const pair = createPair()
    const [one, two] = pair
    const { all, add } = outcomes()
    // A shard has its pin of a kind once: this makes the home's own an error of the program.
    two.routes.acquire('h:1', 1, 1)
    one.directory.ask('publish', publishAsk('h:1'), add)
    expect(() => two.drain()).toThrow('already has this pin')
    settle(...pair)
    expect(all).toEqual([{ ok: false, error: errors.internal }])
  })
})

describe('a publication', () => {
  test('goes to the subscribers of both shards, before later answers of its home', () => {
    const pair = createPair()
    const [one, two] = pair
    for (const [shard, { routes }] of pair.entries())
      routes.add(routes.acquire('h:1', shard, PIN_HOLDER), shard, 1)
    const { all, add } = outcomes()
    two.directory.ask('publish', publishAsk('h:1', '1'), add)
    one.directory.ask('publish', publishAsk('h:1', '2'), outcome => {
      expect(one.delivered).toHaveLength(2)
      add(outcome)
    })
    settle(...pair)
    const lines = [1, 2].map(data => [
      'h:1',
      `{"push":{"channel":"h:1","pub":{"data":${data},"offset":${data}}}}`,
      data,
    ])
    expect(one.delivered).toEqual(lines)
    expect(two.delivered).toEqual(lines)
    expect(all).toHaveLength(2)
  })

  test('of the greatest size goes through, one byte more is refused', () => {
    const pair = createPair()
    const [one, two] = pair
    one.routes.add(one.routes.acquire('1', 0, PIN_HOLDER), 0, 1)
    const { all, add } = outcomes()
    const lineBytesMax = one.link.frameBytesMax - 2048
    const around = '{"push":{"channel":"1","pub":{"data":""}}}'.length
    for (const more of [0, 1]) {
      two.directory.ask('publish', publishAsk('1', `"${'x'.repeat(lineBytesMax - around + more)}"`), add)
    }
    settle(...pair)
    expect(all).toMatchObject([{ ok: true }, { ok: false, error: { code: 106 } }])
    expect(one.delivered).toHaveLength(1)
  })

  test('is refused while the way to one subscriber is full, and goes to nobody', () => {
    const pair = createPair()
    const [one, two] = pair
    for (const [shard, { routes }] of pair.entries())
      routes.add(routes.acquire('h:1', shard, PIN_HOLDER), shard, 1)
    const data = `"${'x'.repeat(5000)}"`
    let published = 0
    const publish = () => {
      let isPublished = false
      two.directory.ask('publish', publishAsk('h:1', data), outcome => {
        isPublished = outcome.ok
        if (!outcome.ok) expect(outcome.error).toEqual(errors.tooManyRequests)
      })
      return isPublished
    }
    while (publish()) expect(++published).toBeLessThan(100)
    expect(published).toBeGreaterThan(10)
    expect(two.backlogs).toBeGreaterThan(0)
    expect(publish()).toBe(false)
    settle(...pair)
    expect(publish()).toBe(true)
    settle(...pair)
    // All that was accepted arrived, in order and without a gap.
    const offsets = one.delivered.map(frame => (frame as unknown[])[2])
    expect(offsets).toEqual(Array.from({ length: published + 1 }, (_, index) => index + 1))
    expect(two.delivered).toHaveLength(published + 1)
  })
})

describe('a full ring', () => {
  test('refuses asks with a temporary error, each with exactly one outcome', () => {
    const pair = createPair()
    const [one] = pair
    const { all, add } = outcomes()
    const data = `"${'x'.repeat(3000)}"`
    for (let round = 0; round < 100; round++) one.directory.ask('publish', publishAsk('h:1', data), add)
    expect(all.length).toBeGreaterThan(10)
    for (const outcome of all) expect(outcome).toEqual({ ok: false, error: errors.tooManyRequests })
    settle(...pair)
    expect(all).toHaveLength(100)
    expect(all.at(-1)).toMatchObject({ ok: true })
  })

  test('makes a tell wait for its turn: it is owed, before any later ask', () => {
    const pair = createPair()
    const [one, two] = pair
    const member = subscribeAsk('1', { presence: true })
    one.directory.ask('subscribe', member, () => {})
    settle(...pair)
    while (one.link.send(Buffer.from([0xc0]), 'x'.repeat(2000))) {}
    while (one.link.send(Buffer.from([0xc0]), 'x')) {}
    one.directory.tell('leave', { channel: '1', client: 'id', presence: true, emitsJoinLeave: false })
    const { all, add } = outcomes()
    one.directory.ask('presenceStats', { channel: '1' }, add)
    expect(all).toEqual([{ ok: false, error: errors.tooManyRequests }])
    // What filled the ring was no frame of ours: it is thrown away.
    two.mesh.drainPeer(0, 1e9, () => {})
    while (!one.mesh.pump()) two.mesh.drainPeer(0, 1e9, () => {})
    two.mesh.drainPeer(0, 1e9, () => {})
    one.directory.ask('presenceStats', { channel: '1' }, add)
    settle(...pair)
    expect(all[1]).toEqual({ ok: true, value: { clients: 0, users: 0 } })
  })
})

describe('a frame that is too large', () => {
  test('as ask is refused here, as answer it becomes an error there', () => {
    const pair = createPair()
    const [one, two] = pair
    const { all, add } = outcomes()
    one.directory.ask('publish', publishAsk('h:1', `"${'x'.repeat(one.link.frameBytesMax)}"`), add)
    expect(all).toEqual([{ ok: false, error: errors.limitExceeded }])
    // Three bytes a character at most: only the exact size counts.
    one.directory.ask('publish', publishAsk('h:1', `"${'x'.repeat(one.link.frameBytesMax / 2)}"`), add)
    one.directory.askShard(1, 'sessions', { order: 'x' }, add)
    settle(...pair)
    expect(all[1]).toMatchObject({ ok: true })
    const message = 'x'.repeat(one.link.frameBytesMax)
    two.orders[0]![1]({ ok: false, error: { ...errors.badRequest, message } })
    settle(...pair)
    expect(all[2]).toEqual({ ok: false, error: errors.limitExceeded })
  })
})

describe('the messenger', () => {
  test('tells of what has changed, over the same ring', () => {
    const [one, two] = createPair()
    one.link.send(encodeTell('notice', { topic: 'lock' }), 'ä')
    two.drain()
    expect(two.delivered).toEqual([['lock', 'ä']])
  })

  test('is no shard: a call that came to one is an error of ours, and answered as such', () => {
    const [one, two] = createPair()
    const { all, add } = outcomes()
    const call = { method: 'm', data: '', client: '', address: '', device: '' }
    one.directory.askShard(1, 'call', { ...call, who: { kind: 'stranger' }, transport: 'tcp' }, add)
    expect(() => two.drain()).toThrow('a shard is not the messenger')
    one.drain()
    expect(all).toEqual([{ ok: false, error: errors.internal }])
  })
})

describe('a lost peer', () => {
  test('fails what it owes, loses its members, and takes nothing more until another is connected', () => {
    const [one, two] = createPair()
    const { all, add } = outcomes()
    one.directory.ask('subscribe', subscribeAsk('0', { client: 'here', presence: true }), () => {})
    two.directory.ask('subscribe', subscribeAsk('0', { client: 'there', presence: true }), () => {})
    one.drain()
    one.directory.ask('presenceStats', { channel: '0' }, add)
    for (let round = 0; round < 3; round++) one.directory.ask('publish', publishAsk('h:1'), add)
    expect(all).toEqual([{ ok: true, value: { clients: 2, users: 1 } }])
    one.mesh.disconnect(1)
    one.directory.losePeer(1)
    expect(all.slice(1)).toEqual(Array.from({ length: 3 }, () => ({ ok: false, error: errors.internal })))
    one.directory.ask('publish', publishAsk('h:1'), add)
    one.directory.tell('leave', { channel: '1', client: 'here', presence: true, emitsJoinLeave: false })
    one.directory.ask('presenceStats', { channel: '0' }, add)
    expect(all.slice(4)).toEqual([
      { ok: false, error: errors.internal },
      { ok: true, value: { clients: 1, users: 1 } },
    ])
  })

  test('whose ask is answered afterwards is passed over', () => {
    const pair = createPair()
    const [one, two] = pair
    one.directory.askShard(1, 'sessions', { order: 'x' }, () => {})
    settle(...pair)
    two.mesh.disconnect(0)
    expect(() => two.orders[0]![1]({ ok: true, value: { sessions: 1 } })).not.toThrow()
  })

  test('does not leave its answers to who takes its place, whose asks have the same numbers', () => {
    const [one, two] = createPair()
    one.directory.askShard(1, 'sessions', { order: 'of the lost one' }, () => {})
    two.drain()
    // In its place another begins to count its asks anew.
    const rings = [createRingMemory(RING_BYTES), createRingMemory(RING_BYTES)] as const
    const doorbells = createDoorbellMemory(2)
    const linkOf = (out: number, to: number) =>
      new Link(
        new RingProducer(rings[out]!),
        new DoorbellButton(doorbells, to, { postMessage: () => {} }),
        BACKLOG_BYTES_MAX,
        () => {},
      )
    for (const shard of [one, two]) {
      shard.mesh.disconnect(shard === one ? 1 : 0)
      shard.directory.losePeer(shard === one ? 1 : 0)
    }
    one.mesh.connect(1, linkOf(0, 1), new RingConsumer(rings[1]))
    two.mesh.connect(0, linkOf(1, 0), new RingConsumer(rings[0]))
    const { all, add } = outcomes()
    one.directory.askShard(1, 'sessions', { order: 'of the new one' }, add)
    two.drain()
    two.orders[0]![1]({ ok: true, value: { sessions: 1 } })
    one.drain()
    expect(all).toEqual([])
    two.orders[1]![1]({ ok: true, value: { sessions: 2 } })
    one.drain()
    expect(all).toEqual([{ ok: true, value: { sessions: 2 } }])
  })

  test('is no reason to refuse publications: it has no subscribers any more', () => {
    const [one] = createPair()
    const node = one.routes.acquire('h:0', 1, PIN_HOLDER)
    one.routes.add(node, 1, 1)
    one.mesh.disconnect(1)
    let outcome: Outcome<{ epoch: string; offset: number }> | undefined
    one.directory.ask('publish', publishAsk('h:0'), given => {
      outcome = given
    })
    expect(resultOf(outcome).offset).toBe(1)
  })
})
