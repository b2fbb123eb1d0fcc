// A worker thread of the load and how it is asked: requests with ids, each answered once. Main thread.
// Invariant: every ask ends: by its answer, by the end of the thread (at once, if that was before), or by its deadline.

import { Worker } from 'node:worker_threads'
import { LoadError } from '../errors.ts'
import type {
  Churned,
  Connected,
  PublisherData,
  PublisherEnds,
  PublisherProgress,
  PublisherRequest,
  ReceiverData,
  ReceiverFinish,
  ReceiverProgress,
  ReceiverRequest,
  Reconnections,
  WindowLatencies,
} from '../generator/requests.ts'
import type { Answered, Asked } from '../generator/worker.ts'

type ReceiverAnswers = {
  connect: Connected
  reconnect: Reconnections
  reconnectWhenEnded: Reconnections
  stopChurn: Churned
  windows: WindowLatencies
  progress: ReceiverProgress
  finish: ReceiverFinish
}
type PublisherAnswers = { progress: PublisherProgress; ends: PublisherEnds }

/** The answer to a request; those that are not listed are answered with nothing of interest. */
type AnswerTo<R extends { kind: string }, A> = R['kind'] extends keyof A ? A[R['kind']] : unknown

type Thread = Readonly<{
  name: string
  /** Rejects when the thread ends without having been told to; else stays pending. */
  failed: Promise<never>
  stop: () => Promise<void>
}>

export type Receiver = Thread &
  Readonly<{ ask: <R extends ReceiverRequest>(request: R) => Promise<AnswerTo<R, ReceiverAnswers>> }>
export type Publisher = Thread &
  Readonly<{ ask: <R extends PublisherRequest>(request: R) => Promise<AnswerTo<R, PublisherAnswers>> }>

const WORKER = new URL('../generator/worker.ts', import.meta.url)
/** Connecting and coming back have deadlines of their own in the thread; this one only finds a thread that hangs. */
const ANSWER_TIMEOUT_MS = 300_000
/** To take leave of servers. What is not done by then is cut off. */
const CLOSE_TIMEOUT_MS = 1000

export function startReceiver(data: ReceiverData): Receiver {
  return startThread(`receiver ${data.index}`, data) as Receiver
}

export function startPublisher(data: PublisherData): Publisher {
  return startThread('publisher', data) as Publisher
}

type Waiting = Readonly<{
  resolve: (answer: unknown) => void
  reject: (error: unknown) => void
  timer: NodeJS.Timeout
}>

function startThread(
  name: string,
  workerData: ReceiverData | PublisherData,
): Thread & { ask: (request: { kind: string }) => Promise<unknown> } {
  const worker = new Worker(WORKER, { workerData, name })
  const waiting = new Map<number, Waiting>()
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => {})
  let nextId = 1
  let isStopped = false
  let ended: LoadError | undefined
  const end = (reason: string) => {
    ended ??= new LoadError(`${name}: ${reason}`)
    failed.reject(ended)
    for (const { reject, timer } of waiting.values()) {
      clearTimeout(timer)
      reject(ended)
    }
    waiting.clear()
  }
  const ask = (request: { kind: string }, timeoutMs = ANSWER_TIMEOUT_MS): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (ended !== undefined) return reject(ended)
      const id = nextId++
      const timer = setTimeout(() => {
        waiting.delete(id)
        reject(new LoadError(`${name} did not answer to ${request.kind} within ${timeoutMs / 1000} s`))
      }, timeoutMs)
      waiting.set(id, { resolve, reject, timer })
      worker.postMessage({ id, request } satisfies Asked)
    })
  worker.on('message', (answered: Answered) => {
    const asked = waiting.get(answered.id)
    if (asked === undefined) return
    waiting.delete(answered.id)
    clearTimeout(asked.timer)
    if ('error' in answered) asked.reject(new LoadError(answered.error))
    else asked.resolve(answered.answer)
  })
  worker.on('error', error => end(error instanceof Error ? (error.stack ?? error.message) : String(error)))
  worker.on('exit', code => {
    if (!isStopped) end(`the thread ended with ${code}`)
  })
  return {
    name,
    failed: failed.promise,
    ask: request => ask(request),
    async stop() {
      isStopped = true
      await ask({ kind: 'close' }, CLOSE_TIMEOUT_MS).catch(() => {})
      await worker.terminate()
      end('has been stopped')
    },
  }
}
