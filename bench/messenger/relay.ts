// node bench/messenger/relay.ts [--smoke] [--seconds N] [--rounds N]: what the messenger does on a running relay, over real
// connections: durable messages a second, how long their acknowledgement takes, and what they cost the fan-out.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { OWN_ROOT, startRelay } from '../../load/target/relay.ts'
import { type FanOut, LOAD_NAMESPACE, measureFanOut } from './fan-out.ts'
import { measureLatency, measureThroughput, openSenders } from './send.ts'

const { values } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
  },
})
const { smoke } = values
const seconds = smoke ? 1 : Number(values.seconds)
const rounds = smoke ? 1 : Number(values.rounds)
const SENDERS = smoke ? 10 : 100
const SUBSCRIBERS = smoke ? 20 : 500
const STEADY_RATE = smoke ? 100 : 1_000

const folder = mkdtempSync(join(tmpdir(), 'fanwire-bench-messenger-'))
const target = await startRelay({
  root: OWN_ROOT,
  apiKey: 'bench',
  sections: {
    channel: { namespaces: [LOAD_NAMESPACE] },
    messenger: {
      enabled: true,
      path: folder,
      signups_per_hour: 1_000_000,
      message_rate: 1_000_000,
      token_lifetime: '24h',
    },
  },
})
try {
  const ports = { http: Number(new URL(target.endpoint.websocket!).port), tcp: target.endpoint.tcp!.port }
  const senders = await openSenders(ports, SENDERS)
  const rates: number[] = []
  for (let round = 0; round < rounds; round++) rates.push(await measureThroughput(senders, seconds))
  print(
    `durable messages, ${SENDERS} senders: ${medianOf(rates).toFixed(0)} acknowledged a second (${listOf(rates)})`,
  )
  const { sent, p50Ms, p99Ms, maxMs } = await measureLatency(senders, STEADY_RATE, seconds)
  print(
    `acknowledgement at ${STEADY_RATE}/s, ${sent} messages: p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, longest ${maxMs.toFixed(1)} ms`,
  )
  const without: FanOut[] = []
  const beside: FanOut[] = []
  for (let round = 0; round < rounds; round++) {
    const common = { target, senders, seconds, subscribers: SUBSCRIBERS }
    without.push(await measureFanOut({ ...common, messageRate: 0 }))
    beside.push(await measureFanOut({ ...common, messageRate: STEADY_RATE }))
  }
  printFanOut('fan-out without messages', without)
  printFanOut(`fan-out beside ${STEADY_RATE} messages/s`, beside)
  for (const sender of senders.all) sender.close()
} finally {
  await target.stop()
  rmSync(folder, { recursive: true, force: true })
}

function printFanOut(label: string, runs: readonly FanOut[]): void {
  const median = (read: (run: FanOut) => number) => (medianOf(runs.map(read)) / 1_000).toFixed(2)
  const clean = runs.filter(({ isClean }) => isClean).length
  print(
    `${label}, ${SUBSCRIBERS} subscribers: p50 ${median(run => run.p50Us)} ms, p99 ${median(run => run.p99Us)} ms, to the last p99 ${median(run => run.lastP99Us)} ms (${clean} of ${runs.length} runs clean)`,
  )
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function listOf(values: readonly number[]): string {
  return values.map(value => value.toFixed(0)).join(', ')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
