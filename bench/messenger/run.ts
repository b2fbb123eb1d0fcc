// node bench/messenger/run.ts [--smoke] [--messages N] [--seconds N]: how long searches and pages of the archive take while
// messages are made durable at a steady rate. Exit code 1 when a median passes its limit.

import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { startPool } from '../../src/messenger/pool/run.ts'
import { Database } from '../../src/messenger/store/database.ts'
import { DATABASE_FILE } from '../../src/messenger/store/schema.ts'
import { type Archive, fill } from './fill.ts'
import { type Kind, kindsOfQuestions } from './questions.ts'
import { createTexts } from './text.ts'
import type { WriterReport, WriterStart } from './writer.ts'

const { values } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    messages: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '1000' },
  },
})
const { smoke } = values
const messages = smoke ? 2_000 : Number(values.messages)
const seconds = smoke ? 1 : Number(values.seconds)
const rate = smoke ? 100 : Number(values.rate)
/** Medians, in milliseconds: what the messenger promises. */
const LIMITS_MS = { search: 50, page: 5 }

const folder = mkdtempSync(join(tmpdir(), 'fanwire-bench-archive-'))
try {
  const beganMs = performance.now()
  const archive = fill(folder, messages, reportProgress())
  const bytes = statSync(join(folder, DATABASE_FILE)).size
  const tookSeconds = (performance.now() - beganMs) / 1_000
  print(`${messages} messages in ${tookSeconds.toFixed(0)} s, ${(bytes / messages).toFixed(0)} bytes each`)
  const writer = await startWriter({ path: folder, rate, sessions: archive.sessions })
  const latenciesMs = await ask(archive)
  const report = await writer.stop()
  printTable(latenciesMs)
  const { acknowledged, refused } = report
  const p = percentiles(report.latenciesMs)
  print(
    `meanwhile ${acknowledged} messages acknowledged, ${refused} refused: p50 ${p(0.5)} ms, p99 ${p(0.99)} ms, longest ${p(1)} ms`,
  )
  if (refused > 0) process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** All kinds in turns, one question at a time, as a thread of the pool answers them. */
async function ask({ options, groupsOf, sessions }: Archive): Promise<Map<Kind, number[]>> {
  const run = startPool({ options })
  const db = Database.openReader(join(folder, DATABASE_FILE))
  const rows = db.all<{ id: number; seq: number }>('SELECT id, seq FROM conversations')
  db.close()
  const newest = new Map(rows.map(({ id, seq }) => [id, seq]))
  const kinds = kindsOfQuestions({ options, groupsOf, sessions }, createTexts(2), newest)
  const latenciesMs = new Map<Kind, number[]>(kinds.map(kind => [kind, []]))
  const endMs = performance.now() + seconds * 1_000
  while (performance.now() < endMs) {
    for (const kind of kinds) {
      const { method, user, input } = kind.ask()
      const beganMs = performance.now()
      await run('read', { method, caller: callerOf(user), data: input })
      latenciesMs.get(kind)!.push(performance.now() - beganMs)
    }
    // What the writer says is heard in between.
    await new Promise(resolve => setImmediate(resolve))
  }
  return latenciesMs
}

function callerOf(user: number) {
  const nobody = { session: '', client: '', address: '', device: '' }
  return { user, role: 'user', transport: 'tcp', ...nobody } as const
}

async function startWriter(start: WriterStart): Promise<{ stop: () => Promise<WriterReport> }> {
  const worker = new Worker(new URL('./writer.ts', import.meta.url), { workerData: start })
  const said = <T>() =>
    new Promise<T>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
  await said()
  return {
    stop: () => {
      const report = said<WriterReport>()
      worker.postMessage('stop')
      return report
    },
  }
}

function printTable(latenciesMs: ReadonlyMap<Kind, number[]>): void {
  for (const group of ['search', 'page'] as const) {
    const all: number[] = []
    for (const [kind, ofKind] of latenciesMs) {
      if (kind.group !== group) continue
      all.push(...ofKind)
      const p = percentiles(ofKind)
      print(`  ${kind.name.padEnd(24)} p50 ${p(0.5)} ms  p99 ${p(0.99)} ms  longest ${p(1)} ms`)
    }
    const median = Number(percentiles(all)(0.5))
    const isKept = median < LIMITS_MS[group]
    print(
      `${group}: median ${median} ms of ${all.length}, ${isKept ? 'within' : 'NOT within'} ${LIMITS_MS[group]} ms`,
    )
    // The smoke size only shows that it still runs.
    if (!isKept && !smoke) process.exitCode = 1
  }
}

function percentiles(values: ArrayLike<number>): (part: number) => string {
  const sorted = Float64Array.from(values).sort()
  return part => (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0).toFixed(2)
}

function reportProgress(): (done: number) => void {
  const step = 100_000
  return done => {
    if (done % step === 0) process.stderr.write(`${done} messages\n`)
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
