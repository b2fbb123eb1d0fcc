// The messenger's place beside the shards: a real thread on a real directory, replaced and ended.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { wallMs } from '../../src/base/clock.ts'
import { createLog } from '../../src/base/log.ts'
import { loadConfig } from '../../src/config/load.ts'
import { Database } from '../../src/messenger/store/database.ts'
import { DATABASE_FILE } from '../../src/messenger/store/schema.ts'
import { ALL_TOLD, hasNote } from '../../src/messenger/store/settings.ts'
import { slotCount } from '../../src/metrics/slots.ts'
import { errors } from '../../src/protocol/codes.ts'
import { openDataDirectory } from '../../src/threads/data-directory.ts'
import { MessengerPlace } from '../../src/threads/messenger-place.ts'
import { withFreePorts } from '../../src/threads/ports.ts'
import { Supervisor } from '../../src/threads/supervisor.ts'
import { createTopology } from '../../src/threads/topology.ts'
import { TcpClient } from '../support/tcp-client.ts'

const PATIENTLY = { timeout: 20_000, interval: 5 }
const umask = process.umask()
const log = createLog('silent', 'main')

async function topologyOf(shards: number) {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-place-'))
  onTestFinished(() => {
    process.umask(umask)
    rmSync(folder, { recursive: true })
  })
  const path = join(folder, 'data')
  const file = {
    http_server: { port: 0, internal_port: 0 },
    tcp: { port: 0 },
    log: { level: 'silent' },
    messenger: { enabled: true, path },
  }
  const { config, profile } = loadConfig({
    argv: ['--config', 'place.json'],
    env: {},
    readFile: () => JSON.stringify(file),
  })
  const { tokenKey, release } = await openDataDirectory(path, log)
  onTestFinished(release)
  const fixed = {
    config: await withFreePorts(config),
    profile,
    version: '0',
    nodeId: 'node',
    startedMs: wallMs(),
    shards,
    connectionLimit: 0,
    hashKey: new Uint32Array([1, 2]),
  }
  return { path, topology: createTopology(fixed, tokenKey) }
}

test('an end waits for what is still to be stored, also of a messenger that took the place of another', async () => {
  const { path, topology } = await topologyOf(1)
  let lives = 0
  const place = new MessengerPlace({
    topology,
    messenger: topology.messenger!,
    row: new Float64Array(slotCount),
    log,
    onLive: () => lives++,
    onLost: () => {},
  })
  onTestFinished(() => place.close())
  await place.start()
  place.tell({ kind: 'fail' })
  await expect.poll(() => lives, PATIENTLY).toBe(2)
  await place.finish()
  const db = Database.openReader(join(path, DATABASE_FILE))
  onTestFinished(() => db.close())
  expect(hasNote(db, ALL_TOLD)).toBe(true)
})

test('a messenger that is replaced before the relay takes connections is joined with all shards', async () => {
  const { topology } = await topologyOf(2)
  const supervisor = new Supervisor({
    topology,
    acceptance: { add: () => {}, remove: () => {} },
    row: new Float64Array(slotCount),
    log,
  })
  onTestFinished(() => supervisor.close())
  const messenger = supervisor.messenger!
  await supervisor.start(async () => {
    messenger.tell({ kind: 'fail' })
    await expect.poll(() => messenger.isLive, PATIENTLY).toBe(false)
    await expect.poll(() => messenger.isLive, PATIENTLY).toBe(true)
  })
  // The kernel spreads connections over the shards.
  for (let each = 0; each < 16; each++) {
    const client = await TcpClient.open(topology.config.tcp.port)
    const { error } = await client.call({ id: 1, rpc: { method: 'auth.sessions' } })
    expect(error).toMatchObject({ code: errors.unauthorized.code })
    client.socket.destroy()
  }
})
