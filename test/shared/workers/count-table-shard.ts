// One shard of the count table's stress test: acquires, counts and releases names at random against a model
// of its own, and reports at the end what it still has: nothing, if it was told to give all back.

import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../../../src/base/assert.ts'
import { CountTable, NONE, PIN_HOLDER, PIN_HOME, type Pin } from '../../../src/shared/count-table.ts'
import { randomFrom } from '../random.ts'

export type ShardJob = {
  memory: SharedArrayBuffer
  hashKey: Uint32Array
  shard: number
  seed: number
  names: number
  steps: number
  releaseAll: boolean
}
export type ShardReport = { counts: number[]; homes: boolean[]; refused: number }

const job = workerData as ShardJob
const table = new CountTable(job.memory, job.hashKey)
const random = randomFrom(job.seed)
const holders = new Array<number>(job.names).fill(NONE)
const homes = new Array<number>(job.names).fill(NONE)
const counts = new Array<number>(job.names).fill(0)
let refused = 0

for (let step = 0; step < job.steps; step++) {
  const name = random(job.names)
  if (random(4) === 0) stepHome(name)
  else stepHolder(name)
}
if (job.releaseAll) for (let name = 0; name < job.names; name++) releaseAll(name)
parentPort!.postMessage({ counts, homes: homes.map(node => node !== NONE), refused } satisfies ShardReport)

function stepHome(name: number): void {
  if (homes[name] === NONE) homes[name] = acquire(name, PIN_HOME)
  else {
    // What the home keeps may not become another name's.
    assert(table.find(nameOf(name)) === homes[name], 'pinned node moved')
    assert(table.total(homes[name]!) >= counts[name]!, 'total below own count')
    table.release(homes[name]!, job.shard, PIN_HOME)
    homes[name] = NONE
  }
}

function stepHolder(name: number): void {
  if (holders[name] === NONE) {
    holders[name] = acquire(name, PIN_HOLDER)
    if (holders[name] !== NONE) counts[name] = table.add(holders[name]!, job.shard, 1)
    return
  }
  const node = holders[name]!
  assert(table.countAt(node, job.shard) === counts[name], 'own count')
  const delta = random(2) === 0 ? -counts[name]! : 1 + random(3)
  counts[name]! += delta
  assert(table.add(node, job.shard, delta) === counts[name], 'count after add')
  if (counts[name] === 0) {
    table.release(node, job.shard, PIN_HOLDER)
    holders[name] = NONE
  }
}

function releaseAll(name: number): void {
  if (holders[name] !== NONE) {
    table.add(holders[name]!, job.shard, -counts[name]!)
    table.release(holders[name]!, job.shard, PIN_HOLDER)
    counts[name] = 0
  }
  if (homes[name] !== NONE) table.release(homes[name]!, job.shard, PIN_HOME)
  homes[name] = NONE
}

function acquire(name: number, pin: Pin): number {
  const node = table.acquire(nameOf(name), job.shard, pin)
  if (node === NONE) refused++
  return node
}

function nameOf(name: number): string {
  return `channel:${name}`
}
