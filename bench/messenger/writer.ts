// A thread that is the messenger: it takes messages at a steady rate, as from shards, and makes them durable.

import { parentPort, workerData } from 'node:worker_threads'
import { createMessenger } from '../../src/messenger/core.ts'
import { slotCount } from '../../src/metrics/slots.ts'
import { optionsFor, USERS } from './fill.ts'
import { createTexts } from './text.ts'

export type WriterStart = Readonly<{ path: string; rate: number; sessions: readonly string[] }>
export type WriterReport = Readonly<{ acknowledged: number; refused: number; latenciesMs: Float64Array }>

const TICK_MS = 5
const SWEEP_MS = 1_000

const { path, rate, sessions } = workerData as WriterStart
const { text } = createTexts(1)
const latenciesMs: number[] = []
let refused = 0
let sent = 0

const messenger = createMessenger({
  path,
  options: optionsFor(path),
  relay: {
    publish: (_channel, _data, done) => setImmediate(() => done({ ok: true })),
    order: (_order, done) => setImmediate(done),
    notice: () => {},
    connections: () => 0,
  },
  pool: { run: () => Promise.reject(new Error('the writer has no pool')) },
  tokenKey: new Uint8Array(32),
  row: new Float64Array(slotCount),
  log: {
    info: () => {},
    warn: () => {},
    error: (fields, words) => void process.stderr.write(`${words} ${JSON.stringify(fields)}\n`),
  },
  nowMs: () => Date.now(),
})

/** The time that counts is the one at which a message was due. */
function send(dueMs: number): void {
  const user = (sent % USERS) + 1
  const data = JSON.stringify({ everyone: true, client_id: `w${sent++}`, text: text() })
  const who = { kind: 'login', user, session: sessions[user - 1]! } as const
  const call = {
    method: 'message.send',
    data,
    who,
    client: 'c',
    address: '127.0.0.1',
    device: '',
    transport: 'tcp',
  } as const
  messenger.call(call, outcome => {
    if (outcome.ok) latenciesMs.push(performance.now() - dueMs)
    else refused++
  })
}

const startedMs = performance.now()
const pace = setInterval(() => {
  const nowMs = performance.now()
  for (
    let dueMs = startedMs + (sent * 1_000) / rate;
    dueMs <= nowMs;
    dueMs = startedMs + (sent * 1_000) / rate
  )
    send(dueMs)
}, TICK_MS)
const sweep = setInterval(() => messenger.sweep(Date.now()), SWEEP_MS)

parentPort!.once('message', async () => {
  clearInterval(pace)
  clearInterval(sweep)
  await messenger.close()
  const report: WriterReport = {
    acknowledged: latenciesMs.length,
    refused,
    latenciesMs: Float64Array.from(latenciesMs),
  }
  parentPort!.postMessage(report)
  parentPort!.close()
})
parentPort!.postMessage('ready')
