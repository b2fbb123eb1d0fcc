// A user of the messenger over one TCP connection, for measurements: sends messages and sees when each is acknowledged.

import { connect, type Socket } from 'node:net'

export type Ports = Readonly<{ http: number; tcp: number }>

const PASSWORD = 'a password for measuring'

export async function call(ports: Ports, method: string, input: object, token = ''): Promise<any> {
  const response = await fetch(`http://127.0.0.1:${ports.http}/messenger/rpc/${method}`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      ...(token !== '' && { Authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(input),
  })
  const body = await response.json()
  if (!response.ok) throw new Error(`${method}: ${response.status} ${JSON.stringify(body)}`)
  return body
}

export type Account = Readonly<{ user: number; token: string; connectionToken: string }>

export async function signUp(ports: Ports, nickname: string): Promise<Account> {
  const { user, session, connection } = await call(ports, 'auth.signup', { nickname, password: PASSWORD })
  return { user: user.id, token: session.token, connectionToken: connection.token }
}

export class Sender {
  /** Runs for each acknowledged message; `sentMs` is what `send` was given. */
  onAcknowledged: (sentMs: number) => void = () => {}
  outstanding = 0
  readonly #socket: Socket
  readonly #name: string
  #sent = 0
  readonly #sentMs = new Map<number, number>()
  #rest = ''
  readonly #connected = Promise.withResolvers<void>()

  private constructor(socket: Socket, name: string) {
    this.#socket = socket
    this.#name = name
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => this.#onText(chunk))
    socket.on('error', error => this.#connected.reject(error))
  }

  static async open(ports: Ports, name: string, { connectionToken: token }: Account): Promise<Sender> {
    const socket = connect({ port: ports.tcp, host: '127.0.0.1', noDelay: true })
    const sender = new Sender(socket, name)
    socket.write(`${JSON.stringify({ id: 1, connect: { token } })}\n`)
    await sender.#connected.promise
    return sender
  }

  /** @param sentMs what its latency counts from: the moment at which it was due */
  send(conversation: number, text: string, sentMs: number): void {
    const id = 2 + this.#sent++
    const data = { conversation, client_id: `${this.#name}-${this.#sent}`, text }
    this.#sentMs.set(id, sentMs)
    this.outstanding++
    this.#socket.write(`${JSON.stringify({ id, rpc: { method: 'message.send', data } })}\n`)
  }

  close(): void {
    this.#socket.destroy()
  }

  #onText(chunk: string): void {
    const lines = chunk.split('\n')
    lines[0] = this.#rest + lines[0]
    this.#rest = lines.pop()!
    for (const line of lines) this.#onLine(line)
  }

  #onLine(line: string): void {
    // Publications of others come on the same way: they begin with "push" and cost no parsing.
    if (line.startsWith('{"push"') || line === '{}') return
    const { id, connect: connected, error } = JSON.parse(line)
    if (error !== undefined) throw new Error(`${this.#name}: ${line}`)
    if (connected !== undefined) return this.#connected.resolve()
    const sentMs = this.#sentMs.get(id)
    if (sentMs === undefined) return
    this.#sentMs.delete(id)
    this.outstanding--
    this.onAcknowledged(sentMs)
  }
}
