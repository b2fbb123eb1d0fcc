// The count table: one thread alone, then two threads that take the lock without pause, which is the worst
// case for one lock per table.

import { Worker } from 'node:worker_threads'
import { CountTable, createCountTableMemory, PIN_HOLDER, PIN_HOME } from '../../src/shared/count-table.ts'
import { type Benchmark, type BenchRow, type BenchSize, perCall } from '../bench.ts'
import type { TableJob } from './workers/count-table-churn.ts'

const OPS = 1000
const SHARDS = 8
const KEEPERS = 100_000
const ROUNDS = { full: 1_000_000, smoke: 1000 }
const hashKey = new Uint32Array([0x12345678, 0x9abcdef0])

const memory = createCountTableMemory({ capacity: 2 * KEEPERS, shards: SHARDS })
const table = new CountTable(memory, hashKey)
const names = Array.from({ length: OPS }, (_, index) => `user:${index}`)
for (let index = 0; index < KEEPERS; index++) table.acquire(`keeper:${index}`, SHARDS - 1, PIN_HOLDER)
const keeper = table.acquire('keeper:0', SHARDS - 1, PIN_HOME)

const alone = perCall('', OPS, {
  'acquire a new name and release it': () => {
    for (const name of names) table.release(table.acquire(name, 0, PIN_HOLDER), 0, PIN_HOLDER)
  },
  'pin a name that is there and unpin it': () => {
    for (let index = 0; index < OPS; index++) {
      table.release(table.acquire(`keeper:${index * 97}`, 0, PIN_HOME), 0, PIN_HOME)
    }
  },
  'count up or down': () => {
    for (let index = 0; index < OPS; index++) table.add(keeper, SHARDS - 1, index % 2 === 0 ? 1 : -1)
  },
  'read the counts of 8 shards': () => {
    let total = 0
    for (let index = 0; index < OPS; index++) total += table.total(keeper)
    return total
  },
})

async function churn(threads: number, size: BenchSize): Promise<BenchRow> {
  const rounds = ROUNDS[size]
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const url = new URL('workers/count-table-churn.ts', import.meta.url)
  const ratesPerSecond = await Promise.all(
    Array.from({ length: threads }, (_, shard) => {
      const workerData: TableJob = { memory, hashKey, gate, threads, shard, rounds }
      const worker = new Worker(url, { workerData })
      return new Promise<number>((resolve, reject) => {
        worker.once('message', resolve)
        worker.once('error', reject)
      })
    }),
  )
  const opsPerSecond = ratesPerSecond.reduce((sum, rate) => sum + rate, 0)
  return { case: `acquire and release, ${threads} thread(s) together`, opsPerSecond }
}

export default {
  name: `count table: ${SHARDS} shards, ${KEEPERS} names in use`,
  async run(size) {
    return [...(await alone.run(size)), await churn(1, size), await churn(2, size)]
  },
} satisfies Benchmark
