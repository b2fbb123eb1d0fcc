// A process that runs `serve` around a relay that does nothing: what it is told to stop with, it prints.

import { runUntilStopped } from '../../../src/cli/serve.ts'
import { loadConfig } from '../../../src/config/load.ts'

const [mode] = process.argv.slice(2)
const finished = Promise.withResolvers<number>()
const alive = setInterval(() => {}, 1_000)

process.exitCode = await runUntilStopped(loadConfig({ argv: [], env: {} }), async () => {
  process.stdout.write('started\n')
  return {
    finished: finished.promise,
    stop: async reason => {
      process.stdout.write(`stopping ${reason}\n`)
      if (mode === 'orderly') finished.resolve(7)
      if (mode === 'failing') throw new Error('no way to stop')
    },
  }
}).finally(() => clearInterval(alive))
