// Runs files of this folder as worker threads.

import { type TransferListItem, Worker } from 'node:worker_threads'

export type Job = { file: string; workerData: unknown; transferList?: TransferListItem[] }

/**
 * Starts a worker for each job and resolves when all have ended, to the last message of each. The first error
 * ends all of them, since the others may wait for the broken one for ever.
 */
export async function runWorkers(jobs: Job[]): Promise<unknown[]> {
  const running = jobs.map(start)
  try {
    return await Promise.all(running.map(({ ended }) => ended))
  } finally {
    await Promise.all(running.map(({ worker }) => worker.terminate()))
  }
}

function start({ file, workerData, transferList = [] }: Job): { worker: Worker; ended: Promise<unknown> } {
  const worker = new Worker(new URL(file, import.meta.url), { workerData, transferList })
  const ended = new Promise<unknown>((resolve, reject) => {
    let last: unknown
    worker.on('message', message => {
      last = message
    })
    worker.on('error', reject)
    worker.on('exit', code => (code === 0 ? resolve(last) : reject(new Error(`${file} ended with ${code}`))))
  })
  return { worker, ended }
}
