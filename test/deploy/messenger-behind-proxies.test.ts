// The messenger behind nginx and Caddy as they are shipped: large files up and down, logins by HTTP and WebSocket, and whose
// they are in the audit log.

import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DefaultHttpStack, Upload } from 'tus-js-client'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { PATIENTLY } from '../support/sdk.ts'
import { caddy, missing, nginx, type RunningProxy, startProxy } from './proxy.ts'

const PASSWORD = 'a password of the tests 7'
const FILE_BYTES = 20 * 1_024 * 1_024
/** From which clients come here: loopback as well, but none of the addresses of a proxy. */
const CLIENT = '127.0.0.77'
/** What clients may say of themselves, and nobody is to believe. */
const MADE_UP = '192.0.2.66'

let relay: TestRelay
let path: string

beforeAll(async () => {
  path = mkdtempSync(join(tmpdir(), 'fanwire-behind-'))
  const proxies = [1, 2, 3, 4, 5].map(last => `127.0.0.${last}`)
  relay = await startTestRelay({
    http_server: { trusted_proxies: proxies },
    messenger: { enabled: true, path },
  })
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
  rmSync(path, { recursive: true })
})

type Answer = Readonly<{ status: number; headers: IncomingHttpHeaders; body: Buffer }>

/** A request through the proxy, from the client's address; its body is the caller's to write. */
function start(proxy: RunningProxy, method: string, way: string, headers: Record<string, string>) {
  const agent = new Agent({ ca: proxy.certificate, localAddress: CLIENT, keepAlive: false })
  const where = { host: '127.0.0.1', port: proxy.httpsPort, path: `/messenger${way}`, method, agent }
  return request({ ...where, headers: { 'x-forwarded-for': MADE_UP, ...headers } })
}

function send(
  proxy: RunningProxy,
  method: string,
  way: string,
  headers: Record<string, string>,
  body = '',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = start(proxy, method, way, headers)
    call.on('error', reject)
    call.on('response', response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', reject)
      const { statusCode, headers: answered } = response
      response.on('end', () =>
        resolve({ status: statusCode!, headers: answered, body: Buffer.concat(chunks) }),
      )
    })
    call.end(body)
  })
}

async function rpc(proxy: RunningProxy, session: string, method: string, data: object) {
  const headers = { 'content-type': 'application/json', ...(session && bearer(session)) }
  const { status, body } = await send(proxy, 'POST', `/rpc/${method}`, headers, JSON.stringify(data))
  expect(status, `${method}: ${body}`).toBe(200)
  return JSON.parse(String(body))
}

const bearer = (session: string) => ({ authorization: `Bearer ${session}` })

/** Logs in before `connect`, on the same connection. */
async function logInOverWebSocket(proxy: RunningProxy, nickname: string): Promise<void> {
  const socket = new WebSocket(proxy.websocketUrl, {
    ca: proxy.certificate,
    localAddress: CLIENT,
    headers: { 'x-forwarded-for': MADE_UP },
  })
  onTestFinished(() => socket.terminate())
  const reply = new Promise<any>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', code => reject(new Error(`closed with ${code}`)))
    socket.on('message', frame => {
      for (const line of String(frame).split('\n')) {
        const { id, ...rest } = JSON.parse(line)
        if (id === 1) resolve(rest)
      }
    })
  })
  socket.on('open', () => {
    const login = { method: 'auth.login', data: { nickname, password: PASSWORD } }
    socket.send(JSON.stringify({ id: 1, rpc: login }))
  })
  expect((await reply).error).toBeUndefined()
}

async function upload(proxy: RunningProxy, session: string, bytes: Buffer): Promise<string> {
  const agent = new Agent({ ca: proxy.certificate, localAddress: CLIENT })
  const done = new Promise<string>((resolve, reject) => {
    const sending = new Upload(bytes, {
      endpoint: `https://127.0.0.1:${proxy.httpsPort}/messenger/uploads/`,
      httpStack: new DefaultHttpStack({ agent }),
      // Whatever does not go through at once is a fault here.
      retryDelays: null,
      metadata: { filename: 'large.bin' },
      headers: bearer(session),
      onSuccess: () => resolve(sending.url!.split('/').at(-1)!),
      onError: reject,
    })
    sending.start()
  })
  return done.finally(() => agent.destroy())
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

let token = ''

for (const [program, kind] of [
  ['nginx', nginx],
  ['caddy', caddy],
] as const) {
  const why = missing(program) ?? missing('openssl')
  describe.skipIf(why !== undefined)(`${program}${why === undefined ? '' : ` (left out: ${why})`}`, () => {
    let proxy: RunningProxy
    beforeAll(async () => {
      proxy = await startProxy(kind, relay.ports.http)
      const account = { nickname: program, password: PASSWORD }
      const { session } = await rpc(proxy, '', 'auth.signup', account)
      // The first who signs up is the administrator.
      token ||= session.token
    })
    afterAll(() => proxy?.stop())

    test('a file of 20 MB goes up by tus in one piece, and comes down as it was', async () => {
      const bytes = randomBytes(FILE_BYTES)
      const id = await upload(proxy, token, bytes)
      const { file } = await rpc(proxy, token, 'file.get', { id })
      expect(file).toMatchObject({ name: 'large.bin', size: FILE_BYTES, sha256: hashOf(bytes) })
      const { status, body } = await send(proxy, 'GET', `/files/${id}`, bearer(token))
      expect([status, body.length, hashOf(body)]).toEqual([200, FILE_BYTES, hashOf(bytes)])
    })

    test('who logs in, by HTTP or WebSocket, does so from the address of the client', async () => {
      await rpc(proxy, '', 'auth.login', { nickname: program, password: PASSWORD })
      await logInOverWebSocket(proxy, program)
      const { entries } = await rpc(proxy, token, 'admin.audit', {})
      const addresses = entries.map(({ action, address }: any) => `${action} ${address}`)
      expect(addresses.slice(0, 3)).toEqual([`login ${CLIENT}`, `login ${CLIENT}`, `signup ${CLIENT}`])
    })

    test('what came of an upload that was cut is with the relay, to go on from', async () => {
      const tus = { 'tus-resumable': '1.0.0', ...bearer(token) }
      const begun = await send(proxy, 'POST', '/uploads', { ...tus, 'upload-length': `${FILE_BYTES}` })
      expect(begun.status).toBe(201)
      const at = begun.headers.location!.replace('/messenger', '')
      const piece = randomBytes(1_024 * 1_024)
      const cut = start(proxy, 'PATCH', at, {
        ...tus,
        'upload-offset': '0',
        'content-type': 'application/offset+octet-stream',
        'content-length': `${FILE_BYTES}`,
      })
      cut.on('error', () => {})
      cut.write(piece)
      const file = join(path, 'uploads', at.split('/').at(-1)!)
      // While the request is open: a proxy that kept it back until it is whole would have nothing to show.
      await expect.poll(() => sizeOf(file), PATIENTLY).toBe(piece.length)
      cut.destroy()
      const { status, headers } = await send(proxy, 'HEAD', at, tus)
      expect([status, headers['upload-offset']]).toEqual([200, `${piece.length}`])
    })
  })
}
