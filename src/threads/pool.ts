// The pool of threads for what blocks: password hashes, reading, images, exports. Owned by the messenger's thread.
// Invariant: of each kind of work so much runs at once and so much waits, at most; what is beyond is refused.

import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Piscina } from 'piscina'
import { monotonicMs } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { Turnstile } from '../base/turnstile.ts'
import type { MessengerOptions } from '../config/schema.ts'
import { CallError } from '../messenger/failures.ts'
import type { Pool } from '../messenger/ports.ts'
import type { PoolStart, TaskKind, Tasks } from '../messenger/tasks.ts'
import { slots } from '../metrics/slots.ts'
import { WITHOUT_WARNINGS } from './exec-argv.ts'
import type { PoolResult, PoolTask } from './pool-worker.ts'

export type RunningPool = Pool & Readonly<{ close: () => Promise<void> }>

/** A password costs 19 MiB and tens of milliseconds of a core: they must leave room for reading. */
const PASSWORDS_WAITING_MAX = 64
/** Uploads and exports take up to minutes. */
const LONG_WAITING_MAX = 32
const READS_WAITING_MAX = 1_000
/** Each kind of long task has a thread of its own beside the others, so that nobody waits for one to read a page. */
const LONG_KINDS = 2
const IDLE_THREADS = 2
/** A thread beyond these that was not used for so long ends. */
const IDLE_MS = 60_000
/** At the end what runs may come to its own; an export or an upload may take longer, and is begun again some day. */
const LAST_TASKS_MS = 2_000
const END_STEP_MS = 10

export function threadsOf(options: MessengerOptions): number {
  return options.pool_threads === 0 ? Math.max(2, availableParallelism()) : options.pool_threads
}

export function createPool(options: MessengerOptions, row: Float64Array, log: Log): RunningPool {
  const threads = threadsOf(options)
  const start: PoolStart = { options }
  const piscina = new Piscina<PoolTask, PoolResult>({
    filename: new URL('./pool-worker.ts', import.meta.url).href,
    minThreads: Math.min(IDLE_THREADS, threads),
    maxThreads: threads + LONG_KINDS,
    idleTimeout: IDLE_MS,
    execArgv: WITHOUT_WARNINGS,
    workerData: start,
  })
  const loaded = new Set<number>()
  piscina.on('message', (threadId: number) => loaded.add(threadId))
  // Of a thread that ended without a task; one with a task fails that.
  piscina.on('error', error => log.error({ err: error }, 'a thread of the pool failed'))
  const passwords = new Turnstile({
    runningMax: Math.max(1, Math.trunc(threads / 2)),
    waitingMax: PASSWORDS_WAITING_MAX,
  })
  const long = { runningMax: 1, waitingMax: LONG_WAITING_MAX }
  const lanes: Readonly<Record<TaskKind, Turnstile>> = {
    read: new Turnstile({ runningMax: threads, waitingMax: READS_WAITING_MAX }),
    hashPassword: passwords,
    verifyPassword: passwords,
    storeUpload: new Turnstile(long),
    exportConversation: new Turnstile(long),
  }
  const all = new Set(Object.values(lanes))
  const measure = () => {
    row[slots.messengerPoolWaiting] = [...all].reduce((sum, { waiting }) => sum + waiting, 0)
  }

  async function run<K extends TaskKind>(kind: K, input: Tasks[K]['input']): Promise<Tasks[K]['output']> {
    const lane = lanes[kind]
    if (lane.isFull) throw new CallError('busy')
    const entered = lane.enter()
    measure()
    await entered
    try {
      return outputOf(await piscina.run({ kind, input })) as Tasks[K]['output']
    } finally {
      lane.leave()
      measure()
    }
  }

  /**
   * Not before each thread has loaded its modules: one that is ended in the midst of that aborts the whole process. For
   * the same reason tasks, which may load more, get some time.
   */
  async function close(): Promise<void> {
    const untilMs = monotonicMs() + LAST_TASKS_MS
    const isLoading = () => piscina.threads.some(({ threadId }) => threadId > 0 && !loaded.has(threadId))
    const isBusy = () => monotonicMs() < untilMs && [...all].some(({ running }) => running > 0)
    while (isLoading() || isBusy()) await sleep(END_STEP_MS)
    await piscina.destroy()
  }

  return { run, close }
}

function outputOf(result: PoolResult): unknown {
  if (result.ok) return result.output
  const { kind, message, retryAfterMs } = result.error
  const error = new CallError(kind, '', retryAfterMs)
  error.message = message
  throw error
}
