// The internal port, spoken to over real sockets.

import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { StartError } from '../../src/base/errors.ts'
import {
  type AdminOperation,
  AdminRefusal,
  type InternalServer,
  type InternalServerOptions,
  matchRoute,
  type Route,
  startInternalServer,
} from '../../src/http/internal.ts'
import { createExporter } from '../../src/metrics/exporter.ts'
import { slotCount, slots } from '../../src/metrics/slots.ts'
import { createCounterMemory, rowOf } from '../../src/shared/counters.ts'
import { parseExposition, sampleOf } from '../metrics/exposition.ts'

const opened: InternalServer[] = []
afterEach(async () => {
  for (const server of opened.splice(0)) await server.close()
})

async function start(changes: Partial<InternalServerOptions> = {}) {
  const errors: unknown[] = []
  const server = await startInternalServer({
    address: '127.0.0.1',
    port: 0,
    prometheusEnabled: true,
    scrape: async () => 'page\n',
    scrapeContentType: 'text/plain',
    status: () => ({ alive: true, ready: true, detail: {} }),
    admin: new Map<string, AdminOperation>([
      ['GET /admin/shards', async () => ({ shards: [{ shard: 0 }] })],
      ['POST /admin/shards/:n/quarantine', async ({ params, body }) => quarantine(params.n!, body)],
    ]),
    adminKey: '',
    onError: error => errors.push(error),
    ...changes,
  })
  opened.push(server)
  const ask = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${server.port}${path}`, init)
  return { server, errors, ask }
}

function quarantine(shard: number, body: unknown): object {
  if (shard > 3) throw new AdminRefusal(404, `there is no shard ${shard}`)
  if (shard === 3) throw new Error('secret detail')
  return { shard, body: body ?? null }
}

const post = (body?: string, headers: Record<string, string> = {}) =>
  ({ method: 'POST', headers, ...(body === undefined ? {} : { body }) }) as const

/** Sends bytes as they are and gives all that comes back until the server ends the connection. */
function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  return text(socket)
}

describe('GET /metrics', () => {
  test('gives a page that Prometheus can read, with the numbers of the moment', async () => {
    const memory = createCounterMemory({ shards: 2, slots: slotCount })
    const tables = () => [{ labels: { table: 'route' }, value: 4 }]
    const { scrape, contentType } = createExporter({
      memory,
      extraGauges: {
        tableUsed: tables,
        tableCapacity: tables,
        shards: () => 2,
        ready: () => 1,
        clockSeconds: () => 20,
        connectionLimit: () => 1000,
        historyLimitBytes: () => 2 ** 20,
        messengerStorageLimitBytes: () => 2 ** 30,
        uptimeSeconds: () => 1,
        buildInfo: () => [{ labels: { version: '1', node: 'v22' }, value: 1 }],
      },
    })
    const { ask } = await start({ scrape, scrapeContentType: contentType })
    const first = parseExposition(await (await ask('/metrics')).text())
    rowOf(memory, 1)[slots.errors[103]]! += 2
    const response = await ask('/metrics')
    const second = parseExposition(await response.text())
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(sampleOf(first, 'fanwire_errors_total', { code: '103' })).toBe(0)
    expect(sampleOf(second, 'fanwire_errors_total', { code: '103' })).toBe(2)
  })

  test('is not there when it is off', async () => {
    const { ask } = await start({ prometheusEnabled: false })
    expect((await ask('/metrics')).status).toBe(404)
  })

  test('answers 500 without the reason when the scrape fails, and tells the reason inside', async () => {
    const { ask, errors } = await start({ scrape: () => Promise.reject(new Error('secret detail')) })
    const response = await ask('/metrics')
    expect(response.status).toBe(500)
    expect(await response.json()).toEqual({ error: { code: 500, message: 'internal error' } })
    expect(errors).toEqual([new Error('secret detail')])
    expect((await ask('/health')).status).toBe(200)
  })
})

describe('GET /health and GET /ready', () => {
  test('are 200 while the relay is alive and takes connections', async () => {
    const { ask } = await start()
    for (const path of ['/health', '/ready', '/health?probe=1']) {
      const response = await ask(path)
      expect([path, response.status, await response.json()]).toEqual([path, 200, { status: 'ok' }])
      expect(response.headers.get('cache-control')).toBe('no-store')
    }
  })

  test('a relay that drains is alive and not ready', async () => {
    const status = { alive: true, ready: true, detail: { draining: false } }
    const { ask } = await start({ status: () => status })
    expect((await ask('/ready')).status).toBe(200)
    Object.assign(status, { ready: false, detail: { draining: true } })
    const ready = await ask('/ready')
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { status: 'not_ready', detail: { draining: true } },
    ])
    expect((await ask('/health')).status).toBe(200)
  })

  test('a relay that is not alive says so', async () => {
    const { ask } = await start({ status: () => ({ alive: false, ready: false, detail: { shards: 0 } }) })
    const response = await ask('/health')
    expect([response.status, await response.json()]).toEqual([
      503,
      { status: 'failing', detail: { shards: 0 } },
    ])
  })

  test('HEAD is answered without a body', async () => {
    const { ask } = await start()
    const response = await ask('/health', { method: 'HEAD' })
    expect([response.status, await response.text()]).toEqual([200, ''])
  })
})

describe('routes', () => {
  test.each([
    '/',
    '/nope',
    '/metrics/',
    '//metrics',
    '/admin',
    '/admin/shards/x/quarantine',
    '/admin/shards/-1',
  ])('%s is unknown', async path => {
    const { ask } = await start()
    const response = await ask(path)
    expect(response.status).toBe(404)
    expect(await response.json()).toEqual({ error: { code: 404, message: 'not found' } })
  })

  test.each([
    ['POST', '/metrics', 'GET, HEAD'],
    ['DELETE', '/health', 'GET, HEAD'],
    ['POST', '/admin/shards', 'GET, HEAD'],
    ['GET', '/admin/shards/1/quarantine', 'POST'],
  ])('%s %s is the wrong method', async (method, path, allow) => {
    const { ask } = await start()
    const response = await ask(path, { method })
    expect([response.status, response.headers.get('allow')]).toEqual([405, allow])
    expect(await response.json()).toEqual({ error: { code: 405, message: 'method not allowed' } })
  })

  test('two routes at one path allow both methods', () => {
    const route = (method: Route['method']): Route => ({
      method,
      path: '/admin/x/:n',
      access: 'admin',
      run: async () => ({ status: 200, contentType: '', text: '' }),
    })
    const routes = [route('GET'), route('POST')]
    expect(matchRoute(routes, 'PUT', '/admin/x/7')).toEqual({
      kind: 'wrong_method',
      allow: 'GET, HEAD, POST',
    })
    expect(matchRoute(routes, 'POST', '/admin/x/7')).toEqual({
      kind: 'found',
      route: routes[1],
      params: { n: 7 },
    })
    expect(matchRoute(routes, 'POST', '/admin/x/1234567890')).toEqual({ kind: 'unknown' })
  })

  test('an admin operation outside /admin/ is refused at the start', async () => {
    const admin = new Map([['GET /health', async () => ({})]])
    await expect(start({ admin })).rejects.toThrow('not an admin route')
  })
})

describe('admin operations', () => {
  test('get the numbers of the path and the body', async () => {
    const { ask } = await start()
    expect(await (await ask('/admin/shards')).json()).toEqual({ shards: [{ shard: 0 }] })
    const empty = await ask('/admin/shards/2/quarantine', post())
    expect([empty.status, await empty.json()]).toEqual([200, { shard: 2, body: null }])
    const withBody = await ask('/admin/shards/2/quarantine', post('{"why":"test"}'))
    expect(await withBody.json()).toEqual({ shard: 2, body: { why: 'test' } })
  })

  test('may refuse, in their own words', async () => {
    const { ask, errors } = await start()
    const response = await ask('/admin/shards/9/quarantine', post())
    expect([response.status, await response.json()]).toEqual([
      404,
      { error: { code: 404, message: 'there is no shard 9' } },
    ])
    expect(errors).toEqual([])
  })

  test('may fail, and the reason stays inside', async () => {
    const { ask, errors } = await start()
    const response = await ask('/admin/shards/3/quarantine', post())
    expect([response.status, await response.text()]).toEqual([500, expect.not.stringContaining('secret')])
    expect(errors).toHaveLength(1)
  })

  test.each(['http://evil.example', 'http://127.0.0.1:9000', 'null'])(
    'refuse the origin %s',
    async origin => {
      const { server } = await start({ adminKey: 'key' })
      for (const line of ['GET /admin/shards', 'POST /admin/shards/1/quarantine']) {
        const answer = await raw(
          server.port,
          `${line} HTTP/1.1\r\nHost: x\r\nOrigin: ${origin}\r\nX-API-Key: key\r\nConnection: close\r\n\r\n`,
        )
        expect(answer).toMatch(/^HTTP\/1\.1 403 /)
      }
    },
  )

  test.each([[undefined], [''], ['kez'], ['key2'], ['key, key']])('refuse the key %j', async key => {
    const { ask } = await start({ adminKey: 'key' })
    const headers: Record<string, string> = key === undefined ? {} : { 'X-API-Key': key }
    for (const response of [
      await ask('/admin/shards', { headers }),
      await ask('/admin/shards/1/quarantine', post(undefined, headers)),
    ]) {
      expect([response.status, await response.json()]).toEqual([
        401,
        { error: { code: 401, message: 'unauthorized' } },
      ])
    }
  })

  test('take the right key, which metrics and probes do not ask for', async () => {
    const { ask } = await start({ adminKey: 'key' })
    expect((await ask('/admin/shards', { headers: { 'X-API-Key': 'key' } })).status).toBe(200)
    for (const path of ['/metrics', '/health', '/ready']) expect((await ask(path)).status).toBe(200)
  })

  test.each(['{', 'undefined', '{"a":1}x'])('refuse the body %j', async body => {
    const { ask } = await start()
    expect((await ask('/admin/shards/1/quarantine', post(body))).status).toBe(400)
  })

  test('take a body up to the limit and refuse one byte more', async () => {
    const { server } = await start()
    const send = (bytes: number) =>
      raw(
        server.port,
        'POST /admin/shards/1/quarantine HTTP/1.1\r\nHost: x\r\nConnection: close\r\n' +
          `Content-Length: ${bytes}\r\n\r\n"${'a'.repeat(bytes - 2)}"`,
      )
    expect(await send(16_384)).toMatch(/^HTTP\/1\.1 200 /)
    expect(await send(16_385)).toMatch(/^HTTP\/1\.1 413 .*Connection: close/s)
  })

  test('a client that leaves in the middle of its body disturbs nobody', async () => {
    const { server, ask, errors } = await start()
    const socket = connect(server.port, '127.0.0.1')
    const left = new Promise(resolve => socket.once('close', resolve))
    socket.write(
      'POST /admin/shards/1/quarantine HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"half',
      () => socket.resetAndDestroy(),
    )
    await left
    expect((await ask('/health')).status).toBe(200)
    expect(errors).toEqual([])
  })
})

describe('start and end', () => {
  test('a taken port is a StartError that names the port', async () => {
    const { server } = await start()
    const second = start({ port: server.port })
    await expect(second).rejects.toBeInstanceOf(StartError)
    await expect(second).rejects.toThrow(
      `cannot listen on port ${server.port} on 127.0.0.1 (http_server.internal_port): the port is already in use`,
    )
  })

  test('an address that is not of this machine is a StartError too', async () => {
    await expect(start({ address: '192.0.2.1' })).rejects.toBeInstanceOf(StartError)
  })

  test('close ends idle connections and frees the port, and may be called twice', async () => {
    const { server, ask } = await start()
    await (await ask('/health')).text()
    const idle = connect(server.port, '127.0.0.1')
    const ended = new Promise(resolve => idle.once('close', resolve))
    await new Promise(resolve => idle.once('connect', resolve))
    await Promise.all([server.close(), server.close()])
    await ended
    await expect(ask('/health')).rejects.toThrow()
    await start({ port: server.port })
  })

  test('close lets an answer that is under way finish', async () => {
    const entered = Promise.withResolvers<void>()
    const release = Promise.withResolvers<string>()
    const { server, ask } = await start({
      scrape() {
        entered.resolve()
        return release.promise
      },
    })
    const answer = ask('/metrics').then(response => response.text())
    await entered.promise
    const closed = server.close()
    release.resolve('late page\n')
    expect(await answer).toBe('late page\n')
    await closed
  })

  test('what is not HTTP gets a 400 and the end of its connection', async () => {
    const { server } = await start()
    expect(await raw(server.port, 'hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
  })
})
