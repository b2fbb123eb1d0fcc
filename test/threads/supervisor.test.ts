// The supervisor over real shards.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { monotonicMs, wallMs } from '../../src/base/clock.ts'
import { createLog } from '../../src/base/log.ts'
import { loadConfig } from '../../src/config/load.ts'
import { slotCount } from '../../src/metrics/slots.ts'
import { Supervisor } from '../../src/threads/supervisor.ts'
import { createTopology } from '../../src/threads/topology.ts'

const SHARDS = 2
const PATIENTLY = { timeout: 10_000, interval: 5 }

/** Started, with what the acceptor was told, in order. */
async function startSupervisor(prepare?: (supervisor: Supervisor, told: readonly string[]) => Promise<void>) {
  const file = {
    http_server: { port: 0, internal_port: 0 },
    tcp: { enabled: false },
    log: { level: 'silent' },
  }
  const { config, profile } = loadConfig({
    argv: ['--config', 'shards.json'],
    env: {},
    readFile: () => JSON.stringify(file),
  })
  const topology = createTopology({
    config,
    profile,
    version: '0',
    nodeId: 'node',
    startedMs: wallMs(),
    shards: SHARDS,
    connectionLimit: 0,
    hashKey: new Uint32Array([1, 2]),
  })
  const told: string[] = []
  const supervisor: Supervisor = new Supervisor({
    topology,
    acceptance: {
      add: () => told.push(`add ${states(supervisor)}`),
      remove: () => told.push('remove'),
    },
    row: new Float64Array(slotCount),
    log: createLog('silent', 'main'),
  })
  onTestFinished(() => supervisor.close())
  await supervisor.start(prepare && (() => prepare(supervisor, told)))
  return { supervisor, told }
}

function states(supervisor: Supervisor): string {
  return supervisor
    .describe()
    .map(place => (place as { state: string }).state)
    .join(' ')
}

test('shards whose loops have not turned for more than ten seconds are stuck', async () => {
  const { supervisor } = await startSupervisor()
  await expect.poll(() => supervisor.stuck(monotonicMs() + 12_000), PATIENTLY).toEqual([0, 1])
  expect(supervisor.stuck(monotonicMs())).toEqual([])
})

test('a shard is handed connections when all are live, and again when its place was taken', async () => {
  const { supervisor, told } = await startSupervisor()
  expect(supervisor.allAccepting).toBe(true)
  expect(told).toEqual(['add live live', 'add live live'])
  supervisor.tell(0, { kind: 'fail' })
  await expect.poll(() => told.length, PATIENTLY).toBe(4)
  expect(told.slice(2)).toEqual(['remove', 'add live live'])
  await expect.poll(() => supervisor.allAccepting, PATIENTLY).toBe(true)
})

test('what has to be prepared is done when all are joined, before any takes connections', async () => {
  const seen: string[] = []
  const { told } = await startSupervisor(async (supervisor, soFar) => {
    seen.push(states(supervisor), ...soFar)
  })
  expect(seen).toEqual(['live live'])
  expect(told).toHaveLength(SHARDS)
})

test('a start whose preparation fails has failed', async () => {
  const failing = startSupervisor(async () => {
    throw new Error('not today')
  })
  await expect(failing).rejects.toThrow('not today')
})

test('a shard that is lost while histories are taken over fails the start, and leaves them for another', async () => {
  const failing = startSupervisor(async supervisor => {
    supervisor.tell(1, { kind: 'fail' })
    await supervisor.takeOver('', [])
  })
  await expect(failing).rejects.toThrow(/lost|ended before it was ready/)
})

test('at the end all are quiet before the first keeps its histories, and lost ones are not waited for', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-supervisor-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const { supervisor, told } = await startSupervisor()
  await supervisor.drain(0)
  await supervisor.quiet()
  expect(told.slice(SHARDS)).toEqual(['remove', 'remove'])
  supervisor.tell(0, { kind: 'fail' })
  const files = await supervisor.keep(folder)
  expect(files.map(({ name }) => name)).toEqual(['shard-1.history'])
})
