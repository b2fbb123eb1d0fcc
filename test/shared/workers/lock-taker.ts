// Increments a plain word under the lock; without exclusion, increments get lost.

import { workerData } from 'node:worker_threads'
import { lock, unlock } from '../../../src/shared/lock.ts'

export type TakerJob = { memory: SharedArrayBuffer; rounds: number; workPerRound: number }

const job = workerData as TakerJob
const words = new Int32Array(job.memory)
for (let round = 0; round < job.rounds; round++) {
  lock(words, 0)
  const before = words[32]!
  for (let work = 0; work < job.workPerRound; work++) Atomics.load(words, 64)
  words[32] = before + 1
  unlock(words, 0)
}
