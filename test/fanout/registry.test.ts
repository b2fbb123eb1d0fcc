// The registry of a shard's channels, over a real route table.

import { describe, expect, test } from 'vitest'
import { slowPolicyOf } from '../../src/fanout/audience.ts'
import { Registry } from '../../src/fanout/registry.ts'
import { slotCount, slots } from '../../src/metrics/slots.ts'
import { CountTable, createCountTableMemory, NONE } from '../../src/shared/count-table.ts'
import { optionsOf } from './recording-wire.ts'

const OPTIONS = optionsOf('catch_up', true)

function createRegistry(capacity = 4, makeRoom?: () => void) {
  const table = new CountTable(createCountTableMemory({ capacity, shards: 2 }), new Uint32Array([1, 2]))
  const row = new Float64Array(slotCount)
  const registry = new Registry(1, table, row, channel => channel.length % 2, makeRoom)
  return { table, row, registry }
}

describe('registry', () => {
  test('counts each subscriber in the route table, and gives the slot back after the last', () => {
    const { table, row, registry } = createRegistry()
    const channel = registry.join('abc', OPTIONS)!
    expect(registry.join('abc', OPTIONS)).toBe(channel)
    expect(registry.find('abc')).toBe(channel)
    expect(table.countAt(table.find('abc'), 1)).toBe(2)
    expect(table.countAt(table.find('abc'), 0)).toBe(0)
    expect(row[slots.subscriptions]).toBe(2)
    registry.leave(channel)
    expect(table.countAt(table.find('abc'), 1)).toBe(1)
    registry.leave(channel)
    expect(table.find('abc')).toBe(NONE)
    expect(registry.find('abc')).toBeUndefined()
    expect(row[slots.subscriptions]).toBe(0)
    expect(() => registry.leave(channel)).toThrow('was joined')
  })

  test('a full table refuses a new channel, but not one more subscriber, and counts it', () => {
    const { row, registry } = createRegistry(1)
    const first = registry.join('a', OPTIONS)!
    expect(registry.join('b', OPTIONS)).toBeUndefined()
    expect(registry.join('a', OPTIONS)).toBe(first)
    expect(row[slots.tableRefusals.route]).toBe(1)
    expect(row[slots.subscriptions]).toBe(2)
    registry.leave(first)
    registry.leave(first)
    expect(registry.join('b', OPTIONS)?.name).toBe('b')
  })

  test('a full table is asked for room before a channel is refused', () => {
    let asked = 0
    const { row, registry } = createRegistry(1, () => {
      asked++
      // What was only remembered gives its place back.
      const other = registry.find('a')
      if (other !== undefined && asked > 1) registry.leave(other)
    })
    registry.join('a', OPTIONS)
    expect(registry.join('b', OPTIONS)).toBeUndefined()
    expect(registry.join('b', OPTIONS)?.name).toBe('b')
    expect([asked, row[slots.tableRefusals.route]]).toEqual([2, 1])
  })

  test('knows the channels whose home is a shard', () => {
    const { registry } = createRegistry()
    for (const name of ['a', 'bb', 'ccc']) registry.join(name, OPTIONS)
    expect([...registry.atHomeOn(1)].map(({ name }) => name)).toEqual(['a', 'ccc'])
    expect([...registry.atHomeOn(0)].map(({ name }) => name)).toEqual(['bb'])
  })
})

describe('slow policy', () => {
  test('is that of the options, but without history there is nothing to catch up from', () => {
    expect(slowPolicyOf(optionsOf('catch_up', true))).toBe('catch_up')
    expect(slowPolicyOf(optionsOf('catch_up', false))).toBe('drop_oldest')
    for (const policy of ['drop_oldest', 'latest_only', 'disconnect'] as const) {
      expect(slowPolicyOf(optionsOf(policy, true))).toBe(policy)
      expect(slowPolicyOf(optionsOf(policy, false))).toBe(policy)
    }
  })
})
