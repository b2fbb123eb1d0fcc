// Counter rows: their layout, and what another thread sees of them.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { slotCount, slots } from '../../src/metrics/slots.ts'
import {
  COUNTER_ROWS_MAX,
  COUNTER_SLOTS_MAX,
  PADDING_BYTES,
  rowStrideBytes,
  SLOT_BYTES,
} from '../../src/shared/counters.layout.ts'
import { createCounterMemory, rowOf } from '../../src/shared/counters.ts'
import { runShard } from '../metrics/workers/run-shard.ts'

describe('layout', () => {
  test('rows of any size are aligned, apart by the padding, and within the buffer', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: COUNTER_ROWS_MAX }),
        fc.integer({ min: 1, max: 1_000 }),
        (shards, slots) => {
          const memory = createCounterMemory({ shards, slots })
          expect(rowStrideBytes(slots) - slots * SLOT_BYTES).toBeGreaterThanOrEqual(PADDING_BYTES)
          for (let shard = 0; shard < shards; shard += 1) {
            const row = rowOf(memory, shard)
            expect(row.length).toBe(slots)
            expect(row.byteOffset).toBe(shard * rowStrideBytes(slots))
            expect(row.byteOffset % SLOT_BYTES).toBe(0)
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  test('a number in one row is in no other', () => {
    const memory = createCounterMemory({ shards: 3, slots: 5 })
    rowOf(memory, 1).fill(7)
    expect([...rowOf(memory, 0), ...rowOf(memory, 2)]).toEqual(new Array(10).fill(0))
    expect([...rowOf(memory, 1)]).toEqual(new Array(5).fill(7))
  })

  test.each([
    [{ shards: 0, slots: 1 }],
    [{ shards: COUNTER_ROWS_MAX + 1, slots: 1 }],
    [{ shards: 1.5, slots: 1 }],
    [{ shards: 1, slots: 0 }],
    [{ shards: 1, slots: COUNTER_SLOTS_MAX + 1 }],
  ])('refuses the size %o', size => {
    expect(() => createCounterMemory(size)).toThrow(/counter (rows|slots)/)
  })

  test.each([-1, 2, 0.5])('there is no row %d of two', shard => {
    const memory = createCounterMemory({ shards: 2, slots: 1 })
    expect(() => rowOf(memory, shard)).toThrow('no counter row')
  })
})

describe('threads', () => {
  test('two shards count at once and main sees every increment', async () => {
    const memory = createCounterMemory({ shards: 2, slots: slotCount })
    const job = { kind: 'count', rounds: 500_000 } as const
    await Promise.all([runShard({ memory, shard: 0, job }), runShard({ memory, shard: 1, job })])
    for (const shard of [0, 1]) expect(rowOf(memory, shard)[slots.publications.client]).toBe(500_000)
  })

  test('a shard that takes over a row goes on with its counters and starts its gauges anew', async () => {
    const memory = createCounterMemory({ shards: 1, slots: slotCount })
    await runShard({ memory, shard: 0, job: { kind: 'count', rounds: 1_000 } })
    await runShard({ memory, shard: 0, job: { kind: 'count', rounds: 10 } })
    const row = rowOf(memory, 0)
    expect(row[slots.publications.client]).toBe(1_010)
    expect(row[slots.connections.websocket]).toBe(10)
  })

  test('a reader never sees half of a number', async () => {
    const memory = createCounterMemory({ shards: 1, slots: slotCount })
    const row = rowOf(memory, 0)
    // Each half of the one differs from the same half of the other.
    const values = [1.000_000_1, -1e300 / 3] as const
    const signal = new Int32Array(new SharedArrayBuffer(8))
    const ended = runShard({ memory, shard: 0, job: { kind: 'flip', values, signal } })
    await Atomics.waitAsync(signal, 0, 0).value
    const seen = new Map<number, number>()
    while (values.some(value => (seen.get(value) ?? 0) < 100_000)) {
      const value = row[0]!
      seen.set(value, (seen.get(value) ?? 0) + 1)
      if (seen.size > 2) break
    }
    Atomics.store(signal, 1, 1)
    await ended
    expect(new Set(seen.keys())).toEqual(new Set(values))
  })
})
