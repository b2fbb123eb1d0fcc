// A plain TCP client as a test sees it: sends lines, waits for the lines it expects. Pings are answered when asked to.

import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

export class TcpClient {
  readonly socket: Socket
  readonly lines: any[] = []
  readonly #waiting = new Set<() => void>()
  closed = false
  /** Resolves when the relay has closed the connection. */
  readonly ended: Promise<void>

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    this.ended = new Promise(resolve => {
      socket.on('close', () => {
        this.closed = true
        this.#wake()
        resolve()
      })
    })
    const lines = createInterface({ input: socket })
    // It says again what the socket said.
    lines.on('error', () => {})
    lines.on('line', line => {
      this.lines.push(JSON.parse(line))
      this.#wake()
    })
  }

  static open(port: number): Promise<TcpClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1' }, () => resolve(new TcpClient(socket)))
      socket.once('error', reject)
    })
  }

  #wake(): void {
    for (const check of this.#waiting) check()
  }

  send(command: unknown): void {
    this.socket.write(`${typeof command === 'string' ? command : JSON.stringify(command)}\n`)
  }

  /** The first line, now or later, that the test accepts; rejects when the connection ends without it. */
  next(accepts: (line: any) => boolean): Promise<any> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = this.lines.find(accepts)
        if (found !== undefined) {
          this.#waiting.delete(check)
          resolve(found)
        } else if (this.closed) {
          this.#waiting.delete(check)
          reject(new Error(`the connection ended; got ${JSON.stringify(this.lines).slice(0, 500)}`))
        }
      }
      this.#waiting.add(check)
      check()
    })
  }

  /** Sends a command with an id and resolves with its reply. */
  call(command: { id: number } & Record<string, unknown>): Promise<any> {
    this.send(command)
    return this.next(line => line.id === command.id)
  }

  close(): void {
    this.socket.destroy()
  }
}
