// The long forms of the stress runs: `npm run stress -- --seconds 300`, `npm run stress -- --run lifecycle`.
// Ends with 1 and the seed if anything was found.

import { parseArgs } from 'node:util'
import { runOrder } from './order.ts'

const { values } = parseArgs({
  options: {
    run: { type: 'string', default: 'order' },
    seed: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    shards: { type: 'string', default: '4' },
    subscribers: { type: 'string', default: '200' },
    publishers: { type: 'string', default: '50' },
    'quarantine-every': { type: 'string', default: '4' },
    rounds: { type: 'string', default: '30' },
  },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const publishers = Number(values.publishers)
const report = (line: string) => process.stdout.write(`${line}\n`)

const { violations, violationCount, summary } = await runOrder({
  seed,
  seconds: Number(values.seconds),
  shards: Number(values.shards),
  subscribers: Number(values.subscribers),
  clientPublishers: Math.ceil(publishers / 2),
  apiPublishers: Math.floor(publishers / 2),
  quarantineEveryMs: Number(values['quarantine-every']) * 1000,
  report,
})
report(JSON.stringify(summary))
for (const violation of violations) report(`VIOLATION ${violation}`)
report(`${values.run}: seed ${seed}: ${violationCount} violations`)
process.exitCode = violationCount === 0 ? 0 : 1
