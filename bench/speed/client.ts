// A client that costs next to nothing: a socket, a WebSocket handshake made by hand, and the bytes that come after it.

import { connect, type Socket } from 'node:net'

export type Endpoint = Readonly<{ transport: 'websocket' | 'tcp'; port: number }>
export type OnBytes = (chunk: Uint8Array) => void

/** One buffer serves all sockets of the process: it is read into and handed over before the next socket is read. */
const shared = Buffer.allocUnsafeSlow(1 << 18)

const HANDSHAKE_END = '\r\n\r\n'

export class Client {
  readonly #socket: Socket
  readonly #framed: boolean
  /** Who gets what comes next. */
  onBytes: OnBytes = () => {}

  private constructor(socket: Socket, framed: boolean) {
    this.#socket = socket
    this.#framed = framed
  }

  /** Connects; on WebSocket resolves after the handshake. `onEnd`: the server ended the connection. */
  static open({ transport, port }: Endpoint, onEnd: () => void): Promise<Client> {
    return new Promise((resolve, reject) => {
      let client: Client | undefined
      const callback = (bytes: number) => {
        client!.onBytes(shared.subarray(0, bytes))
        return true
      }
      const socket = connect({ port, host: '127.0.0.1', onread: { buffer: shared, callback } })
      client = new Client(socket, transport === 'websocket')
      socket.setNoDelay(true)
      socket.on('error', reject)
      socket.on('close', () => {
        reject(new Error('closed'))
        onEnd()
      })
      socket.once('connect', () => {
        if (transport === 'tcp') return resolve(client!)
        socket.write(HANDSHAKE)
        client!.#waitFor(HANDSHAKE_END).then(() => resolve(client!), reject)
      })
    })
  }

  /** Text that has to have come in the bytes from now on; they are taken from `onBytes` until then. */
  #waitFor(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      let received = ''
      this.onBytes = chunk => {
        received += Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1')
        if (received.includes('"error":') || received.startsWith('HTTP/1.1 4')) {
          reject(new Error(received.slice(0, 200)))
        } else if (received.includes(text)) {
          this.onBytes = () => {}
          resolve()
        }
      }
    })
  }

  /** Sends commands, and resolves when the answer has come. */
  ask(commands: string, answer: string): Promise<void> {
    const answered = this.#waitFor(answer)
    this.send(commands)
    return answered
  }

  /** One or more lines without the last line break. */
  send(lines: string): void {
    if (this.#framed) this.#socket.write(maskedFrame(lines))
    else this.#socket.write(`${lines}\n`)
  }

  end(): void {
    this.#socket.destroy()
  }
}

const HANDSHAKE =
  'GET /connection/websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'

const LENGTH_16_BITS = 126
const MASKED = 0x80
const MASK_BYTES = 4

/** Client frames must be masked; a mask of zeros leaves the text as it is. */
function maskedFrame(text: string): Buffer {
  const bytes = Buffer.byteLength(text)
  const headerBytes = bytes < LENGTH_16_BITS ? 2 : 4
  const frame = Buffer.alloc(headerBytes + MASK_BYTES + bytes)
  frame[0] = 0x81
  if (bytes < LENGTH_16_BITS) {
    frame[1] = MASKED | bytes
  } else {
    frame[1] = MASKED | LENGTH_16_BITS
    frame.writeUInt16BE(bytes, 2)
  }
  frame.write(text, headerBytes + MASK_BYTES)
  return frame
}
