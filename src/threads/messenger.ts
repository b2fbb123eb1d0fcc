// The role of the messenger: the one thread that writes its database. Start, tick, stop.
// Invariant: once its state is doubtful it touches no ring and no database any more, and its thread ends; what was not
// committed is then undone by the database when the next one opens it.

import { parentPort, workerData } from 'node:worker_threads'
import { assert, unreachable } from '../base/assert.ts'
import { reasonOf } from '../base/errors.ts'
import { MessengerCore } from './messenger-core.ts'
import type { FromMessenger, MessengerStart, ToMessenger } from './topology.ts'

assert(parentPort !== null, 'the messenger is a worker thread')
const main = parentPort
let core: MessengerCore | undefined
let failed = false

/** A thread of the pool may be in the midst of something that can't be ended; the process waits for it no longer. */
const END_MS = 5000

function tell(message: FromMessenger): void {
  main.postMessage(message)
}

/** Last resort: an error that no guard caught. */
function fail(error: unknown): void {
  if (failed) return
  failed = true
  core?.isolate()
  core?.log.error({ err: error }, 'an error escaped: the messenger will be replaced')
  tell({ kind: 'failed', reason: reasonOf(error) })
  // At once, with whatever is under way: there are no sockets here that would forbid it.
  const end = () => process.exit(1)
  setTimeout(end, END_MS)
  void core?.closePool().then(end, end)
}

process.on('uncaughtException', fail)
process.on('unhandledRejection', fail)

main.on('message', (message: ToMessenger) => {
  switch (message.kind) {
    case 'lose':
      if (!failed) core?.losePeer(message.shard)
      return
    case 'peers':
      if (failed || core === undefined) for (const { port } of message.ends) port.close()
      else core.addPeers(message.ends)
      return
    case 'finish':
      // An error on the way is one that escaped.
      if (!failed) void core?.finish().then(() => tell({ kind: 'finished' }))
      return
    case 'close':
      if (!failed) void close()
      return
    case 'fail':
      throw new Error('an operator asked for the replacement of the messenger')
    default:
      unreachable(message)
  }
})

async function close(): Promise<void> {
  await core?.close()
  main.close()
}

try {
  core = new MessengerCore(workerData as MessengerStart)
  tell({ kind: 'ready' })
} catch (error) {
  tell({ kind: 'refused', message: reasonOf(error) })
  process.exit(1)
}
