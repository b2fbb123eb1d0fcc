// A bare WebSocket client: sends the text it is given, keeps every frame as it came. It answers no pings.

import { onTestFinished } from 'vitest'

export class FrameClient {
  readonly socket: WebSocket
  /** Each frame, unparsed. */
  readonly frames: string[] = []
  /** All lines of all frames, parsed. */
  readonly lines: any[] = []
  /** Resolves with the close code and reason. */
  readonly ended: Promise<{ code: number; reason: string }>
  readonly #waiting = new Set<() => void>()

  private constructor(socket: WebSocket) {
    this.socket = socket
    this.ended = new Promise(resolve => {
      socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }))
    })
    socket.addEventListener('message', ({ data }) => {
      this.frames.push(data)
      for (const line of data.split('\n')) this.lines.push(JSON.parse(line))
      for (const check of this.#waiting) check()
    })
    onTestFinished(() => socket.close())
  }

  static open(url: string): Promise<FrameClient> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url)
      const client = new FrameClient(socket)
      socket.addEventListener('open', () => resolve(client))
      socket.addEventListener('error', () => reject(new Error(`no connection to ${url}`)))
    })
  }

  /** One frame with one or more commands. */
  send(...commands: unknown[]): void {
    this.socket.send(commands.map(command => JSON.stringify(command)).join('\n'))
  }

  /** The first line, now or later, that the test accepts. */
  next(accepts: (line: any) => boolean): Promise<any> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = this.lines.find(accepts)
        if (found === undefined) return
        this.#waiting.delete(check)
        resolve(found)
      }
      this.#waiting.add(check)
      void this.ended.then(({ code, reason }) => reject(new Error(`the connection ended: ${code} ${reason}`)))
      check()
    })
  }

  call(command: { id: number } & Record<string, unknown>): Promise<any> {
    this.send(command)
    return this.next(line => line.id === command.id)
  }
}
