// Loaded into a process that a load run starts, before its own code (--import). Main thread of that process.
// Invariant: the process never outlives the run that started it, however that run ends: the kernel closes the channel
// between them, and that is the sign.

import { isMainThread } from 'node:worker_threads'

if (isMainThread && process.channel !== undefined) {
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  // It must not keep the process alive that wants to end by itself.
  process.channel.unref()
}
