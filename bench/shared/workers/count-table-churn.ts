// One thread of the count table's benchmark: acquires and releases names of its own without pause, and posts
// its rate in pairs per second.

import { parentPort, workerData } from 'node:worker_threads'
import { monotonicUs } from '../../../src/base/clock.ts'
import { CountTable, PIN_HOLDER } from '../../../src/shared/count-table.ts'

export type TableJob = {
  memory: SharedArrayBuffer
  hashKey: Uint32Array
  /** Counts the threads that are ready, so that all begin together. */
  gate: Int32Array
  threads: number
  shard: number
  rounds: number
}

const { memory, hashKey, gate, threads, shard, rounds } = workerData as TableJob
const table = new CountTable(memory, hashKey)
const names = Array.from({ length: 1000 }, (_, index) => `churn:${shard}:${index}`)
churn(Math.min(rounds, 50_000))

Atomics.add(gate, 0, 1)
while (Atomics.load(gate, 0) < threads) {}
const beginUs = monotonicUs()
churn(rounds)
const elapsedUs = monotonicUs() - beginUs
parentPort!.postMessage((rounds * 1e6) / elapsedUs)

function churn(pairs: number): void {
  for (let pair = 0; pair < pairs; pair++) {
    table.release(table.acquire(names[pair % names.length]!, shard, PIN_HOLDER), shard, PIN_HOLDER)
  }
}
