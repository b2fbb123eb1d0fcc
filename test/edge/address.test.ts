// The address of a client as calls of the messenger carry it, over real sockets.

import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { Admission } from '../../src/edge/admission.ts'
import { TcpEdge } from '../../src/edge/tcp.ts'
import { createApp, listen } from '../../src/edge/uws.ts'
import { attachWebSocket } from '../../src/edge/websocket.ts'
import type { Call, MessengerPort } from '../../src/protocol/call.ts'
import type { SessionEnv } from '../../src/session/port.ts'
import { createShardPair } from '../session/shard-pair.ts'

const LOGIN = JSON.stringify({ id: 1, rpc: { method: 'auth.login', data: {} } })

function setUp(trustedProxies: readonly string[]) {
  const pair = createShardPair({
    messenger: { enabled: true },
    http_server: { trusted_proxies: trustedProxies },
  })
  onTestFinished(() => pair.close())
  onTestFinished(() => expect(pair.errors).toEqual([]))
  const called = Promise.withResolvers<Call>()
  const messenger: MessengerPort = {
    call(call, done) {
      called.resolve(call)
      done({ ok: true, data: '{}' })
    },
    admit: () => {},
  }
  const [{ relay, row }] = pair.shards
  const admission = new Admission({
    allowedOrigins: [],
    loopbackOnly: true,
    listedOnly: true,
    connectionLimit: 0,
    connectionRateLimit: 0,
    rows: [row],
    row,
  })
  const env: SessionEnv = { ...relay.env, messenger }
  return { env, admission, called: called.promise }
}

async function callOverWebSocket(
  trustedProxies: readonly string[],
  headers: Record<string, string | string[]>,
  host = '127.0.0.1',
) {
  const { env, admission, called } = setUp(trustedProxies)
  const app = createApp(undefined)
  onTestFinished(() => void app.close())
  attachWebSocket(app, env, admission)
  const listening = listen(app, host, 0, false)!
  const url = `ws://${host.includes(':') ? `[${host}]` : host}:${listening.port}/connection/websocket`
  const socket = new WebSocket(url, { headers: headers as Record<string, string> })
  onTestFinished(() => socket.terminate())
  await once(socket, 'open')
  socket.send(LOGIN)
  return called
}

test('without trusted proxies it is that of the socket, whatever a header says', async () => {
  const { address, device, transport } = await callOverWebSocket([], {
    'X-Forwarded-For': '198.51.100.1',
    'User-Agent': 'a browser',
  })
  expect({ address, device, transport }).toEqual({
    address: '127.0.0.1',
    device: 'a browser',
    transport: 'websocket',
  })
})

test('a trusted proxy says whose it is, in the header that it added behind the client’s own', async () => {
  const headers = { 'X-Forwarded-For': ['203.0.113.99', '198.51.100.1'] }
  expect(await callOverWebSocket(['127.0.0.0/8'], headers)).toMatchObject({ address: '198.51.100.1' })
})

test('of IPv6 it is the short form', async () => {
  expect(await callOverWebSocket([], {}, '::1')).toMatchObject({ address: '::1', device: '' })
})

test('over TCP it is that of the socket', async () => {
  const { env, admission, called } = setUp(['127.0.0.0/8'])
  const edge = new TcpEdge(env, admission)
  onTestFinished(() => edge.close())
  const port = await edge.listen('127.0.0.1', 0)
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.write(`${LOGIN}\n`)
  expect(await called).toMatchObject({ address: '127.0.0.1', device: '', transport: 'tcp' })
})
