// The members of a channel against a plain map, and the keys that were published lately.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { IdempotencyCache } from '../../src/channel/idempotency.ts'
import { type Member, Members } from '../../src/channel/members.ts'
import { IDEMPOTENCY_ENTRIES_MAX, IDEMPOTENCY_WINDOW_MS } from '../../src/config/limits.ts'

const client = fc.constantFrom('one', 'two', 'three', 'four')
const step = fc.oneof(
  fc.record({
    kind: fc.constant('add' as const),
    client,
    user: fc.constantFrom('', 'u', 'v'),
    shard: fc.nat(1),
    presence: fc.boolean(),
    emitsJoinLeave: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('remove' as const), client }),
  fc.record({ kind: fc.constant('lose' as const), shard: fc.nat(1) }),
)

describe('members', () => {
  test('are what a plain map says, through any sequence of coming, coming again and going', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: 'max' }), steps => {
        const members = new Members()
        const model = new Map<string, Member>()
        for (const one of steps) {
          if (one.kind === 'add') {
            const { kind: _, client, ...fields } = one
            const member = { ...fields, info: `"${client} of ${one.user}"` }
            members.add(client, member)
            model.set(client, member)
          } else if (one.kind === 'remove') {
            expect(members.remove(one.client)).toEqual(model.get(one.client))
            model.delete(one.client)
          } else {
            const lost = [...model].filter(([, { shard }]) => shard === one.shard)
            expect(members.removeShard(one.shard)).toHaveLength(lost.length)
            for (const [client] of lost) model.delete(client)
          }
          const present = [...model].filter(([, { presence }]) => presence)
          expect(members.size).toBe(model.size)
          expect(members.clients).toBe(present.length)
          expect(members.users).toBe(new Set(present.map(([, { user }]) => user)).size)
          const listed = JSON.parse(`{${members.json(10_000)}}`)
          expect(listed).toEqual(
            Object.fromEntries(present.map(([client, { info }]) => [client, JSON.parse(info)])),
          )
        }
      }),
    )
  })

  test('are listed up to a size in bytes', () => {
    const members = new Members()
    const member = { user: 'u', info: '"ä"', shard: 0, presence: true, emitsJoinLeave: false }
    members.add('a', member)
    expect(members.json(9)).toBe('"a":"ä"')
    expect(members.json(8)).toBeUndefined()
  })
})

describe('idempotency', () => {
  const result = (offset: number) => ({ epoch: 'e', offset })

  test('a key is known in its channel, for its time', () => {
    const cache = new IdempotencyCache()
    cache.remember('a', 'k', result(1), 0)
    expect(cache.find('a', 'k', IDEMPOTENCY_WINDOW_MS - 1)).toEqual(result(1))
    expect(cache.find('a', 'k', IDEMPOTENCY_WINDOW_MS)).toBeUndefined()
    expect(cache.find('b', 'k', 0)).toBeUndefined()
    expect(cache.find('a', 'k2', 0)).toBeUndefined()
    cache.remember('a', 'x\nk', result(2), 0)
    expect(cache.find('a\nx', 'y', 0)).toBeUndefined()
  })

  test('what has expired is forgotten, what was remembered again is not', () => {
    const cache = new IdempotencyCache()
    cache.remember('a', 'k1', result(1), 0)
    cache.remember('a', 'k2', result(2), 10)
    cache.remember('a', 'k1', result(3), 20)
    cache.expire(IDEMPOTENCY_WINDOW_MS + 10)
    expect(cache.find('a', 'k2', 0)).toBeUndefined()
    expect(cache.find('a', 'k1', 0)).toEqual(result(3))
  })

  test('of too many keys the oldest are forgotten', () => {
    const cache = new IdempotencyCache()
    for (let key = 0; key <= IDEMPOTENCY_ENTRIES_MAX; key++) cache.remember('a', `${key}`, result(key), 0)
    expect(cache.find('a', '0', 0)).toBeUndefined()
    expect(cache.find('a', '1', 0)).toEqual(result(1))
    expect(cache.find('a', `${IDEMPOTENCY_ENTRIES_MAX}`, 0)).toEqual(result(IDEMPOTENCY_ENTRIES_MAX))
  })
})
