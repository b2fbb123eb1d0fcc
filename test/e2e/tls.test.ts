import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runProgram, temporaryFile } from '../support/program.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { newClient, record, socketFor, subscribe } from '../support/sdk.ts'

const SHARDS = 2

let folder: string
let certificate: Buffer
let relay: TestRelay

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fanwire-tls-'))
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const name = ['-subj', '/CN=fanwire test', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', ['req', '-x509', ...kind, ...name, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  })
  certificate = readFileSync(cert)
  relay = await startTestRelay({
    shards: SHARDS,
    http_server: { tls: { enabled: true, cert_pem: cert, key_pem: key } },
    channel: { namespaces: [{ name: 'kept', ...OPEN_CHANNELS, history_size: 10, history_ttl: '60s' }] },
  })
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
  rmSync(folder, { recursive: true })
})

const clientOf = () => newClient(relay.websocketUrl, { websocket: socketFor({ ca: certificate }) })

/** Each call on a connection of its own, so that it can come to any shard. */
function publish(channel: string, data: unknown): Promise<{ status: number; body: any }> {
  const agent = new Agent({ ca: certificate, keepAlive: false })
  const options = {
    method: 'POST',
    host: '127.0.0.1',
    port: relay.ports.http,
    path: '/api/publish',
    headers: { 'X-API-Key': 'test-key' },
    agent,
  }
  return new Promise((resolve, reject) => {
    const call = request(options, response => {
      let text = ''
      response.on('data', chunk => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }))
    })
    call.on('error', reject)
    call.end(JSON.stringify({ channel, data }))
  })
}

/** Connects clients until each shard has one: the kernel chooses the shard by the ports of the connection. */
async function clientsOnAllShards(channel: string) {
  const clients = []
  for (;;) {
    const client = clientOf()
    client.connect()
    await client.ready()
    await subscribe(client, channel)
    clients.push(client)
    const counts = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) =>
        relay.metric(`fanwire_connections{transport="websocket",shard="${shard}"}`),
      ),
    )
    if (counts.every(count => count! > 0)) return clients
  }
}

test('wss and https on all shards behind one port', async () => {
  expect(relay.websocketUrl).toMatch(/^wss:/)
  const clients = await clientsOnAllShards('kept:tls')
  const recordings = clients.map(client => record(client.getSubscription('kept:tls')!, 'publication'))
  for (let n = 1; n <= 10; n++) {
    expect(await publish('kept:tls', n)).toMatchObject({ status: 200, body: { result: { offset: n } } })
  }
  for (const recording of recordings) {
    expect((await recording.until(10)).map(({ data }) => data)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  }
})

test('a client that does not speak TLS gets nothing', async () => {
  await expect(fetch(`http://127.0.0.1:${relay.ports.http}/api/info`, { method: 'POST' })).rejects.toThrow()
})

test('each shard in turn can be replaced', async () => {
  const clients = await clientsOnAllShards('replaced')
  const recordings = clients.map(client => record(client.getSubscription('replaced')!, 'publication'))
  for (let shard = 0; shard < SHARDS; shard++) {
    await relay.quarantine(shard)
    await Promise.all(clients.map(client => client.ready()))
    await Promise.all(clients.map(client => client.getSubscription('replaced')!.ready()))
    expect((await publish('replaced', shard)).status).toBe(200)
    for (const recording of recordings) expect((await recording.until(shard + 1)).at(-1).data).toBe(shard)
  }
})

test('a certificate that can not be used: the relay does not start, and names the file', async () => {
  const noCertificate = temporaryFile('cert.pem', 'not a certificate')
  for (const cert_pem of [join(folder, 'none.pem'), noCertificate]) {
    const tls = { enabled: true, cert_pem, key_pem: join(folder, 'key.pem') }
    const ports = { http_server: { port: 0, internal_port: 0, tls }, tcp: { port: 0 } }
    const file = temporaryFile('relay.json', JSON.stringify({ shards: 1, ...ports }))
    const { code, stderr } = await runProgram(['--config', file])
    expect(code).toBe(1)
    expect(stderr).toContain(cert_pem)
    expect(stderr.trimEnd().split('\n')).toHaveLength(1)
  }
})
