// A shard as main sees it: what it says when, and when it takes connections.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { wallMs } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/load.ts'
import { createTopology, type FromShard, type Topology, type ToShard } from '../../src/threads/topology.ts'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

function topologyOf(tcpPort: number): Topology {
  const file = {
    http_server: { port: 0, internal_port: 0 },
    tcp: { port: tcpPort },
    client: { allow_anonymous_connect_without_token: true },
    log: { level: 'error' },
  }
  const { config, profile } = loadConfig({
    argv: ['--config', 'shard.json'],
    env: {},
    readFile: () => JSON.stringify(file),
  })
  const hashKey = new Uint32Array([1, 2])
  return createTopology({
    config,
    profile,
    version: '0',
    nodeId: 'n',
    startedMs: wallMs(),
    shards: 1,
    connectionLimit: 0,
    hashKey,
  })
}

function opened(port: number): Promise<Socket | undefined> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1' }, () => resolve(socket))
    socket.on('error', () => resolve(undefined))
  })
}

test('takes no connections before it is told that its ways to the others are there', async () => {
  const port = await freePort()
  const worker = new Worker(new URL('../../src/threads/shard.ts', import.meta.url), {
    workerData: { topology: topologyOf(port), shard: 0 },
  })
  const ended = once(worker, 'exit')
  const tell = (message: ToShard) => worker.postMessage(message)
  onTestFinished(async () => {
    tell({ kind: 'close' })
    await ended
  })
  const [ready] = (await once(worker, 'message')) as [FromShard]
  expect(ready.kind).toBe('ready')
  expect(await opened(port)).toBeUndefined()

  tell({ kind: 'peers', ends: [] })
  tell({ kind: 'accept' })
  const [accepting] = (await once(worker, 'message')) as [FromShard]
  expect(accepting.kind).toBe('accepting')
  const socket = await opened(port)
  socket!.write('{"id":1,"connect":{}}\n')
  const [answer] = await once(socket!, 'data')
  expect(JSON.parse(String(answer)).connect.client).toHaveLength(36)
  socket!.destroy()
})
