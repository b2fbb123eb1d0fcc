// A lane that publishes as a client does: one WebSocket or TCP connection, which it makes anew when it is lost.
// Runs on the publisher's thread. Invariant: publications go out in the order in which they were taken; one that was
// sent and has no answer when its connection ends is of unknown outcome, and is never sent again.

import { setTimeout as wait } from 'node:timers/promises'
import { shownUrl } from '../shown-url.ts'
import { openClient } from './client.ts'
import { nowUs } from './clock.ts'
import type { Dialect, Sent } from './dialect.ts'
import { eachMessage } from './frames.ts'
import { type Book, DueQueue, type Lane, type LaneOptions, type Outcome, type Publication } from './lane.ts'
import type { Endpoint } from './requests.ts'
import type { Ending, LoadSocket } from './socket.ts'

type ClientLaneOptions = LaneOptions &
  Readonly<{ endpoint: Endpoint; dialect: Dialect; transport: 'ws' | 'tcp' }>

/** Commands of a frame, by number and by characters: relays take a frame of 64 KiB. */
const FRAME_COMMANDS_MAX = 100
const FRAME_CHARACTERS_MAX = 48 * 1024
/** What a relay keeps of a connection's commands is 2,048, and 1 Mi characters: beyond that it ends the connection. */
const UNANSWERED_MAX = 1024
const UNANSWERED_CHARACTERS_MAX = 512 * 1024
/** After a lost connection, and after each attempt that failed. */
const RETRY_FIRST_MS = 100
const RETRY_MAX_MS = 2000
/** Of commands: 32 bits, as the protocol has it; connect has the 1. */
const FIRST_ID = 2
const ID_MAX = 0xffff_ffff
/** What waits in our own socket because the server does not read; more stays in the queue, where it has no number yet. */
const SOCKET_BYTES_MAX = 256 * 1024

const ACKNOWLEDGED: Outcome = { kind: 'acknowledged' }

type Unanswered = Readonly<{ publication: Publication; characters: number }>

export class ClientLane implements Lane {
  readonly #options: ClientLaneOptions
  readonly #book: Book
  readonly #queue: DueQueue
  /** By the id of the command. */
  readonly #unanswered = new Map<number, Unanswered>()
  #unansweredCharacters = 0
  /** Undefined while there is no connection. */
  #socket: LoadSocket | undefined
  #nextId = FIRST_ID
  /** The code with which the server ends this connection, where it says so in a message. */
  #farewell: number | undefined
  readonly #closed = new AbortController()

  constructor(options: ClientLaneOptions, book: Book) {
    this.#options = options
    this.#book = book
    this.#queue = new DueQueue(options.waitingMax)
  }

  async open(): Promise<void> {
    const { endpoint, transport } = this.#options
    try {
      await this.#connect()
    } catch (error) {
      const { host, port } = endpoint.tcp ?? {}
      const where = transport === 'ws' ? shownUrl(endpoint.websocket ?? '') : `${host}:${port} (TCP)`
      throw new Error(`can't connect a publisher to ${where}: ${(error as Error).message}`)
    }
  }

  take(channel: number, dueUs: number): boolean {
    return this.#queue.push(channel, dueUs)
  }

  flush(): void {
    while (this.#queue.count > 0 && this.#hasRoom()) this.#sendFrame(this.#socket!)
  }

  waiting(): number {
    return this.#queue.count
  }

  unanswered(): number {
    return this.#unanswered.size
  }

  giveUp(): number {
    const forgotten = this.#queue.count
    this.#queue.clear()
    this.#abandon('no answer in time')
    return forgotten
  }

  close(): void {
    this.#closed.abort()
    this.giveUp()
    this.#socket?.end()
    this.#socket = undefined
  }

  #hasRoom(): boolean {
    return (
      this.#socket !== undefined &&
      this.#socket.waitingBytes < SOCKET_BYTES_MAX &&
      this.#unanswered.size < UNANSWERED_MAX &&
      this.#unansweredCharacters < UNANSWERED_CHARACTERS_MAX
    )
  }

  /** As many of those that wait as go into one frame; one at least. */
  #sendFrame(socket: LoadSocket): void {
    const { dialect, dataOf, nameOf } = this.#options
    const commandsMax = dialect.lines
      ? Math.min(FRAME_COMMANDS_MAX, UNANSWERED_MAX - this.#unanswered.size)
      : 1
    const commands: Sent[] = []
    const sent: Publication[] = []
    let characters = 0
    let largest = 0
    while (this.#queue.count > 0 && commands.length < commandsMax) {
      if (commands.length > 0 && characters + largest > FRAME_CHARACTERS_MAX) break
      const { channel, dueUs } = this.#queue.shift()
      const publication = this.#book.send(channel, dueUs)
      const id = this.#takeId()
      const command = dialect.publish(id, nameOf(channel), dataOf(publication))
      characters += command.length
      largest = Math.max(largest, command.length)
      commands.push(command)
      sent.push(publication)
      if (dialect.answers !== undefined) this.#expect(id, { publication, characters: command.length })
    }
    if (commands.every(command => typeof command === 'string')) socket.send(commands.join('\n'))
    else for (const command of commands) socket.send(command)
    if (dialect.answers !== undefined) return
    // Nobody will ever say more of these.
    const atUs = nowUs()
    for (const publication of sent) this.#book.settle(publication, ACKNOWLEDGED, atUs)
  }

  #takeId(): number {
    const id = this.#nextId
    this.#nextId = id === ID_MAX ? FIRST_ID : id + 1
    return id
  }

  #expect(id: number, unanswered: Unanswered): void {
    this.#unanswered.set(id, unanswered)
    this.#unansweredCharacters += unanswered.characters
  }

  async #connect(): Promise<void> {
    const { endpoint, transport, dialect, source } = this.#options
    const socket = await openClient(endpoint, transport, dialect, source, {
      onBlock: (bytes, from, end, atUs) => this.#takeBlock(bytes.subarray(from, end), atUs),
      onEnd: ending => this.#onEnd(ending),
      onDrain: () => this.flush(),
    })
    if (this.#closed.signal.aborted) socket.end()
    else this.#socket = socket
  }

  #takeBlock(block: Buffer, atUs: number): void {
    const { dialect } = this.#options
    eachMessage(block, dialect.lines, message => {
      const pong = dialect.pong?.(message)
      if (pong !== undefined) return this.#socket?.sendPong(pong)
      let isAnswer = false
      dialect.answers?.(message, (id, error) => {
        isAnswer = true
        this.#onAnswer(id, error, atUs)
      })
      // On TCP the reason of an end is its last line.
      if (!isAnswer) this.#farewell = dialect.ended?.(message)?.code ?? this.#farewell
    })
    this.flush()
  }

  #onAnswer(id: number, error: string | undefined, atUs: number): void {
    const unanswered = this.#unanswered.get(id)
    if (unanswered === undefined) return
    this.#unanswered.delete(id)
    this.#unansweredCharacters -= unanswered.characters
    const outcome: Outcome = error === undefined ? ACKNOWLEDGED : { kind: 'refused', reason: error }
    this.#book.settle(unanswered.publication, outcome, atUs)
  }

  #onEnd({ code, reason }: Ending): void {
    if (this.#closed.signal.aborted) return
    this.#socket = undefined
    this.#book.note(`connection lost: ${this.#farewell ?? code} ${reason}`)
    this.#farewell = undefined
    this.#abandon('no answer: connection lost')
    void this.#reconnect()
  }

  /** No answer will come any more, or nobody waits for it. */
  #abandon(reason: string): void {
    const atUs = nowUs()
    for (const { publication } of this.#unanswered.values()) {
      this.#book.settle(publication, { kind: 'unknown', reason }, atUs)
    }
    this.#unanswered.clear()
    this.#unansweredCharacters = 0
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closed
    for (let delayMs = RETRY_FIRST_MS; ; delayMs = Math.min(2 * delayMs, RETRY_MAX_MS)) {
      await wait(delayMs, undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      try {
        await this.#connect()
        return this.flush()
      } catch (error) {
        this.#book.note(`no connection: ${(error as Error).message}`)
      }
    }
  }
}
