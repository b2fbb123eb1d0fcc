// What the messenger says to shards, over real rings within one thread; the test speaks for the shards.

import { expect, test } from 'vitest'
import type { Log } from '../../src/base/log.ts'
import { Asks, type ReceivedAsk, type ReceivedTell } from '../../src/channel/asks.ts'
import type { Outcome } from '../../src/channel/home.ts'
import { slotCount, slots } from '../../src/metrics/slots.ts'
import { errors } from '../../src/protocol/codes.ts'
import type { Answer, AskKind } from '../../src/protocol/envelope.ts'
import type { Order } from '../../src/session/orders.ts'
import { CountTable, createCountTableMemory, PIN_HOLDER } from '../../src/shared/count-table.ts'
import { createDoorbellMemory, Doorbell, DoorbellButton } from '../../src/shared/doorbell.ts'
import { Link, Mesh } from '../../src/shared/mesh.ts'
import { createRingMemory, RingConsumer, RingProducer } from '../../src/shared/ring.ts'
import { createMessengerRelay } from '../../src/threads/messenger-relay.ts'

const SHARDS = 2
const RING_BYTES = 64 << 10
const BACKLOG_BYTES_MAX = 64 << 10
const hashKey = new Uint32Array([3, 4])

type Said = Readonly<{ ask: ReceivedAsk; answered: (outcome: Outcome<Answer<AskKind>>) => void }>

function createWorld() {
  const doorbells = createDoorbellMemory(SHARDS + 1)
  const row = new Float64Array(slotCount)
  const warnings: object[] = []
  const log = { warn: (fields: object) => warnings.push(fields) } as unknown as Log
  const presence = new CountTable(createCountTableMemory({ capacity: 8, shards: SHARDS }), hashKey)
  const mesh = new Mesh(SHARDS, new Doorbell(doorbells, SHARDS))
  const nobody = () => {
    throw new Error('nobody asks here')
  }
  const asks = new Asks(mesh, { serve: nobody, hear: nobody })
  const homeOf = (channel: string) => Number(channel.at(-1))
  const relay = createMessengerRelay({ shards: SHARDS, asks, mesh, presence, homeOf, row, log })

  const shards = Array.from({ length: SHARDS }, (_, shard) => {
    const said: Said[] = []
    const heard: [tell: ReceivedTell, text: string][] = []
    const there = new Mesh(shard, new Doorbell(doorbells, shard))
    const out = createRingMemory(RING_BYTES)
    const back = createRingMemory(RING_BYTES)
    const linkOf = (ring: SharedArrayBuffer, to: number) => {
      const button = new DoorbellButton(doorbells, to, { postMessage: () => {} })
      return new Link(new RingProducer(ring), button, BACKLOG_BYTES_MAX, () => {})
    }
    mesh.connect(shard, linkOf(out, shard), new RingConsumer(back))
    there.connect(SHARDS, linkOf(back, SHARDS), new RingConsumer(out))
    const theirs = new Asks(there, {
      serve: (ask, _, answered) => said.push({ ask, answered }),
      hear: (tell, _, payload) => heard.push([tell, payload.toString()]),
    })
    return { said, heard, turn: () => there.drain(theirs.receive.bind(theirs)), mesh: there }
  })
  /** Everybody takes what was sent. */
  const settle = () => {
    for (let turn = 0; turn < 100; turn++) {
      mesh.pump()
      relay.payOff()
      for (const shard of shards) {
        shard.mesh.pump()
        shard.turn()
      }
      mesh.drain(asks.receive.bind(asks))
    }
  }
  const lose = (shard: number) => {
    mesh.disconnect(shard)
    asks.losePeer(shard)
    relay.loseShard(shard)
  }
  return { relay, shards, settle, lose, row, warnings, presence }
}

const unsubscribe = (user: string): Order => ({ kind: 'unsubscribe', user, client: '', channel: 'im:c:1' })
const subscribe: Order = {
  kind: 'subscribe',
  user: '7',
  client: '',
  channel: 'im:c:1',
  info: undefined,
  data: undefined,
  expireAt: 0,
  override: undefined,
  since: undefined,
}
const CARRIED_OUT = { ok: true, value: { sessions: 1 } } as const

function ordersOf(said: readonly Said[]): Order[] {
  return said.map(({ ask }) => {
    if (ask.kind !== 'sessions') throw new Error(`not an order: ${ask.kind}`)
    return JSON.parse(ask.ask.order) as Order
  })
}

test('a publication goes to the home of its channel, and its outcome comes back', () => {
  const { relay, shards, settle, row } = createWorld()
  const outcomes: unknown[] = []
  relay.publish('im:c:1', '{"ä":1}', outcome => outcomes.push(outcome))
  relay.publish('im:c:11', '2', outcome => outcomes.push(outcome))
  settle()
  expect(shards[0]!.said).toEqual([])
  const [first, second] = shards[1]!.said
  expect(first!.ask).toMatchObject({ kind: 'publish', ask: { channel: 'im:c:1', data: '{"ä":1}', info: '' } })
  first!.answered({ ok: true, value: { epoch: 'e', offset: 1 } })
  second!.answered({ ok: false, error: errors.tooManyRequests })
  settle()
  expect(outcomes).toEqual([{ ok: true }, { ok: false, error: errors.tooManyRequests }])
  expect(row[slots.publications.messenger]).toBe(1)
})

test('an order goes to all shards, and is done when each has carried it out', () => {
  const { relay, shards, settle } = createWorld()
  let done = 0
  relay.order(unsubscribe('7'), () => done++)
  settle()
  for (const { said } of shards) expect(ordersOf(said)).toEqual([unsubscribe('7')])
  shards[0]!.said[0]!.answered(CARRIED_OUT)
  settle()
  expect(done).toBe(0)
  shards[1]!.said[0]!.answered(CARRIED_OUT)
  settle()
  expect(done).toBe(1)
})

test('a lost shard owes nothing, and is not asked again', () => {
  const { relay, shards, settle, lose, warnings } = createWorld()
  let done = 0
  relay.order(subscribe, () => done++)
  settle()
  shards[0]!.said[0]!.answered(CARRIED_OUT)
  lose(1)
  settle()
  expect(done).toBe(1)
  expect(warnings).toEqual([])
  relay.order(unsubscribe('7'), () => done++)
  settle()
  expect(shards[0]!.said).toHaveLength(2)
  shards[0]!.said[1]!.answered(CARRIED_OUT)
  settle()
  expect(done).toBe(2)
  lose(0)
  relay.order(unsubscribe('7'), () => done++)
  expect(done).toBe(3)
})

test('whom a shard could not subscribe is told to come again there: then all is as it is right', () => {
  const { relay, shards, settle, warnings } = createWorld()
  let done = 0
  relay.order(subscribe, () => done++)
  settle()
  shards[0]!.said[0]!.answered({ ok: false, error: errors.internal })
  shards[1]!.said[0]!.answered(CARRIED_OUT)
  settle()
  expect(done).toBe(1)
  expect(ordersOf(shards[0]!.said)[1]).toMatchObject({ kind: 'disconnect', user: '7', code: 3011 })
  expect(shards[1]!.said).toHaveLength(1)
  expect(warnings).toMatchObject([{ shard: 0, order: 'subscribe' }])
})

test('what finds a ring full waits and goes out in order, notices among the orders', () => {
  const { relay, shards, settle } = createWorld()
  const COUNT = 3_000
  for (let n = 0; n < COUNT; n++) {
    if (n % 2 === 0) relay.order(unsubscribe(`user ${n}`), () => {})
    else relay.notice('lock', `notice ${n}`)
  }
  expect(relay.owed()).toBeGreaterThan(0)
  settle()
  expect(relay.owed()).toBe(0)
  for (const { said, heard } of shards) {
    const users = ordersOf(said).map(({ user }) => user)
    expect(users).toEqual(Array.from({ length: COUNT / 2 }, (_, n) => `user ${2 * n}`))
    expect(heard.map(([, text]) => text)).toEqual(
      Array.from({ length: COUNT / 2 }, (_, n) => `notice ${2 * n + 1}`),
    )
    expect(heard[0]![0]).toEqual({ type: 'tell', kind: 'notice', tell: { topic: 'lock' } })
  }
})

test('connections of a user are those of all shards', () => {
  const { relay, presence } = createWorld()
  for (const shard of [0, 1]) presence.add(presence.acquire('7', shard, PIN_HOLDER), shard, 2 + shard)
  expect(relay.connections('7')).toBe(5)
  expect(relay.connections('8')).toBe(0)
})
