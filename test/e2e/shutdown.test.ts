import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { runProgram, temporaryFile } from '../support/program.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { connectedClient, nextEvent, PATIENTLY, record, subscribe } from '../support/sdk.ts'
import { TcpClient } from '../support/tcp-client.ts'

const config = {
  channel: {
    namespaces: [
      { name: 'kept', ...OPEN_CHANNELS, history_size: 10, history_ttl: '60s', force_recovery: true },
    ],
  },
}

async function startRelay(more: Record<string, any> = {}): Promise<TestRelay> {
  const relay = await startTestRelay({ ...config, ...more })
  onTestFinished(() => void relay.process.kill('SIGKILL'))
  return relay
}

const readiness = async (relay: TestRelay) =>
  (await fetch(`http://127.0.0.1:${relay.ports.internal}/ready`)).status

test.each(['SIGTERM', 'SIGINT'] as const)('%s: all are told 3001, and the exit code is 0', async signal => {
  const relay = await startRelay()
  const officials = await Promise.all([0, 1, 2].map(() => connectedClient(relay.websocketUrl)))
  const told = officials.map(client => nextEvent(client, 'connecting'))
  const tcp = await TcpClient.open(relay.ports.tcp)
  await tcp.call({ id: 1, connect: {} })
  const exited = once(relay.process, 'exit')
  relay.process.kill(signal)
  for (const event of told) expect(await event).toEqual({ code: 3001, reason: 'shutdown' })
  await tcp.ended
  expect(tcp.lines.at(-1)).toEqual({
    push: { disconnect: { code: 3001, reason: 'shutdown', reconnect: true } },
  })
  expect(await exited).toEqual([0, null])
  expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
})

test('while it drains it is not ready, and still alive', async () => {
  const relay = await startRelay()
  expect(await readiness(relay)).toBe(200)
  // A client that keeps its side open holds up the end, but not for long.
  const socket = connect({ port: relay.ports.tcp, host: '127.0.0.1', allowHalfOpen: true })
  onTestFinished(() => void socket.destroy())
  socket.resume()
  socket.write('{"id":1,"connect":{}}\n')
  await once(socket, 'data')
  const ended = once(socket, 'end')
  const exited = once(relay.process, 'exit')
  relay.process.kill('SIGTERM')
  await expect.poll(() => relay.log.some(({ msg }) => msg === 'relay is stopping'), PATIENTLY).toBe(true)
  expect(await readiness(relay)).toBe(503)
  expect((await fetch(`http://127.0.0.1:${relay.ports.internal}/health`)).status).toBe(200)
  await ended
  expect(await exited).toEqual([0, null])
})

test('clients go on with the relay that comes after it on the same ports', async () => {
  // Not chosen by the kernel at the start, so that connections of the first one don't keep the port from the second.
  const port = await freePort()
  const first = await startRelay({ http_server: { port } })
  const { tcp, internal } = first.ports
  const client = await connectedClient(first.websocketUrl)
  const subscription = await subscribe(client, 'kept:moved')
  const received = record(subscription, 'publication')
  await first.api('publish', { channel: 'kept:moved', data: 'first' })
  await received.until(1)
  const again = nextEvent(subscription, 'subscribed')
  expect(await first.stop()).toBe(0)
  const second = await startRelay({
    http_server: { port, internal_port: internal },
    tcp: { port: tcp },
  })
  expect(second.ports).toEqual(first.ports)
  // What the first one kept is gone with it, and the client is told so.
  expect(await again).toMatchObject({ wasRecovering: true, recovered: false })
  await second.api('publish', { channel: 'kept:moved', data: 'second' })
  expect((await received.until(2)).map(({ data }) => data)).toEqual(['first', 'second'])
  client.disconnect()
  expect(await second.stop()).toBe(0)
})

test('clients are told over the drain time, not all at once', async () => {
  const relay = await startRelay({ shutdown: { drain_time: '2s' } })
  const clients = await Promise.all(Array.from({ length: 60 }, () => TcpClient.open(relay.ports.tcp)))
  await Promise.all(clients.map(tcp => tcp.call({ id: 1, connect: {} })))
  const order: number[] = []
  const ended = clients.map((tcp, index) => tcp.ended.then(() => order.push(index)))
  // While the first are already gone the last still work.
  const firstGone = Promise.race(clients.map((tcp, index) => tcp.ended.then(() => index)))
  const exited = once(relay.process, 'exit')
  relay.process.kill('SIGTERM')
  await firstGone
  expect(order.length).toBeLessThan(60)
  await Promise.all(ended)
  for (const tcp of clients) expect(tcp.lines.at(-1).push.disconnect.code).toBe(3001)
  expect(await exited).toEqual([0, null])
})

test('no new connections are taken while it drains', async () => {
  const relay = await startRelay()
  const socket = connect({ port: relay.ports.tcp, host: '127.0.0.1', allowHalfOpen: true })
  onTestFinished(() => void socket.destroy())
  socket.write('{"id":1,"connect":{}}\n')
  await once(socket, 'data')
  const ended = once(socket.resume(), 'end')
  const exited = once(relay.process, 'exit')
  relay.process.kill('SIGTERM')
  await ended
  await expect(
    TcpClient.open(relay.ports.tcp).then(tcp => tcp.call({ id: 1, connect: {} })),
  ).rejects.toThrow()
  expect(await exited).toEqual([0, null])
})

/** A port that somebody else listens on. */
async function takenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

test.each([
  ['http_server.port', (port: number) => ({ http_server: { port, internal_port: 0 }, tcp: { port: 0 } })],
  ['tcp.port', (port: number) => ({ http_server: { port: 0, internal_port: 0 }, tcp: { port } })],
  [
    'http_server.internal_port',
    (port: number) => ({ http_server: { port: 0, internal_port: port }, tcp: { port: 0 } }),
  ],
])('%s is taken: exit code 1, and the port is named', async (option, configOf) => {
  const port = await takenPort()
  const file = temporaryFile('relay.json', JSON.stringify({ shards: 1, ...configOf(port) }))
  const { code, stderr } = await runProgram(['--config', file])
  expect(stderr).toContain(String(port))
  expect(stderr).toContain(option)
  expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  expect(code).toBe(1)
})

test('a second relay on the ports of a running one does not start', async () => {
  const running = await startRelay()
  const { http, tcp } = running.ports
  for (const ports of [
    { http_server: { port: http, internal_port: 0 }, tcp: { port: 0 } },
    { http_server: { port: 0, internal_port: 0 }, tcp: { port: tcp } },
  ]) {
    const file = temporaryFile('relay.json', JSON.stringify({ shards: 1, ...ports }))
    expect(await runProgram(['--config', file])).toMatchObject({ code: 1 })
  }
  expect(await running.stop()).toBe(0)
})
