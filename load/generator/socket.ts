// A connection to a server that costs next to nothing: a socket of Node, a WebSocket handshake made by hand, and the
// cutter of what comes after it. Any thread of the load; one thread's sockets all read into one buffer.
// Invariant: `onEnd` is called exactly once for each socket that was handed out, and for no other.

import { createHash, randomBytes } from 'node:crypto'
import { isIP, type LookupFunction, connect as netConnect, type Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { Carry } from './carry.ts'
import { nowUs } from './clock.ts'
import type { Sent } from './dialect.ts'
import { type BlockEvents, type Cutter, clientFrame, FrameCutter, LineCutter } from './frames.ts'
import { cachedLookup } from './lookup.ts'

export type SocketTarget = Readonly<
  | { transport: 'ws'; url: string; subprotocol?: string; opcode: 'text' | 'binary' }
  | { transport: 'tcp'; host: string; port: number }
> &
  Readonly<{ source?: string | undefined }>

/** How the server ended it, or the network did (1006). */
export type Ending = Readonly<{ code: number; reason: string }>

export type SocketEvents = Readonly<{
  onBlock: BlockEvents['onBlock']
  onEnd: (ending: Ending) => void
  /** What waited to be sent is sent. */
  onDrain?: () => void
}>

/** Why there is no connection. */
export class ConnectError extends Error {
  override name = 'ConnectError'
  /** Of the answer to the upgrade, where there was one. */
  readonly status: number | undefined
  /** Of the system, such as ECONNREFUSED. */
  readonly code: string | undefined

  constructor(message: string, { status, code }: { status?: number; code?: string | undefined } = {}) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** For the socket and all handshakes above it. */
export const CONNECT_TIMEOUT_MS = 10_000

/** Serves all sockets of the thread: it is read into and handed over before the next socket is read. */
const READ_BYTES = 2 ** 18
const shared = Buffer.allocUnsafeSlow(READ_BYTES)

/** Pongs that a server does not read are no longer sent: more would only fill our memory. */
const PONG_WAITING_BYTES_MAX = 65_536
const HEAD_BYTES_MAX = 16_384
const HEAD_END = '\r\n\r\n'
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const ABNORMAL = 1006
const NORMAL = 1000
const NEWLINE = Buffer.from('\n')

/** Connects, and on WebSocket makes the handshake. Rejects with ConnectError. */
export function openSocket(target: SocketTarget, events: SocketEvents): Promise<LoadSocket> {
  return new Promise((resolve, reject) => {
    const socket = new LoadSocket(target, events, opened => {
      clearTimeout(deadline)
      if (opened === undefined) resolve(socket)
      else reject(opened)
    })
    const deadline = setTimeout(() => {
      socket.fail(new ConnectError(`no connection within ${CONNECT_TIMEOUT_MS / 1000} s`))
    }, CONNECT_TIMEOUT_MS)
  })
}

export class LoadSocket {
  readonly #target: SocketTarget
  readonly #events: SocketEvents
  readonly #socket: Socket
  readonly #cutter: Cutter
  /** Undefined once it is open, or failed. */
  #opened: ((error: ConnectError | undefined) => void) | undefined
  #failed = false
  #upgrade: { readonly key: string; readonly head: Carry } | undefined
  #ending: Ending = { code: ABNORMAL, reason: 'closed without a word' }

  /** Use openSocket(). */
  constructor(target: SocketTarget, events: SocketEvents, opened: (error: ConnectError | undefined) => void) {
    this.#target = target
    this.#events = events
    this.#opened = opened
    const cutterEvents: BlockEvents = {
      onBlock: events.onBlock,
      onPing: payload => {
        if (this.#mayPong) this.#write(clientFrame(payload, 'pong'))
      },
      onClose: (code, reason) => this.#onClose(code, reason),
      onError: reason => this.#onError(reason),
    }
    const websocket = target.transport === 'ws'
    this.#cutter = websocket ? new FrameCutter(cutterEvents) : new LineCutter(cutterEvents)
    this.#socket = connectTo(target, (bytes, length) => this.#onRead(bytes, length))
    this.#socket.setNoDelay(true)
    this.#socket.on('error', (error: Error & { code?: string }) => this.#onSocketError(error))
    this.#socket.on('close', () => this.#onSocketClosed())
    this.#socket.on('drain', () => events.onDrain?.())
    const connected = target.transport === 'ws' && target.url.startsWith('wss:') ? 'secureConnect' : 'connect'
    this.#socket.once(connected, () => {
      if (target.transport === 'ws') this.#beginUpgrade(target)
      else this.#settle(undefined)
    })
  }

  /** Bytes that wait because the server does not read. */
  get waitingBytes(): number {
    return this.#socket.writableLength
  }

  /** One message; on TCP as one line. Several commands may be joined by line breaks where the dialect has lines. */
  send(data: Sent): void {
    if (this.#target.transport === 'ws') return this.#write(clientFrame(data, this.#target.opcode))
    if (typeof data === 'string') return this.#write(`${data}\n`)
    this.#write(Buffer.concat([data, NEWLINE]))
  }

  /** The same for the answer to a ping of the dialect. */
  sendPong(data: Sent): void {
    if (this.#mayPong) this.send(data)
  }

  /** Reads nothing more; what comes stays in the kernel, and then at the server. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Takes leave and closes. */
  end(): void {
    if (this.#socket.destroyed) return
    if (this.#target.transport === 'ws') this.#write(clientFrame(closePayload(NORMAL), 'close'))
    // A paused socket would never see the other side's end.
    this.#socket.destroySoon()
  }

  /** Gone at once and without a goodbye: the other side gets a reset. With TLS it gets the end of the connection. */
  cut(): void {
    if (this.#target.transport === 'ws' && this.#target.url.startsWith('wss:')) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }

  /** Gives up a connection whose handshake does not come to an end; without effect once it is open. */
  fail(error: ConnectError): void {
    if (this.#opened === undefined) return
    this.#settle(error)
    this.#socket.destroy()
  }

  get #mayPong(): boolean {
    return this.waitingBytes < PONG_WAITING_BYTES_MAX
  }

  #write(data: string | Buffer): void {
    if (this.#socket.writable) this.#socket.write(data)
  }

  #settle(error: ConnectError | undefined): void {
    const opened = this.#opened
    this.#opened = undefined
    if (opened === undefined) return
    this.#failed = error !== undefined
    opened(error)
  }

  #onRead(bytes: Buffer, length: number): void {
    const atUs = nowUs()
    if (this.#upgrade !== undefined) return this.#takeUpgrade(bytes, length, atUs)
    if (!this.#failed) this.#cutter.take(bytes, 0, length, atUs)
  }

  #beginUpgrade({ url, subprotocol }: Extract<SocketTarget, { transport: 'ws' }>): void {
    const { host, pathname, search } = new URL(url)
    const key = randomBytes(16).toString('base64')
    this.#upgrade = { key, head: new Carry() }
    this.#write(
      `GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n` +
        `${subprotocol === undefined ? '' : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`}\r\n`,
    )
  }

  #takeUpgrade(bytes: Buffer, length: number, atUs: number): void {
    const { key, head } = this.#upgrade!
    head.append(bytes, 0, length)
    const end = head.bytes.subarray(0, head.length).indexOf(HEAD_END)
    if (end < 0) {
      if (head.length > HEAD_BYTES_MAX) this.fail(new ConnectError('no end of the answer to the upgrade'))
      return
    }
    this.#upgrade = undefined
    const problem = problemOf(head.bytes.toString('latin1', 0, end), key)
    if (problem !== undefined) return this.fail(problem)
    this.#settle(undefined)
    this.#cutter.take(head.bytes, end + HEAD_END.length, head.length, atUs)
    head.clear()
  }

  #onClose(code: number, reason: string): void {
    this.#ending = { code, reason }
    this.#write(clientFrame(code === 1005 ? '' : closePayload(code), 'close'))
    this.#socket.destroySoon()
  }

  #onError(reason: string): void {
    this.#ending = { code: ABNORMAL, reason }
    this.#socket.destroy()
  }

  #onSocketError(error: Error & { code?: string }): void {
    const text = error.code ?? error.message
    this.fail(new ConnectError(text, { code: error.code }))
    if (this.#ending.code === ABNORMAL) this.#ending = { code: ABNORMAL, reason: text }
  }

  #onSocketClosed(): void {
    if (this.#opened !== undefined) this.fail(new ConnectError('closed without an answer'))
    else if (!this.#failed) this.#events.onEnd(this.#ending)
  }
}

type OnRead = (bytes: Buffer, length: number) => void

function connectTo(target: SocketTarget, onRead: OnRead): Socket {
  const callback = (length: number) => {
    onRead(shared, length)
    return true
  }
  const local = target.source === undefined ? {} : { localAddress: target.source }
  const options = { ...local, lookup: cachedLookup as LookupFunction }
  const onread = { buffer: shared, callback }
  if (target.transport === 'tcp') {
    return netConnect({ host: target.host, port: target.port, onread, ...options })
  }
  const { protocol, hostname, port } = new URL(target.url)
  const host = hostname.replace(/^\[|\]$/g, '')
  if (protocol !== 'wss:') return netConnect({ host, port: Number(port || 80), onread, ...options })
  const name = isIP(host) === 0 ? { servername: host } : {}
  const secure = tlsConnect({ host, port: Number(port || 443), ...name, ...options })
  // The stream of decrypted bytes has buffers of its own.
  secure.on('data', (chunk: Buffer) => onRead(chunk, chunk.length))
  return secure
}

/** What is wrong with the head of an answer to the upgrade. */
function problemOf(head: string, key: string): ConnectError | undefined {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0)
  if (status !== 101) return new ConnectError(`status ${status}`, { status })
  const accept = /^sec-websocket-accept: *(\S+)/im.exec(head)?.[1]
  const wanted = createHash('sha1').update(`${key}${ACCEPT_SUFFIX}`).digest('base64')
  return accept === wanted ? undefined : new ConnectError('an answer to another upgrade')
}

function closePayload(code: number): Buffer {
  return Buffer.from([code >> 8, code & 0xff])
}
