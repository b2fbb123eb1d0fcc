// A member that only reads: live while it is connected, and from the archive what it missed, by the one rule of clients:
// a rev that is not the next one means that something is missing. Test process.

import type { KillSender } from './kill-sender.ts'
import { type LineClient, openLineClient, type Ports } from './line-client.ts'

const RETRY_MS = 20
const CONVERSATION = /^im:c:(\d+)$/

export class Observer {
  /** Times that the archive was asked for what lay between. */
  filledGaps = 0
  readonly #reader: KillSender
  readonly #conversations: readonly number[]
  readonly #known = new Map<number, Map<number, string>>()
  readonly #rev = new Map<number, number>()
  readonly #filling = new Map<number, Promise<void>>()
  #client: LineClient | undefined
  #ending = false

  constructor(reader: KillSender, conversations: readonly number[]) {
    this.#reader = reader
    this.#conversations = conversations
    for (const conversation of conversations) this.#known.set(conversation, new Map())
  }

  begin(): void {
    void this.#connect()
  }

  /** All that it knows: conversation → seq → text. */
  async finish(): Promise<ReadonlyMap<number, ReadonlyMap<number, string>>> {
    this.#ending = true
    this.#client?.destroy()
    await Promise.all(this.#conversations.map(conversation => this.#fill(conversation)))
    return this.#known
  }

  async #connect(): Promise<void> {
    const token = await this.#reader.connectionToken()
    const ports = this.#reader.ports as Ports
    const client = openLineClient('tcp', ports, {
      onOpen: () => client.send([{ id: 1, connect: { token } }]),
      onMessage: message => this.#onMessage(message),
      onClose: () => {
        if (!this.#ending) setTimeout(() => void this.#connect(), RETRY_MS)
      },
    })
    this.#client = client
  }

  #onMessage(message: any): void {
    if (message.connect !== undefined) {
      for (const conversation of this.#conversations) void this.#fill(conversation)
      return
    }
    const conversation = Number(CONVERSATION.exec(message.push?.channel ?? '')?.[1])
    const event = message.push?.pub?.data
    if (event?.rev === undefined || !this.#known.has(conversation)) return
    const rev = this.#rev.get(conversation) ?? 0
    // What comes while a gap is being filled is in the archive as well.
    if (this.#filling.has(conversation) || event.rev <= rev) return
    if (event.rev === rev + 1) this.#learn(conversation, event.rev, event.message)
    else void this.#fill(conversation)
  }

  #learn(conversation: number, rev: number, message: { seq: number; text: string } | undefined): void {
    this.#rev.set(conversation, rev)
    if (message !== undefined) this.#known.get(conversation)!.set(message.seq, message.text)
  }

  #fill(conversation: number): Promise<void> {
    const before = this.#filling.get(conversation) ?? Promise.resolve()
    const filled = before.then(() => this.#readChanges(conversation))
    this.#filling.set(conversation, filled)
    return filled.then(() => {
      if (this.#filling.get(conversation) === filled) this.#filling.delete(conversation)
    })
  }

  async #readChanges(conversation: number): Promise<void> {
    this.filledGaps++
    for (;;) {
      const after = this.#rev.get(conversation) ?? 0
      const page = await this.#reader.http('message.changes', { conversation, after_rev: after, limit: 200 })
      for (const { rev, message } of page.changes) this.#learn(conversation, rev, message)
      if (page.complete) return
    }
  }
}
