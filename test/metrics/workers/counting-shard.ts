// A shard that only counts, for tests: does one job on its row and ends.

import { workerData } from 'node:worker_threads'
import { observe, resetGauges, slots } from '../../../src/metrics/slots.ts'
import { type CounterMemory, rowOf } from '../../../src/shared/counters.ts'

export type CountingJob = {
  readonly memory: CounterMemory
  readonly shard: number
  readonly job:
    | { readonly kind: 'count'; readonly rounds: number }
    /** Writes the two values by turns until signal[1] is 1; signal[0] becomes 1 with the first. */
    | { readonly kind: 'flip'; readonly values: readonly [number, number]; readonly signal: Int32Array }
}

const { memory, shard, job } = workerData as CountingJob
const row = rowOf(memory, shard)
resetGauges(row)
if (job.kind === 'count') {
  for (let round = 0; round < job.rounds; round += 1) {
    row[slots.publications.client]! += 1
    row[slots.connections.websocket]! += 1
    observe(row, slots.fanoutSize, round % 7)
  }
} else {
  const { values, signal } = job
  for (let turn = 0; Atomics.load(signal, 1) === 0; turn += 1) {
    row[0] = values[turn & 1]!
    if (turn === 0) {
      // Seen by the Atomics.wait of the test.
      Atomics.store(signal, 0, 1)
      Atomics.notify(signal, 0)
    }
  }
}
