// Starts a counting shard on a thread of its own, for tests.

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { CountingJob } from './counting-shard.ts'

/** Resolves when the thread has ended; rejects with what it threw. */
export async function runShard(workerData: CountingJob): Promise<void> {
  const worker = new Worker(new URL('./counting-shard.ts', import.meta.url), { workerData })
  const [exitCode] = await once(worker, 'exit')
  if (exitCode !== 0) throw new Error(`the shard ended with code ${exitCode}`)
}
