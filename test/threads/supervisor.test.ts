// The supervisor over real shards.

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
async function startSupervisor() {
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
  await supervisor.start()
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
