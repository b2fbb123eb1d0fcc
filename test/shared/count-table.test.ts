import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  CountTable,
  createCountTableMemory,
  NONE,
  PIN_HOLDER,
  PIN_HOME,
  type Pin,
} from '../../src/shared/count-table.ts'
import type { ShardJob, ShardReport } from './workers/count-table-shard.ts'
import { runWorkers } from './workers/spawn.ts'

const HASH_KEY = new Uint32Array([0x12345678, 0x9abcdef0])

function createTable(capacity = 4, shards = 3): CountTable {
  return new CountTable(createCountTableMemory({ capacity, shards }), HASH_KEY)
}

describe('count table, one thread', () => {
  test('all pins of a name lie on one node, with one count for each shard', () => {
    const table = createTable()
    const node = table.acquire('news', 0, PIN_HOLDER)
    expect(table.acquire('news', 2, PIN_HOLDER)).toBe(node)
    expect(table.acquire('news', 0, PIN_HOME)).toBe(node)
    expect(table.find('news')).toBe(node)
    expect(table.used()).toBe(1)
    expect(table.add(node, 0, 3)).toBe(3)
    expect(table.add(node, 2, 5)).toBe(5)
    expect(table.add(node, 0, -1)).toBe(2)
    expect([0, 1, 2].map(shard => table.countAt(node, shard))).toEqual([2, 0, 5])
    expect(table.total(node)).toBe(7)
    const counts = new Int32Array(3)
    expect(table.readCounts('news', counts)).toBe(7)
    expect([...counts]).toEqual([2, 0, 5])
  })

  test('a name that nobody has pinned is not there', () => {
    const table = createTable()
    const counts = new Int32Array([9, 9, 9])
    expect(table.find('news')).toBe(NONE)
    expect(table.readCounts('news', counts)).toBe(0)
    expect([...counts]).toEqual([0, 0, 0])
  })

  test('a node is given back with its last pin, whoever had it', () => {
    const table = createTable()
    const node = table.acquire('news', 0, PIN_HOLDER)
    table.acquire('news', 1, PIN_HOME)
    table.release(node, 0, PIN_HOLDER)
    expect(table.find('news')).toBe(node)
    table.release(node, 1, PIN_HOME)
    expect(table.find('news')).toBe(NONE)
    expect(table.used()).toBe(0)
  })

  test('refuses a new name when full, serves those it has, and takes new ones when one has gone', () => {
    const table = createTable(3)
    const nodes = ['a', 'b', 'c'].map(name => table.acquire(name, 0, PIN_HOLDER))
    nodes.forEach((node, index) => {
      table.add(node, 0, index + 1)
    })
    expect(table.acquire('d', 0, PIN_HOLDER)).toBe(NONE)
    expect(table.used()).toBe(3)
    expect(table.acquire('b', 1, PIN_HOLDER)).toBe(nodes[1])
    expect(nodes.map(node => table.total(node))).toEqual([1, 2, 3])
    table.add(nodes[0]!, 0, -1)
    table.release(nodes[0]!, 0, PIN_HOLDER)
    expect(table.acquire('d', 0, PIN_HOLDER)).not.toBe(NONE)
    expect(table.acquire('e', 0, PIN_HOLDER)).toBe(NONE)
  })

  test('gives slots back under churn: as many names as ever come and go', () => {
    const table = createTable(8)
    for (let round = 0; round < 10_000; round++) {
      const nodes = Array.from({ length: 8 }, (_, index) => table.acquire(`${round}:${index}`, 1, PIN_HOLDER))
      expect(new Set(nodes).size).toBe(8)
      expect(nodes).not.toContain(NONE)
      for (const node of nodes) table.release(node, 1, PIN_HOLDER)
    }
    expect(table.used()).toBe(0)
  })

  test('wrong use is a programmer error and leaves the lock free', () => {
    const table = createTable()
    const node = table.acquire('news', 0, PIN_HOLDER)
    expect(() => table.acquire('news', 0, PIN_HOLDER)).toThrow('already has this pin')
    expect(() => table.acquire('news', 3, PIN_HOLDER)).toThrow('shard')
    expect(() => table.release(node, 1, PIN_HOLDER)).toThrow('without a pin')
    expect(() => table.release(node, 0, PIN_HOME)).toThrow('without a pin')
    expect(() => table.add(node, 1, 1)).toThrow('without a pin')
    expect(() => table.release(NONE, 0, PIN_HOLDER)).toThrow('node or shard')
    table.add(node, 0, 1)
    expect(() => table.release(node, 0, PIN_HOLDER)).toThrow('with a count')
    expect(() => table.add(node, 0, -2)).toThrow('below zero')
    expect(table.find('news')).toBe(node)
  })

  test('keeps the pins of 64 shards apart', () => {
    const table = createTable(2, 64)
    const node = table.acquire('news', 0, PIN_HOLDER)
    for (let shard = 1; shard < 64; shard++) table.acquire('news', shard, PIN_HOLDER)
    for (let shard = 0; shard < 64; shard++) table.add(node, shard, shard)
    for (const shard of [31, 32, 63]) {
      expect(table.clearShard(shard)).toBe(1)
      expect(() => table.add(node, shard, 1)).toThrow('without a pin')
    }
    expect(table.total(node)).toBe((63 * 64) / 2 - 31 - 32 - 63)
  })

  test('the end of a shard takes its pins and counts, and nothing of the others', () => {
    const table = createTable(5000, 2)
    for (let name = 0; name < 3000; name++) {
      table.add(table.acquire(`both:${name}`, 0, PIN_HOLDER), 0, 2)
      table.add(table.acquire(`both:${name}`, 1, PIN_HOLDER), 1, 1)
      if (name < 1000) table.acquire(`alone:${name}`, 1, PIN_HOME)
    }
    expect(table.clearShard(1)).toBe(4000)
    expect(table.used()).toBe(3000)
    const counts = new Int32Array(2)
    for (let name = 0; name < 3000; name++) {
      table.readCounts(`both:${name}`, counts)
      expect([...counts]).toEqual([2, 0])
    }
    expect(table.clearShard(1)).toBe(0)
    expect(table.clearShard(0)).toBe(3000)
    expect(table.used()).toBe(0)
  })

  test('behaves like a map of maps under any sequence of operations', () => {
    const shard = fc.nat(2)
    const name = fc.nat(7).map(number => `name${number}`)
    const pin = fc.constantFrom<Pin>(PIN_HOLDER, PIN_HOME)
    const operation = fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('toggle' as const), name, shard, pin }) },
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant('add' as const), name, shard, delta: fc.nat(9) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), shard }) },
    )
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 300 }), operations => {
        const table = createTable(5, 3)
        const model = new Map<string, { pins: Set<string>; counts: number[] }>()
        for (const step of operations) {
          if (step.kind === 'clear') clearBoth(table, model, step.shard)
          else if (step.kind === 'toggle') toggleBoth(table, model, step)
          else if (model.get(step.name)?.pins.has(`${step.shard}/${PIN_HOLDER}`)) {
            const { counts } = model.get(step.name)!
            counts[step.shard]! += step.delta
            expect(table.add(table.find(step.name), step.shard, step.delta)).toBe(counts[step.shard])
          }
          expectSame(table, model)
        }
      }),
    )
  })
})

type Model = Map<string, { pins: Set<string>; counts: number[] }>

function toggleBoth(table: CountTable, model: Model, step: { name: string; shard: number; pin: Pin }): void {
  const { name, shard, pin } = step
  const entry = model.get(name)
  const key = `${shard}/${pin}`
  if (entry?.pins.has(key)) {
    const node = table.find(name)
    if (pin === PIN_HOLDER) {
      table.add(node, shard, -entry.counts[shard]!)
      entry.counts[shard] = 0
    }
    table.release(node, shard, pin)
    entry.pins.delete(key)
    if (entry.pins.size === 0) model.delete(name)
  } else {
    const node = table.acquire(name, shard, pin)
    expect(node === NONE).toBe(entry === undefined && model.size === table.capacity)
    if (node === NONE) return
    if (entry) entry.pins.add(key)
    else model.set(name, { pins: new Set([key]), counts: [0, 0, 0] })
  }
}

function clearBoth(table: CountTable, model: Model, shard: number): void {
  let dropped = 0
  for (const [name, { pins, counts }] of model) {
    for (const pin of [PIN_HOLDER, PIN_HOME]) if (pins.delete(`${shard}/${pin}`)) dropped++
    counts[shard] = 0
    if (pins.size === 0) model.delete(name)
  }
  expect(table.clearShard(shard)).toBe(dropped)
}

function expectSame(table: CountTable, model: Model): void {
  expect(table.used()).toBe(model.size)
  const counts = new Int32Array(table.shards)
  for (let number = 0; number < 8; number++) {
    const name = `name${number}`
    table.readCounts(name, counts)
    expect([...counts]).toEqual(model.get(name)?.counts ?? [0, 0, 0])
    expect(table.find(name) === NONE).toBe(!model.has(name))
  }
}

describe('count table, several threads', () => {
  const SHARDS = 3
  const NAMES = 120
  // Fewer than names, so that the table is often full.
  const CAPACITY = 100

  function jobs(memory: SharedArrayBuffer, releaseAll: boolean) {
    return Array.from({ length: SHARDS }, (_, shard) => {
      const job = {
        memory,
        hashKey: HASH_KEY,
        shard,
        seed: 100 + shard,
        names: NAMES,
        steps: 300_000,
        releaseAll,
      }
      return { file: 'count-table-shard.ts', workerData: job satisfies ShardJob }
    })
  }

  test('ends with exactly the counts that the shards have', async () => {
    const memory = createCountTableMemory({ capacity: CAPACITY, shards: SHARDS })
    const reports = (await runWorkers(jobs(memory, false))) as ShardReport[]
    const table = new CountTable(memory, HASH_KEY)
    const counts = new Int32Array(SHARDS)
    let names = 0
    for (let name = 0; name < NAMES; name++) {
      table.readCounts(`channel:${name}`, counts)
      expect([...counts], `channel:${name}`).toEqual(reports.map(report => report.counts[name]))
      if (reports.some(report => report.counts[name]! > 0 || report.homes[name])) names++
    }
    expect(table.used()).toBe(names)
    // The stress must have met the full table, or it has tested less than it says.
    expect(Math.max(...reports.map(report => report.refused))).toBeGreaterThan(0)
    for (let shard = 0; shard < SHARDS; shard++) table.clearShard(shard)
    expect(table.used()).toBe(0)
  })

  test('is empty when all shards have given all back, and takes its full capacity again', async () => {
    const memory = createCountTableMemory({ capacity: CAPACITY, shards: SHARDS })
    await runWorkers(jobs(memory, true))
    const table = new CountTable(memory, HASH_KEY)
    expect(table.used()).toBe(0)
    const nodes = Array.from({ length: CAPACITY }, (_, index) => table.acquire(`again:${index}`, 0, PIN_HOME))
    expect(new Set(nodes).size).toBe(CAPACITY)
    expect(nodes).not.toContain(NONE)
    expect(nodes.map(node => table.total(node))).toEqual(nodes.map(() => 0))
    expect(table.acquire('more', 0, PIN_HOME)).toBe(NONE)
  })
})
