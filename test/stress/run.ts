// The long forms of the stress runs: `npm run stress -- --seconds 300`, `npm run stress -- --run lifecycle`,
// `npm run stress -- --run kills --kills 100`.
// Ends with 1 and the seed if anything was found.

import { parseArgs } from 'node:util'
import { runKills } from './kills.ts'
import { runLifecycle } from './lifecycle.ts'
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
    kills: { type: 'string', default: '100' },
    senders: { type: 'string', default: '8' },
  },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
const publishers = Number(values.publishers)
const report = (line: string) => process.stdout.write(`${line}\n`)

const { violations, summary } = await chosenRun()
report(JSON.stringify(summary))
for (const violation of violations) report(`VIOLATION ${violation}`)
report(`${values.run}: seed ${seed}: ${violations.length} violations`)
process.exitCode = violations.length === 0 ? 0 : 1

async function runLongOrder(): Promise<{ violations: readonly string[]; summary: object }> {
  const { violations, caughtUp, summary } = await runOrder({
    seed,
    seconds: Number(values.seconds),
    shards: Number(values.shards),
    subscribers: Number(values.subscribers),
    clientPublishers: Math.ceil(publishers / 2),
    apiPublishers: Math.floor(publishers / 2),
    quarantineEveryMs: Number(values['quarantine-every']) * 1000,
    report,
  })
  // The short form can't ask for it: on a quick machine all may keep up for some seconds.
  if (caughtUp > 0) return { violations, summary }
  return {
    violations: [...violations, 'nobody lagged and caught up: the run shows nothing of that'],
    summary,
  }
}

function chosenRun(): Promise<{ violations: readonly string[]; summary: object }> {
  switch (values.run) {
    case 'lifecycle':
      return runLifecycle({
        seed,
        rounds: Number(values.rounds),
        shards: Number(values.shards),
        clients: 60,
        connects: 1000,
        report,
      })
    case 'kills':
      return runKills({
        seed,
        kills: Number(values.kills),
        shards: 2,
        senders: Number(values.senders),
        lifeMsMax: 1_000,
        report,
      })
    default:
      return runLongOrder()
  }
}
