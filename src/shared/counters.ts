// Numbers that shards count and main reads, one row a shard. Written on the shards, read on main at a scrape.
// Invariant: a row has a single writer, so that `row[slot] += 1` as a plain load and store loses nothing.

import { assert } from '../base/assert.ts'
import { COUNTER_ROWS_MAX, COUNTER_SLOTS_MAX, rowStrideBytes } from './counters.layout.ts'

/** A plain record: it travels to a shard as workerData, and the buffer in it is shared, not copied. */
export type CounterMemory = {
  readonly buffer: SharedArrayBuffer
  readonly shards: number
  readonly slots: number
}

export function createCounterMemory(size: { shards: number; slots: number }): CounterMemory {
  const { shards, slots } = size
  assert(Number.isInteger(shards) && shards >= 1 && shards <= COUNTER_ROWS_MAX, `counter rows: ${shards}`)
  assert(Number.isInteger(slots) && slots >= 1 && slots <= COUNTER_SLOTS_MAX, `counter slots: ${slots}`)
  return { buffer: new SharedArrayBuffer(shards * rowStrideBytes(slots)), shards, slots }
}

/**
 * The row of a shard: its own to write, main's to read. It outlives the thread: the shard that takes the
 * place of a quarantined one goes on counting in it and resets only the gauges.
 *
 * No Atomics: main needs no order among the numbers, only that each is whole and soon visible. The language
 * promises untorn plain access for integers only, but an aligned double is one load or store of 8 bytes on
 * the platforms that we support (x86-64 and arm64), and those don't tear.
 */
export function rowOf(memory: CounterMemory, shard: number): Float64Array {
  assert(Number.isInteger(shard) && shard >= 0 && shard < memory.shards, `no counter row ${shard}`)
  return new Float64Array(memory.buffer, shard * rowStrideBytes(memory.slots), memory.slots)
}
