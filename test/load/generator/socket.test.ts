// Sockets of the load against servers of other makes: `ws`, plain HTTP, plain TCP, TLS.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import {
  type Ending,
  type LoadSocket,
  openSocket,
  type SocketTarget,
} from '../../../load/generator/socket.ts'
import { until } from '../../support/serving.ts'

type Opened = { socket: LoadSocket; blocks: string[]; endings: Ending[] }

async function open(target: SocketTarget): Promise<Opened> {
  const blocks: string[] = []
  const endings: Ending[] = []
  const socket = await openSocket(target, {
    onBlock: (bytes, from, end) => blocks.push(bytes.toString('latin1', from, end)),
    onEnd: ending => endings.push(ending),
  })
  onTestFinished(() => socket.cut())
  return { socket, blocks, endings }
}

async function listen(server: Server): Promise<number> {
  // Clients that are cut reset their connections.
  server.on('connection', (socket: Socket) => socket.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function startWs(options: object = {}) {
  const http = createHttpServer()
  const server = new WebSocketServer({ server: http, ...options })
  onTestFinished(() => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  const port = await listen(http)
  const connected = once(server, 'connection') as Promise<[WebSocket, { socket: Socket; url: string }]>
  return { server, connected, target: websocketAt(port) }
}

const websocketAt = (port: number): Extract<SocketTarget, { transport: 'ws' }> => ({
  transport: 'ws',
  url: `ws://127.0.0.1:${port}/some/path?and=query`,
  opcode: 'text',
})

test('a server that pings and does not read fills no memory with pongs', async () => {
  const upgrades = Promise.withResolvers<Socket>()
  const port = await listen(
    createServer(peer => {
      peer.once('data', head => {
        const key = /sec-websocket-key: (\S+)/i.exec(head.toString())![1]!
        const accept = createHash('sha1')
          .update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest('base64')
        peer.pause()
        peer.write(`HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
        upgrades.resolve(peer)
      })
    }),
  )
  const { socket, blocks } = await open(websocketAt(port))
  const peer = await upgrades.promise
  onTestFinished(() => {
    peer.destroy()
  })
  // More than the kernel holds for a connection.
  const pings = Buffer.concat(Array<Buffer>(20_000).fill(Buffer.from([0x89, 125, ...Buffer.alloc(125, 'p')])))
  for (let round = 0; round < 10; round++) {
    if (!peer.write(pings)) await once(peer, 'drain')
  }
  peer.write(Buffer.from([0x81, 1, 0x61]))
  await until(() => blocks.length === 1)
  expect(socket.waitingBytes).toBeGreaterThan(0)
  expect(socket.waitingBytes).toBeLessThan(70_000)
})

describe('against ws', () => {
  test('messages of all sizes go both ways', async () => {
    const { connected, target } = await startWs()
    const { socket, blocks } = await open(target)
    const [peer, request] = await connected
    expect(request.url).toBe('/some/path?and=query')
    const received: string[] = []
    peer.on('message', (data: Buffer, isBinary: boolean) => {
      received.push(data.toString())
      peer.send(data, { binary: isBinary })
    })
    const sent = [0, 1, 125, 126, 65_535, 65_536, 1_000_000].map(length => 'm'.repeat(length))
    for (const text of sent) socket.send(text)
    await until(() => blocks.length === sent.length)
    expect(received).toEqual(sent)
    expect(blocks).toEqual(sent)
  })

  test('fragments are put together, and pings between them answered', async () => {
    const { connected, target } = await startWs()
    const { blocks } = await open(target)
    const [peer] = await connected
    const pong = once(peer, 'pong')
    peer.send('one ', { fin: false })
    peer.ping('still there')
    peer.send('two', { fin: true })
    expect(String((await pong)[0])).toBe('still there')
    await until(() => blocks.length === 1)
    expect(blocks).toEqual(['one two'])
  })

  test('a binary dialect sends binary frames, with its subprotocol', async () => {
    const { connected, target } = await startWs({ handleProtocols: () => 'mqtt' })
    const { socket } = await open({ ...target, opcode: 'binary', subprotocol: 'mqtt' })
    const [peer] = await connected
    expect(peer.protocol).toBe('mqtt')
    const message = once(peer, 'message')
    socket.send(Buffer.from([1, 2, 255]))
    expect(await message).toEqual([Buffer.from([1, 2, 255]), true])
  })

  test.each([
    [
      'a code and a reason',
      (peer: WebSocket) => peer.close(3001, 'shutdown'),
      { code: 3001, reason: 'shutdown' },
    ],
    ['no code', (peer: WebSocket) => peer.close(), { code: 1005, reason: '' }],
    ['no close frame', (peer: WebSocket) => peer.terminate(), { code: 1006, reason: expect.any(String) }],
  ])('an end with %s is told once, and answered', async (_, end, ending) => {
    const { connected, target } = await startWs()
    const { endings } = await open(target)
    const [peer] = await connected
    const closed = once(peer, 'close')
    end(peer)
    await closed
    await until(() => endings.length > 0)
    expect(endings).toEqual([ending])
  })

  test('leaving says goodbye, cutting does not', async () => {
    const first = await startWs()
    const { socket } = await open(first.target)
    const [peer] = await first.connected
    const closed = once(peer, 'close')
    socket.end()
    expect((await closed)[0]).toBe(1000)

    const second = await startWs()
    const other = await open(second.target)
    const [otherPeer, request] = await second.connected
    const errors: string[] = []
    request.socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code!))
    const otherClosed = once(otherPeer, 'close')
    other.socket.cut()
    expect((await otherClosed)[0]).toBe(1006)
    expect(errors).toEqual(['ECONNRESET'])
  })

  test('what is paused is not read, and what came meanwhile is read when it goes on', async () => {
    const { connected, target } = await startWs()
    const { socket, blocks } = await open(target)
    const [peer, { socket: raw }] = await connected
    socket.pause()
    const text = 'x'.repeat(65_536)
    let sent = 0
    // Until the kernel takes no more: that shows that nobody reads.
    while (raw.writableLength < 1_000_000) {
      peer.send(text)
      sent++
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(blocks).toEqual([])
    socket.resume()
    await until(() => blocks.length === sent)
    expect(blocks.every(block => block === text)).toBe(true)
  })
})

describe('there is no connection', () => {
  test('where nobody listens', async () => {
    const server = createServer()
    const port = await listen(server)
    server.close()
    await once(server, 'close')
    await expect(open(websocketAt(port))).rejects.toMatchObject({
      message: 'ECONNREFUSED',
      code: 'ECONNREFUSED',
    })
    await expect(open({ transport: 'tcp', host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    })
  })

  test.each([
    ['HTTP/1.1 503 Service Unavailable\r\n\r\n', { message: 'status 503', status: 503 }],
    ['HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n\r\n', { message: 'status 429', status: 429 }],
    [
      'HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: d3Jvbmc=\r\n\r\n',
      { message: 'an answer to another upgrade' },
    ],
    ['SSH-2.0-OpenSSH\r\n\r\n', { message: 'status 0' }],
    ['x'.repeat(20_000), { message: 'no end of the answer to the upgrade' }],
    ['', { message: 'closed without an answer' }],
  ])('where the answer to the upgrade is %j', async (answer, error) => {
    const port = await listen(createServer(socket => socket.once('data', () => socket.end(answer))))
    await expect(open(websocketAt(port))).rejects.toMatchObject(error)
  })
})

test('frames that come in the same chunk as the answer to the upgrade are not lost', async () => {
  const server = createServer(socket => {
    socket.once('data', request => {
      const key = /Sec-WebSocket-Key: (\S+)/.exec(String(request))![1]
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n\x81\x07at once`,
        'latin1',
      )
    })
  })
  const { blocks } = await open(websocketAt(await listen(server)))
  await until(() => blocks.length === 1)
  expect(blocks).toEqual(['at once'])
})

test('a frame against the protocol ends the connection, and says why', async () => {
  const { connected, target } = await startWs()
  const { endings } = await open(target)
  const [, { socket: raw }] = await connected
  raw.write(Buffer.from([0xc1, 0x01, 0x61]))
  await until(() => endings.length > 0)
  expect(endings).toEqual([{ code: 1006, reason: 'a frame with reserved bits or a mask' }])
})

test('over TCP messages are lines', async () => {
  const received: string[] = []
  const port = await listen(
    createServer(socket => {
      socket.on('data', chunk => received.push(String(chunk)))
      socket.write('{}\n{"a":1}\n{"b"')
      socket.write(':2}\n')
    }),
  )
  const { socket, blocks, endings } = await open({
    transport: 'tcp',
    host: '127.0.0.1',
    port,
    source: '127.0.0.1',
  })
  socket.send('{"id":1}')
  socket.send(Buffer.from('{"id":2}'))
  await until(() => received.join('').length === 18 && blocks.join('').length >= 16)
  expect(received.join('')).toBe('{"id":1}\n{"id":2}\n')
  expect(blocks.join('\n')).toBe('{}\n{"a":1}\n{"b":2}')
  socket.end()
  await until(() => endings.length > 0)
})

test.runIf(process.platform === 'linux')(
  'connections come from the source address that was asked for',
  async () => {
    const from: (string | undefined)[] = []
    const port = await listen(createServer(socket => from.push(socket.remoteAddress)))
    await open({ transport: 'tcp', host: '127.0.0.1', port, source: '127.0.0.9' })
    await until(() => from.length === 1)
    expect(from).toEqual(['127.0.0.9'])
  },
)

test('over TLS the certificate is checked, and the same messages come', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-load-tls-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const name = ['-subj', '/CN=fanwire test', '-addext', 'subjectAltName=IP:127.0.0.1']
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', ['req', '-x509', ...kind, ...name, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  })
  const https = createHttpsServer({ cert: readFileSync(cert), key: readFileSync(key) })
  const server = new WebSocketServer({ server: https })
  onTestFinished(() => server.close())
  server.on('connection', peer => peer.on('message', data => peer.send(`${data}!`)))
  const target = { ...websocketAt(0), url: `wss://127.0.0.1:${await listen(https)}/` }
  await expect(open(target)).rejects.toMatchObject({ message: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  const trusted = getCACertificates('default')
  onTestFinished(() => setDefaultCACertificates(trusted))
  setDefaultCACertificates([...trusted, readFileSync(cert, 'utf8')])
  const { socket, blocks, endings } = await open(target)
  const long = 'm'.repeat(1_000_000)
  socket.send('hello')
  socket.send(long)
  await until(() => blocks.length === 2)
  expect(blocks).toEqual(['hello!', `${long}!`])
  socket.cut()
  await until(() => endings.length === 1)
})
