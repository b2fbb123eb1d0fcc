// HTTP on a shard: the one way to answer a request of the WebSocket library's server. Runs on a shard.
// Invariants: each request gets one answer or its connection is closed; no body beyond the limit is kept, none waits
// for ever; a response that was aborted is never touched.

import type { HttpRequest, HttpResponse } from 'uWebSockets.js'

export type Answer = Readonly<{
  status: string
  body: string
  headers?: ReadonlyArray<readonly [string, string]>
}>

export type RouteOptions = Readonly<{
  bodyBytesMax: number
  /** The body was larger than the limit. */
  onTooLarge?: () => void
  onError: (error: unknown) => void
}>

/** Decides by headers alone, before the body is read: an answer ends the request there. */
export type Precheck = (request: HttpRequest) => Answer | undefined
/** Gets the whole body; answers once, now or later. */
export type Respond = (body: string, answered: (answer: Answer) => void) => void

/** A request with its body and our answer may take so long; the library itself only watches the headers. */
const REQUEST_MS_MAX = 30_000

export function jsonAnswer(status: string, body: string): Answer {
  return { status, body }
}

export function serveRequest(
  response: HttpResponse,
  request: HttpRequest,
  precheck: Precheck,
  respond: Respond,
  options: RouteOptions,
): void {
  // Without an answer: after one the library would still read what follows as the next request.
  if (!isFramedClearly(request)) {
    response.close()
    return
  }
  const exchange = new Exchange(response, options)
  try {
    const refused = precheck(request)
    if (refused !== undefined) {
      // The body was not read: the connection can't be used for another request.
      exchange.answer(refused, true)
      return
    }
    exchange.readBody(body => respond(body, answer => exchange.answer(answer, false)))
  } catch (error) {
    exchange.fail(error)
  }
}

/**
 * Whether a proxy before us must see the same end of the body as we do (RFC 9112, 6.3). The library refuses a length
 * together with a transfer encoding, but of two lengths takes the first, and any encoding for "chunked".
 */
export function isFramedClearly(request: HttpRequest): boolean {
  let lengths = 0
  let clear = true
  request.forEach((name, value) => {
    if (name === 'content-length') lengths++
    else if (name === 'transfer-encoding' && value.trim().toLowerCase() !== 'chunked') clear = false
  })
  return clear && lengths <= 1
}

class Exchange {
  readonly #response: HttpResponse
  readonly #options: RouteOptions
  readonly #timer: NodeJS.Timeout
  #over = false

  constructor(response: HttpResponse, options: RouteOptions) {
    this.#response = response
    this.#options = options
    this.#timer = setTimeout(() => this.answer(TIMED_OUT, true), REQUEST_MS_MAX)
    response.onAborted(() => {
      this.#over = true
      clearTimeout(this.#timer)
    })
  }

  readBody(done: (body: string) => void): void {
    const chunks: Buffer[] = []
    let bytes = 0
    this.#response.onData((chunk, isLast) => {
      if (this.#over) return
      bytes += chunk.byteLength
      if (bytes > this.#options.bodyBytesMax) {
        chunks.length = 0
        this.#options.onTooLarge?.()
        this.answer(tooLarge(this.#options.bodyBytesMax), true)
        return
      }
      // Copied here: the library takes its memory back when this returns.
      chunks.push(Buffer.from(chunk.slice(0)))
      if (!isLast) return
      try {
        done(decodeUtf8(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
      } catch (error) {
        this.fail(error)
      }
    })
  }

  answer(answer: Answer, close: boolean): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    this.#response.cork(() => {
      this.#response.writeStatus(answer.status)
      for (const [name, value] of answer.headers ?? []) this.#response.writeHeader(name, value)
      this.#response.writeHeader('content-type', 'application/json')
      this.#response.writeHeader('x-content-type-options', 'nosniff')
      this.#response.end(answer.body, close)
    })
  }

  fail(error: unknown): void {
    if (error instanceof NotUtf8) return this.answer(NOT_UTF8, true)
    this.#options.onError(error)
    this.answer(INTERNAL, true)
  }
}

class NotUtf8 extends Error {}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new NotUtf8()
  }
}

const TIMED_OUT = jsonAnswer(
  '408 Request Timeout',
  '{"error":{"code":107,"message":"bad request: it took too long"}}',
)
const INTERNAL = jsonAnswer(
  '500 Internal Server Error',
  '{"error":{"code":100,"message":"internal server error"}}',
)
const NOT_UTF8 = jsonAnswer(
  '400 Bad Request',
  '{"error":{"code":107,"message":"bad request: the body is not UTF-8"}}',
)

function tooLarge(bytesMax: number): Answer {
  const message = `bad request: the body is larger than ${bytesMax} bytes`
  return jsonAnswer('413 Content Too Large', `{"error":{"code":107,"message":"${message}"}}`)
}
