// A client over a bare socket, WebSocket or TCP, for tests of bad manners: it writes any bytes, stops reading when
// told to, and answers no pings by itself.

import { connect as connectSocket, type Socket } from 'node:net'
import { clientFrame, type FrameOptions, OPCODE, ServerFrames } from './websocket-frames.ts'

export type Transport = 'websocket' | 'tcp'

/** How the relay ended it: the code of its close frame or disconnect push; 0: without a word. */
export type Ending = Readonly<{ code: number; reason: string }>

type Ports = Readonly<{ http: number; tcp: number }>
type Waiting = { from: number; check: () => void }

export class RawClient {
  readonly transport: Transport
  readonly socket: Socket
  /** All lines that came, parsed. */
  readonly lines: any[] = []
  readonly ended: Promise<Ending>
  /** Whether pings of the relay get a pong, as soon as they are read. */
  answersPings = false
  /** Pings of the relay that were read. */
  pings = 0
  /** WebSocket pongs that came. */
  pongs = 0
  #ending: Ending = { code: 0, reason: '' }
  #closed = false
  #rest: Buffer[] = []
  readonly #frames = new ServerFrames()
  readonly #waiting = new Set<Waiting>()

  private constructor(transport: Transport, socket: Socket) {
    this.transport = transport
    this.socket = socket
    socket.on('error', () => {})
    this.ended = new Promise(resolve => {
      socket.on('close', () => {
        this.#closed = true
        this.#wake()
        resolve(this.#ending)
      })
    })
    socket.on('data', chunk => (transport === 'tcp' ? this.#onBytes(chunk) : this.#onFrames(chunk)))
    socket.resume()
  }

  static async open(relay: { ports: Ports }, transport: Transport): Promise<RawClient> {
    const { socket } = await openSocket(transport === 'tcp' ? relay.ports.tcp : relay.ports.http)
    if (transport === 'websocket') {
      const { head } = await exchange(socket, upgradeRequest())
      if (!head.startsWith('HTTP/1.1 101')) throw new Error(`no upgrade: ${head}`)
    }
    return new RawClient(transport, socket)
  }

  /** Over a socket whose upgrade was made by hand. */
  static upgraded(socket: Socket): RawClient {
    return new RawClient('websocket', socket)
  }

  /** Open, with a live session. */
  static async connect(relay: { ports: Ports }, transport: Transport, connect = {}): Promise<RawClient> {
    const client = await RawClient.open(relay, transport)
    const reply = await client.call({ id: 1, connect })
    if (reply.connect === undefined) throw new Error(`not connected: ${JSON.stringify(reply)}`)
    return client
  }

  /** Commands as one frame, or one line each in one write. */
  send(...commands: readonly unknown[]): void {
    this.text(commands.map(command => JSON.stringify(command)).join('\n'))
  }

  text(text: string): void {
    this.socket.write(this.transport === 'tcp' ? `${text}\n` : clientFrame(text))
  }

  frame(payload: string | Uint8Array, options: FrameOptions): void {
    this.socket.write(clientFrame(payload, options))
  }

  /** The first line, now or later, that the test accepts; rejects when the connection ends without it. */
  next(accepts: (line: any) => boolean): Promise<any> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        from: 0,
        check: () => {
          while (waiting.from < this.lines.length) {
            const line = this.lines[waiting.from++]
            if (!accepts(line)) continue
            this.#waiting.delete(waiting)
            return resolve(line)
          }
          if (!this.#closed) return
          this.#waiting.delete(waiting)
          reject(new Error(`the connection ended: ${JSON.stringify(this.#ending)}`))
        },
      }
      this.#waiting.add(waiting)
      waiting.check()
    })
  }

  call(command: { id: number } & Record<string, unknown>): Promise<any> {
    this.send(command)
    return this.next(line => line.id === command.id)
  }

  subscribe(id: number, channel: string, options: Record<string, unknown> = {}): Promise<any> {
    return this.call({ id, subscribe: { channel, ...options } })
  }

  /** All publications of a channel so far. */
  publications(channel: string): any[] {
    return this.lines.flatMap(({ push }) => (push?.channel === channel && push.pub ? [push.pub] : []))
  }

  /** Stops reading: what comes stays in the kernel, and then in the relay. */
  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  close(): void {
    this.socket.destroy()
  }

  #onFrames(chunk: Buffer): void {
    for (const { opcode, payload } of this.#frames.push(chunk)) {
      if (opcode === OPCODE.text) this.#onLines(payload.toString('utf8'))
      else if (opcode === OPCODE.pong) this.pongs++
      else if (opcode === OPCODE.close && payload.length >= 2) {
        this.#ending = { code: payload.readUInt16BE(0), reason: payload.toString('utf8', 2) }
      }
    }
    this.#wake()
  }

  #onBytes(chunk: Buffer): void {
    const lastBreak = chunk.lastIndexOf(0x0a)
    if (lastBreak < 0) {
      this.#rest.push(chunk)
      return
    }
    const whole = Buffer.concat([...this.#rest, chunk.subarray(0, lastBreak)])
    this.#rest = [chunk.subarray(lastBreak + 1)]
    this.#onLines(whole.toString('utf8'))
    this.#wake()
  }

  #onLines(text: string): void {
    for (const line of text.split('\n')) {
      const parsed = JSON.parse(line)
      this.lines.push(parsed)
      if (line === '{}') {
        this.pings++
        if (this.answersPings) this.text('{}')
      }
      if (parsed.push?.disconnect !== undefined) this.#ending = parsed.push.disconnect
    }
  }

  #wake(): void {
    for (const { check } of this.#waiting) check()
  }
}

export function openSocket(port: number): Promise<{ socket: Socket }> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ port, host: '127.0.0.1' }, () => resolve({ socket }))
    socket.once('error', reject)
  })
}

export function upgradeRequest(headers: Record<string, string> = {}, path = '/connection/websocket'): string {
  const all = {
    Host: '127.0.0.1',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`)
  return `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** Writes an HTTP request as it stands and reads the head of the answer; '' = closed without one. */
export function exchange(socket: Socket, request: string): Promise<{ head: string }> {
  socket.write(request)
  return new Promise(resolve => {
    let bytes = Buffer.alloc(0)
    const settle = (head: string, rest?: Buffer) => {
      socket.off('data', onData)
      socket.off('close', onClose)
      socket.pause()
      if (rest !== undefined && rest.length > 0) socket.unshift(rest)
      resolve({ head })
    }
    const onData = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      const end = bytes.indexOf('\r\n\r\n')
      if (end >= 0) settle(bytes.toString('latin1', 0, end), bytes.subarray(end + 4))
    }
    const onClose = () => settle(bytes.toString('latin1'))
    socket.on('data', onData)
    socket.on('close', onClose)
    socket.resume()
  })
}

/** Everything a server says until it closes the connection. */
export async function exchangeToEnd(port: number, request: string | Uint8Array): Promise<string> {
  const { socket } = await openSocket(port)
  const chunks: Buffer[] = []
  socket.on('error', () => {})
  socket.on('data', chunk => chunks.push(chunk))
  socket.write(request)
  await new Promise(resolve => socket.on('close', resolve))
  return Buffer.concat(chunks).toString('latin1')
}
