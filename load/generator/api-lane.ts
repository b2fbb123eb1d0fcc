// A lane that publishes by the server API: one HTTP connection that is kept, one request under way at a time.
// Runs on the publisher's thread. Invariant: its publications go out in the order in which they were taken; those that
// became due while a request was under way follow together, as one batch.

import { setTimeout as wait } from 'node:timers/promises'
import { Client } from 'undici'
import { type Answer, outcomesOf, problemOf } from './api-answers.ts'
import { nowUs } from './clock.ts'
import { type Book, DueQueue, type Lane, type LaneOptions, type Outcome, type Publication } from './lane.ts'

type ApiLaneOptions = LaneOptions &
  Readonly<{
    /** URL of the server API, ending in `/api`. */
    api: string
    apiKey: string | undefined
  }>

/** Publications of a request, by number and by characters of their data: relays take a body of 1 MiB and more. */
const BATCH_MAX = 100
const BATCH_CHARACTERS_MAX = 512 * 1024
/** An answer that takes longer will not come. */
const ANSWER_TIMEOUT_MS = 10_000
/** While no connection can be made, publications wait, and it is tried again after that. */
const RETRY_FIRST_MS = 100
const RETRY_MAX_MS = 2000

type Request = Readonly<{ method: string; body: string; publications: readonly Publication[] }>

export class ApiLane implements Lane {
  readonly #options: ApiLaneOptions
  readonly #book: Book
  readonly #path: string
  readonly #client: Client
  readonly #queue: DueQueue
  /** Sent and not answered; empty: no request is under way. */
  #underWay: readonly Publication[] = []
  #running = false
  /** Ends what is under way. */
  #stop = new AbortController()

  constructor(options: ApiLaneOptions, book: Book) {
    const { origin, pathname } = new URL(options.api)
    this.#options = options
    this.#book = book
    this.#path = pathname
    this.#queue = new DueQueue(options.waitingMax)
    this.#client = new Client(origin, {
      pipelining: 1,
      allowH2: false,
      autoSelectFamily: false,
      connectTimeout: ANSWER_TIMEOUT_MS,
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: ANSWER_TIMEOUT_MS,
      ...(options.source === undefined ? {} : { localAddress: options.source }),
    })
  }

  async open(): Promise<void> {
    const url = `${this.#options.api}/info`
    const answer = await this.#post('info', '{}', this.#stop.signal).catch((error: unknown) => {
      throw new Error(`can't reach the server API at ${url}: ${reasonOf(error)}`)
    })
    const [outcome] = outcomesOf(answer, 1)
    if (outcome!.kind !== 'acknowledged')
      throw new Error(`${url} answered ${problemOf(answer)}${hintOf(answer.status)}`)
  }

  take(channel: number, dueUs: number): boolean {
    return this.#queue.push(channel, dueUs)
  }

  flush(): void {
    if (this.#running || this.#queue.count === 0) return
    this.#running = true
    void this.#run().finally(() => {
      this.#running = false
    })
  }

  waiting(): number {
    return this.#queue.count
  }

  unanswered(): number {
    return this.#underWay.length
  }

  giveUp(): number {
    const forgotten = this.#queue.count
    this.#queue.clear()
    // The loop finds nothing under way any more, whatever comes back to it.
    const atUs = nowUs()
    for (const publication of this.#underWay) {
      this.#book.settle(publication, { kind: 'unknown', reason: 'no answer in time' }, atUs)
    }
    this.#underWay = []
    this.#stop.abort()
    this.#stop = new AbortController()
    return forgotten
  }

  close(): void {
    this.giveUp()
    void this.#client.destroy()
  }

  async #run(): Promise<void> {
    while (this.#queue.count > 0) {
      const request = this.#nextRequest()
      this.#underWay = request.publications
      const outcomes = await this.#carryOut(request)
      if (this.#underWay !== request.publications) continue
      this.#underWay = []
      const atUs = nowUs()
      request.publications.forEach((publication, index) => {
        this.#book.settle(publication, outcomes[index]!, atUs)
      })
    }
  }

  #nextRequest(): Request {
    const publications: Publication[] = []
    const texts: string[] = []
    let characters = 0
    while (this.#queue.count > 0 && texts.length < BATCH_MAX && characters < BATCH_CHARACTERS_MAX) {
      const { channel, dueUs } = this.#queue.shift()
      const publication = this.#book.send(channel, dueUs)
      const data = this.#options.dataOf(publication)
      characters += data.length
      publications.push(publication)
      texts.push(`{"channel":${JSON.stringify(this.#options.nameOf(channel))},"data":${data}}`)
    }
    if (texts.length === 1) return { method: 'publish', body: texts[0]!, publications }
    const commands = texts.map(text => `{"publish":${text}}`)
    return { method: 'batch', body: `{"commands":[${commands.join(',')}]}`, publications }
  }

  /** Repeats the request only as long as not even a connection could be made: then nobody has seen it. */
  async #carryOut({ method, body, publications }: Request): Promise<readonly Outcome[]> {
    const { signal } = this.#stop
    for (let delayMs = RETRY_FIRST_MS; ; delayMs = Math.min(2 * delayMs, RETRY_MAX_MS)) {
      try {
        return outcomesOf(await this.#post(method, body, signal), publications.length)
      } catch (error) {
        const reason = reasonOf(error)
        if (signal.aborted || !isOfConnecting(error)) {
          return Array<Outcome>(publications.length).fill({ kind: 'unknown', reason: `no answer: ${reason}` })
        }
        this.#book.note(`no connection: ${reason}`)
        // An abort ends the wait; the next attempt then fails by it at once.
        await wait(delayMs, undefined, { signal }).catch(() => {})
      }
    }
  }

  async #post(method: string, body: string, signal: AbortSignal): Promise<Answer> {
    const { apiKey } = this.#options
    const { statusCode: status, body: answer } = await this.#client.request({
      method: 'POST',
      path: `${this.#path}/${method}`,
      headers: {
        'content-type': 'application/json',
        ...(apiKey === undefined ? {} : { 'x-api-key': apiKey }),
      },
      body,
      signal,
    })
    return { status, text: await answer.text() }
  }
}

function isOfConnecting(error: unknown): boolean {
  const { syscall, code } = error as NodeJS.ErrnoException
  return syscall === 'connect' || syscall === 'getaddrinfo' || code === 'UND_ERR_CONNECT_TIMEOUT'
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code ?? message
}

/** A key that is missing or wrong is the usual reason. */
function hintOf(status: number): string {
  return status === 401 ? ' (--api-key or FANWIRE_LOAD_API_KEY gives the key)' : ''
}
