// The role of a shard: a worker thread that owns connections and is the home of channels. Start, tick, stop.
// Invariant: once quarantined, a shard touches no ring any more, and its thread ends only after every socket, timer
// and port is closed: ending it in any other way would abort the whole process.

import { parentPort, workerData } from 'node:worker_threads'
import { assert, unreachable } from '../base/assert.ts'
import { reasonOf } from '../base/errors.ts'
import { ShardCore } from './shard-core.ts'
import type { FromShard, ShardStart, ToShard } from './topology.ts'

assert(parentPort !== null, 'a shard is a worker thread')
const main = parentPort
const start = workerData as ShardStart
// Not by an import above: a relay without the messenger loads none of it.
const http = start.topology.messenger && (await import('./messenger-http.ts'))
const core = new ShardCore(start, http?.attachMessengerHttp)
let quarantined = false

function tell(message: FromShard): void {
  main.postMessage(message)
}

/** Last resort: an error that no guard caught. The shard's state can't be trusted any more. */
function quarantine(error: unknown): void {
  if (quarantined) return
  quarantined = true
  core.isolate()
  core.log.error({ err: error }, 'an error escaped: the shard is quarantined and will be replaced')
  tell({ kind: 'quarantined', reason: reasonOf(error) })
}

process.on('uncaughtException', quarantine)
process.on('unhandledRejection', quarantine)

main.on('message', (message: ToShard) => {
  switch (message.kind) {
    case 'lose':
      return core.losePeer(message.shard)
    case 'peers':
      // They were on their way when this shard failed: the peers are told to forget us again.
      if (quarantined) for (const { port } of message.ends) port.close()
      else core.addPeers(message.ends)
      return
    case 'accept':
      return accept()
    case 'takeOver':
      return void core
        .takeOver(message.folder, message.files)
        .then(taken => tell({ kind: 'tookOver', ...taken }))
    case 'drain':
      return core.drain(message.overMs, () => tell({ kind: 'drained' }))
    case 'quiet':
      return core.quiet(() => tell({ kind: 'quiet' }))
    case 'keep':
      // What a doubtful state holds must not outlast it.
      if (!quarantined) void core.keep(message.folder).then(file => tell({ kind: 'kept', file }))
      return
    case 'close':
      core.close()
      main.close()
      return
    case 'fail':
      throw new Error('an operator asked for the replacement of this shard')
    default:
      unreachable(message)
  }
})

function accept(): void {
  if (quarantined) return
  core.accept().then(
    () => {
      // Main takes a quarantined shard for lost already and must not hand connections to it.
      if (!quarantined) tell({ kind: 'accepting' })
    },
    error => {
      tell({ kind: 'refused', message: reasonOf(error) })
      core.close()
      main.close()
    },
  )
}

tell({ kind: 'ready', descriptor: core.start() })
