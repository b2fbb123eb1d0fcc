// The short form of the run, and the ends of a relay at awkward moments.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { startTestRelay } from '../support/relay.ts'
import { TcpClient } from '../support/tcp-client.ts'
import { configOf, runLifecycle } from './lifecycle.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const QUIET = () => {}
const ADMIN = { 'X-API-Key': 'test-key' }

test('shards are replaced under clients that come back, and nothing is left of it', {
  timeout: 180_000,
}, async () => {
  const seed = 20_260
  const { violations, summary } = await runLifecycle({
    seed,
    rounds: 10,
    shards: 4,
    clients: 60,
    connects: 1000,
    report: QUIET,
  })
  expect(violations, `seed ${seed}`).toEqual([])
  expect(summary.answered).toBeGreaterThan(0)
})

test('a shard that fails while the relay drains holds up nothing', { timeout: 60_000 }, async () => {
  const relay = await startTestRelay(configOf(4))
  const clients = await Promise.all(Array.from({ length: 40 }, () => TcpClient.open(relay.ports.tcp)))
  await Promise.all(clients.map(client => client.call({ id: 1, connect: {} })))
  const stopped = relay.stop()
  // It may be over already, and a shard that was drained may have gone: then there is nothing to fail.
  await Promise.allSettled([0, 1].map(shard => failShard(relay.ports.internal, shard)))
  expect(await stopped).toBe(0)
  await Promise.all(clients.map(({ ended }) => ended))
})

test('a relay that is stopped while a shard is being replaced ends in order', {
  timeout: 60_000,
}, async () => {
  const relay = await startTestRelay(configOf(4))
  await Promise.all(Array.from({ length: 12 }, () => openLingering(relay.ports.tcp)))
  await failShard(relay.ports.internal, 2)
  // The thread is starting now, and the drain that begins here takes longer than that.
  let state = 'live'
  while (state !== 'starting') state = await stateOf(relay.ports.internal, 2)
  expect(await relay.stop()).toBe(0)
})

test.each([0, 100, 200, 300, 450])(
  'a relay that is stopped %d ms after its start ends in order',
  { timeout: 60_000 },
  async delayMs => {
    const directory = await mkdtemp(join(tmpdir(), 'fanwire-test-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    const file = join(directory, 'config.json')
    const anyPort = { http_server: { port: 0, internal_port: 0 }, tcp: { port: 0 } }
    await writeFile(file, JSON.stringify({ ...configOf(2), ...anyPort }))
    const child = spawn(process.execPath, [MAIN, '--config', file], { stdio: 'ignore' })
    onTestFinished(() => void child.kill('SIGKILL'))
    // Not to wait for anything: the signal is to come at various stages of the start.
    await new Promise(resolve => setTimeout(resolve, delayMs))
    child.kill('SIGTERM')
    const [code, signal] = await once(child, 'exit')
    // Before the program listens to signals the system ends it.
    expect(signal === 'SIGTERM' ? 0 : code).toBe(0)
  },
)

async function failShard(internalPort: number, shard: number): Promise<void> {
  await fetch(`http://127.0.0.1:${internalPort}/admin/shards/${shard}/quarantine`, {
    method: 'POST',
    headers: ADMIN,
  })
}

/** A connected client that does not close its side after a goodbye, so that the drain has to wait for it. */
async function openLingering(port: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  socket.write('{"id":1,"connect":{}}\n')
  await once(socket, 'data')
}

async function stateOf(internalPort: number, shard: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${internalPort}/admin/shards`, { headers: ADMIN })
  const { shards } = (await response.json()) as { shards: { state: string }[] }
  return shards[shard]!.state
}
