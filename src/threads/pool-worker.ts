// A thread of the pool: runs one task at a time. Invariant: what a caller is to be told travels as a value, since an
// error that is copied between threads forgets what it was.

import { parentPort, threadId, workerData } from 'node:worker_threads'
import { CallError, type FailureKind } from '../messenger/failures.ts'
import { startPool } from '../messenger/pool/run.ts'
import type { PoolStart, TaskKind, Tasks } from '../messenger/tasks.ts'

export type PoolTask = Readonly<{ kind: TaskKind; input: Tasks[TaskKind]['input'] }>

export type PoolResult =
  | Readonly<{ ok: true; output: unknown }>
  | Readonly<{
      ok: false
      error: Readonly<{ kind: FailureKind; message: string; retryAfterMs: number | undefined }>
    }>

parentPort?.postMessage(threadId)

// At the first task and not at once: what fails then fails the task, and the next one tries again.
let run: ReturnType<typeof startPool> | undefined

export default async function runTask({ kind, input }: PoolTask): Promise<PoolResult> {
  try {
    run ??= startPool(workerData as PoolStart)
    return { ok: true, output: await run(kind, input as never) }
  } catch (error) {
    if (!(error instanceof CallError)) throw error
    const { kind: failure, message, retryAfterMs } = error
    return { ok: false, error: { kind: failure, message, retryAfterMs } }
  }
}
