// A user of the messenger that sends without pause, over a TCP connection that is lost whenever the relay is killed: what
// was not acknowledged is sent again under the same id. Test process.

import { createHash, randomBytes } from 'node:crypto'
import { type LineClient, openLineClient, type Ports } from './line-client.ts'

export type Acknowledged = Readonly<{
  conversation: number
  seq: number
  clientId: string
  text: string
  /** The place in what this sender sent to the conversation. */
  order: number
}>
export type Attachment = Readonly<{ file: string; sha256: string }>

type Sent = {
  conversation: number
  clientId: string
  text: string
  order: number
  attachment: Attachment | undefined
}

const OUTSTANDING_MAX = 16
const RETRY_MS = 20
const PASSWORD = 'a password for tests 1'
/** Each so many messages have an attachment. */
const ATTACHMENT_EVERY = 40

export class KillSender {
  readonly name: string
  readonly user: number
  readonly token: string
  readonly acknowledged: Acknowledged[] = []
  readonly attachments: Attachment[] = []
  /** Client id to text, of all that was ever sent. */
  readonly sent = new Map<string, string>()
  /** Sends of what was sent before. */
  repeated = 0
  readonly ports: Ports
  readonly #random: () => number
  #targets: readonly number[] = []
  readonly #outstanding = new Map<string, Sent>()
  #client: LineClient | undefined
  #isLive = false
  #ending = false
  #made = 0
  #order = 0
  readonly #idle = Promise.withResolvers<void>()

  private constructor(ports: Ports, random: () => number, name: string, user: number, token: string) {
    this.ports = ports
    this.#random = random
    this.name = name
    this.user = user
    this.token = token
  }

  static async signUp(options: { ports: Ports; name: string; random: () => number }): Promise<KillSender> {
    const { ports, name, random } = options
    const body = await post(ports, 'auth.signup', { nickname: name, password: PASSWORD }, '')
    return new KillSender(ports, random, name, body.user.id, body.session.token)
  }

  /** A call over HTTP; tries again while the relay is away. */
  async http(method: string, input: object): Promise<any> {
    for (;;) {
      try {
        return await post(this.ports, method, input, this.token)
      } catch (error) {
        // No answer, or one that asks to try again.
        if (!(error instanceof TypeError || error instanceof Temporary)) throw error
        await new Promise(resolve => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  async download(file: string): Promise<Buffer | undefined> {
    const response = await fetch(`http://127.0.0.1:${this.ports.http}/messenger/files/${file}`, {
      headers: { Authorization: `Bearer ${this.token}` },
    })
    return response.ok ? Buffer.from(await response.arrayBuffer()) : undefined
  }

  begin(targets: readonly number[]): void {
    this.#targets = targets
    this.#connect()
  }

  /** Sends nothing new; resolves when all that was sent is acknowledged. */
  async finish(): Promise<void> {
    this.#ending = true
    this.#settleIdle()
    await this.#idle.promise
    this.#client?.destroy()
  }

  async connectionToken(): Promise<string> {
    return (await this.http('auth.token', {})).token
  }

  #connect(): void {
    this.connectionToken().then(token => this.#open(token), this.#idle.reject)
  }

  #open(token: string): void {
    const client = openLineClient('tcp', this.ports, {
      onOpen: () => client.send([{ id: 1, connect: { token } }]),
      onMessage: message => this.#onMessage(message),
      onClose: () => {
        this.#isLive = false
        if (!this.#ending || this.#outstanding.size > 0) setTimeout(() => this.#connect(), RETRY_MS)
      },
    })
    this.#client = client
  }

  #onMessage(message: any): void {
    if (message.connect !== undefined) {
      this.#isLive = true
      const again = [...this.#outstanding.values()]
      this.repeated += again.length
      if (again.length > 0) this.#client!.send(again.map(commandOf))
      this.#sendMore()
    } else if (message.rpc !== undefined) {
      this.#onAnswer(message.rpc.data.message)
    } else if (message.error !== undefined && message.error.temporary !== true) {
      this.#idle.reject(new Error(`${this.name}: ${JSON.stringify(message)}`))
    } else if (message.error !== undefined) {
      // Not stored: it stays outstanding, and is sent again with the next connection.
      this.#client!.destroy()
    }
  }

  #onAnswer({ client_id: clientId, conversation, seq }: any): void {
    const sent = this.#outstanding.get(clientId)
    if (sent === undefined) return
    this.#outstanding.delete(clientId)
    this.acknowledged.push({ conversation, seq, clientId, text: sent.text, order: sent.order })
    if (sent.attachment !== undefined) this.attachments.push(sent.attachment)
    this.#sendMore()
    this.#settleIdle()
  }

  #settleIdle(): void {
    if (this.#ending && this.#outstanding.size === 0) this.#idle.resolve()
  }

  #sendMore(): void {
    while (this.#isLive && !this.#ending && this.#outstanding.size < OUTSTANDING_MAX) {
      const number = ++this.#made
      const clientId = `${this.name}-${number}`
      const text = `w${randomBytes(8).toString('hex')} message ${number} of ${this.name}`
      const conversation = this.#targets[Math.floor(this.#random() * this.#targets.length)]!
      const sent: Sent = { conversation, clientId, text, order: 0, attachment: undefined }
      this.sent.set(clientId, text)
      if (number % ATTACHMENT_EVERY === 0) void this.#sendWithAttachment(sent)
      else this.#sendFirst(sent)
    }
  }

  async #sendWithAttachment(sent: Sent): Promise<void> {
    const bytes = randomBytes(10_000)
    try {
      const response = await fetch(`http://127.0.0.1:${this.ports.http}/messenger/files?name=picture.bin`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/octet-stream' },
        body: bytes,
      })
      const body = (await response.json()) as any
      // More uploads at once than a user may have: this message is not sent.
      if (body.error?.temporary === true) return
      if (!response.ok) throw new Error(`upload: ${response.status} ${JSON.stringify(body)}`)
      sent.attachment = { file: body.file.id, sha256: createHash('sha256').update(bytes).digest('hex') }
    } catch (error) {
      // Killed in the midst of it: nobody has promised anything.
      if (error instanceof TypeError || error instanceof SyntaxError) return
      return this.#idle.reject(error)
    }
    if (this.#ending) return
    this.#sendFirst(sent)
  }

  /** From here on it is outstanding; without a connection it goes with the next one. */
  #sendFirst(sent: Sent): void {
    sent.order = ++this.#order
    this.#outstanding.set(sent.clientId, sent)
    if (this.#isLive) this.#client!.send([commandOf(sent)])
  }
}

let commandIds = 1

function commandOf({ conversation, clientId, text, attachment }: Sent): object {
  const data = {
    conversation,
    client_id: clientId,
    text,
    ...(attachment !== undefined && { attachments: [attachment.file] }),
  }
  return { id: ++commandIds, rpc: { method: 'message.send', data } }
}

async function post(ports: Ports, method: string, input: object, token: string): Promise<any> {
  const response = await fetch(`http://127.0.0.1:${ports.http}/messenger/rpc/${method}`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      ...(token !== '' && { Authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(input),
  })
  const body = await response.json()
  if (response.ok) return body
  const text = `${method}: ${response.status} ${JSON.stringify(body)}`
  throw (body as any).error?.temporary === true ? new Temporary(text) : new Error(text)
}

class Temporary extends Error {}
