// Entry of the worker threads that make the load: a receiver or the publisher, by workerData, and its loop of requests.
// Invariant: requests begin in the order in which they came. Each is answered when it is done: one that takes long
// (connect, reconnect) does not keep the others, such as progress, waiting. The id tells which answer is whose.

import { parentPort, workerData } from 'node:worker_threads'
import { plainText } from './plain-text.ts'
import type { PublisherData, ReceiverData } from './requests.ts'

/** What the main thread posts, and gets back. */
export type Asked = Readonly<{ id: number; request: object }>
export type Answered = Readonly<{ id: number; answer: unknown }> | Readonly<{ id: number; error: string }>

/** What createReceiver() and createPublisher() give. */
type Role = Readonly<{ answer: (request: object) => unknown }>

const data = workerData as ReceiverData | PublisherData
const port = parentPort!
const role = await start()

port.on('message', async ({ id, request }: Asked) => {
  // Begins at once: nothing is awaited before it.
  port.postMessage(await answerTo(id, request))
  // Nothing else keeps the thread.
  if ((request as { kind?: unknown }).kind === 'close') port.close()
})

async function start(): Promise<Role> {
  // Each loads its own files only: a receiver needs no HTTP client.
  if (data.role === 'receiver') return (await (await import('./receiver.ts')).createReceiver(data)) as Role
  return (await (await import('./publisher.ts')).createPublisher(data)) as Role
}

async function answerTo(id: number, request: object): Promise<Answered> {
  try {
    return { id, answer: await role.answer(request) }
  } catch (error) {
    return { id, error: plainText(error instanceof Error ? error.message : String(error)) }
  }
}
