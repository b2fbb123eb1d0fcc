// The shipped configurations of nginx and Caddy, with the real programs, before a real relay.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { Agent, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { loadConfig } from '../../src/config/load.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import {
  inSeconds,
  newClient,
  nextEvent,
  PATIENTLY,
  record,
  signToken,
  socketFor,
  subscribe,
} from '../support/sdk.ts'
import { sumOf } from '../support/serving.ts'
import { caddy, missing, nginx, type RunningProxy, startProxy } from './proxy.ts'

const SECRET = 'a secret of this test alone'
const CHANNELS = {
  allow_subscribe_for_client: true,
  allow_publish_for_client: true,
}

let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({
    // As in production: clients need a token and the API a key, so that pages of the relay's own host may connect.
    client: { allow_anonymous_connect_without_token: false, token: { hmac_secret_key: SECRET } },
    channel: { without_namespace: CHANNELS },
  })
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
})

const token = () => signToken({ sub: '42', exp: inSeconds(600) }, SECRET)

/** What has to stay inside, and ways around that were tried elsewhere. */
const INSIDE = [
  ['POST', '/api/publish'],
  ['POST', '/api/info'],
  ['POST', '//api/info'],
  ['POST', '/connection/websocket/../../api/info'],
  ['POST', '/connection/%2e%2e/api/info'],
  ['GET', '/connection/websocket/more'],
  ['POST', '/messenger/../api/info'],
  ['POST', '/messenger/%2e%2e/api/info'],
  ['POST', '/messengers/rpc/auth.login'],
  ['GET', '/metrics'],
  ['GET', '/health'],
  ['GET', '/ready'],
  ['GET', '/admin/shards'],
  ['GET', '/'],
] as const

/** In the place of the relay, which refuses most of these itself: keeps the paths of all requests that come. */
async function listenInstead(): Promise<{ port: number; seen: string[] }> {
  const seen: string[] = []
  const server = createServer((incoming, response) => {
    seen.push(incoming.url ?? '')
    response.end()
  })
  onTestFinished(() => server.closeAllConnections())
  onTestFinished(() => void server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, seen }
}

/** The status of a request through the proxy. */
function ask(proxy: RunningProxy, path: string, method: string): Promise<number> {
  const agent = new Agent({ ca: proxy.certificate, keepAlive: false })
  const options = { host: '127.0.0.1', port: proxy.httpsPort, path, method, agent }
  return new Promise((resolve, reject) => {
    const call = request(options, response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    call.on('error', reject)
    call.end(method === 'POST' ? '{}' : undefined)
  })
}

/** An upgrade by `ws`: the open socket, or the status with which it was refused. */
function open(proxy: RunningProxy, origin?: string): Promise<WebSocket | number> {
  const socket = new WebSocket(proxy.websocketUrl, { ca: proxy.certificate, ...(origin && { origin }) })
  onTestFinished(() => socket.terminate())
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve(socket))
    socket.on('unexpected-response', (_request, response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    socket.on('error', reject)
  })
}

async function opened(proxy: RunningProxy): Promise<WebSocket> {
  const socket = await open(proxy)
  if (typeof socket === 'number') throw new Error(`refused with ${socket}`)
  return socket
}

const kinds = [
  { program: 'nginx', kind: nginx, redirect: 301 },
  { program: 'caddy', kind: caddy, redirect: 308 },
]

for (const { program, kind, redirect } of kinds) {
  const why = missing(program) ?? missing('openssl')
  describe.skipIf(why !== undefined)(`${program}${why === undefined ? '' : ` (left out: ${why})`}`, () => {
    let proxy: RunningProxy
    beforeAll(async () => {
      proxy = await startProxy(kind, relay.ports.http)
    })
    afterAll(() => proxy?.stop())

    test('official clients publish and receive over wss', async () => {
      const clients = await Promise.all(
        [1, 2].map(async () => {
          const websocket = socketFor({ ca: proxy.certificate })
          const client = newClient(proxy.websocketUrl, { websocket, token: await token() })
          client.connect()
          await client.ready()
          return client
        }),
      )
      const subscriptions = await Promise.all(clients.map(client => subscribe(client, `news-${program}`)))
      const recordings = subscriptions.map(subscription => record(subscription, 'publication'))
      for (let n = 1; n <= 20; n++) await subscriptions[n % 2]!.publish({ n })
      for (const recording of recordings) {
        expect((await recording.until(20)).map(({ data }) => data.n)).toEqual(
          Array.from({ length: 20 }, (_, index) => index + 1),
        )
      }
    })

    test('a bare WebSocket gets what the back end publishes inside', async () => {
      const socket = await opened(proxy)
      const lines: any[] = []
      socket.on('message', frame => {
        for (const line of String(frame).split('\n')) lines.push(JSON.parse(line))
      })
      socket.send(JSON.stringify({ id: 1, connect: { token: await token() } }))
      socket.send(JSON.stringify({ id: 2, subscribe: { channel: `bare-${program}` } }))
      await expect
        .poll(() => lines.some(({ id, subscribe: reply }) => id === 2 && reply), PATIENTLY)
        .toBe(true)
      await relay.api('publish', { channel: `bare-${program}`, data: 'from inside' })
      await expect.poll(() => lines.find(({ push }) => push)?.push.pub.data, PATIENTLY).toBe('from inside')
    })

    test('a payload as large as the relay takes comes through', async () => {
      const websocket = socketFor({ ca: proxy.certificate })
      const client = newClient(proxy.websocketUrl, { websocket, token: await token() })
      client.connect()
      const subscription = await subscribe(client, `large-${program}`)
      const arrived = nextEvent(subscription, 'publication')
      const data = 'x'.repeat(60_000)
      await subscription.publish(data)
      expect((await arrived).data).toBe(data)
    })

    test('nothing but the WebSocket path and the messenger is passed on', async () => {
      const { port, seen } = await listenInstead()
      const passing = await startProxy(kind, port)
      onTestFinished(passing.stop)
      for (const [method, path] of INSIDE) {
        expect(await ask(passing, path, method), `${method} ${path}`).toBe(404)
      }
      expect(seen).toEqual([])
      const passed = [
        '/connection/websocket',
        '/messenger/rpc/auth.login',
        '/messenger/files?name=a%2Fb%20c.txt',
      ]
      for (const path of passed) expect(await ask(passing, path, 'GET')).toBe(200)
      expect(seen).toEqual(passed)
      // What it lets through because it ends below /messenger/ must begin there as well.
      seen.length = 0
      await ask(passing, '/api/../messenger/rpc/auth.login', 'POST')
      expect(seen.filter(path => !path.startsWith('/messenger/'))).toEqual([])
    })

    test('plain HTTP is sent to HTTPS', async () => {
      const url = `http://127.0.0.1:${proxy.httpPort}/connection/websocket`
      const response = await fetch(url, { redirect: 'manual' })
      expect(response.status).toBe(redirect)
      expect(response.headers.get('location')).toMatch(/^https:\/\/127\.0\.0\.1/)
    })

    test('a page of the same host may connect, another may not', async () => {
      expect(await open(proxy, `https://127.0.0.1:${proxy.httpsPort}`)).toBeInstanceOf(WebSocket)
      expect(await open(proxy, 'https://elsewhere.example')).toBe(403)
    })

    test('clients whose proxy ends reconnect, and the relay keeps no connection of theirs', async () => {
      const passing = await startProxy(kind, relay.ports.http)
      const websocket = socketFor({ ca: passing.certificate })
      const client = newClient(passing.websocketUrl, { websocket, token: await token() })
      client.connect()
      await client.ready()
      const lost = nextEvent(client, 'connecting')
      await passing.stop()
      // A code of the SDK's own: the relay said nothing.
      expect((await lost).code).toBeLessThan(3000)
      client.disconnect()
      await expect.poll(() => sumOf(relay, 'fanwire_connections', 'transport="websocket"'), PATIENTLY).toBe(0)
    })
  })
}

const noNginx = missing('nginx') ?? missing('openssl')
describe.skipIf(noNginx !== undefined)(
  `limits of nginx${noNginx === undefined ? '' : ` (left out: ${noNginx})`}`,
  () => {
    test('connections of one address: one more is refused with 429, and let in when another has ended', async () => {
      const proxy = await startProxy(nginx, relay.ports.http, [
        ['limit_conn connections_of_address 100;', 'limit_conn connections_of_address 3;'],
      ])
      onTestFinished(proxy.stop)
      const [first] = await Promise.all([opened(proxy), opened(proxy), opened(proxy)])
      expect(await open(proxy)).toBe(429)
      first!.terminate()
      await expect.poll(async () => typeof (await open(proxy)), PATIENTLY).toBe('object')
    })

    test('new connections of one address in a time: beyond the burst 429', async () => {
      const proxy = await startProxy(nginx, relay.ports.http, [
        ['rate=20r/s', 'rate=1r/m'],
        ['burst=100 nodelay', 'burst=2 nodelay'],
      ])
      onTestFinished(proxy.stop)
      for (let n = 1; n <= 3; n++) await opened(proxy)
      expect(await open(proxy)).toBe(429)
    })

    test('its connections to the relay come from four addresses', async () => {
      const proxy = await startProxy(nginx, relay.ports.http)
      onTestFinished(proxy.stop)
      await Promise.all(Array.from({ length: 20 }, () => opened(proxy)))
      const addresses = peersOf(relay.ports.http)
      expect(addresses.size).toBeGreaterThan(1)
      for (const address of addresses) expect(address).toMatch(/^127\.0\.0\.[2-5]$/)
    })
  },
)

/** Addresses of the other ends of established connections to a port of loopback, as the kernel lists them. */
function peersOf(port: number): Set<string> {
  const ESTABLISHED = '01'
  const local = port.toString(16).toUpperCase().padStart(4, '0')
  const rows = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map(line => line.trim().split(/\s+/))
  const peers = rows
    .filter(row => row[3] === ESTABLISHED && row[1]?.endsWith(`:${local}`))
    .map(row => row[2]!)
  return new Set(peers.map(addressOf).filter(address => address !== '127.0.0.1'))
}

/** The kernel writes an address as a number in the machine's order, which is little-endian wherever we run. */
function addressOf(peer: string): string {
  return Buffer.from(peer.split(':')[0]!, 'hex').reverse().join('.')
}

test('nginx waits longer for a word of the relay than the relay is ever silent', () => {
  const shipped = readFileSync(join(import.meta.dirname, '../../deploy/nginx.conf'), 'utf8')
  const [, seconds] = /proxy_read_timeout (\d+)s;/.exec(shipped) ?? []
  const { config } = loadConfig({ argv: [], env: {} })
  // Twice, so that one late ping ends nothing.
  expect(Number(seconds) * 1_000).toBeGreaterThan(2 * config.client.ping_interval)
})
