// Serves a part of the WebSocket library's server by a function from Request to Response, as the web platform has
// them: bodies are streams, both ways. Runs on a shard.
// Invariants: each request gets one answer or its connection is closed; a slow peer costs two chunks of memory; after
// its end or abort a response is never touched. Peers that stop in the middle the library closes: below 16 KiB/s of a
// body that is read, or 10 s without taking a byte of the answer.

import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js'
import { RequestBody } from './request-body.ts'
import { writeResponse } from './response-body.ts'
import { isFramedClearly } from './route.ts'

/** `address`: of the other end of the socket, as text. */
export type Peer = Readonly<{ address: string }>
export type Fetch = (request: Request, peer: Peer) => Promise<Response>

/** Requests of a shard that are being answered; each holds up to some 700 KiB. */
const OPEN_REQUESTS_MAX = 1_000
/** All others are refused before anything looks at them. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const BODILESS_METHODS = new Set(['GET', 'HEAD'])
/** A name or address with or without port; nothing in it can become part of a path. */
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i

export function attachFetch(
  app: TemplatedApp,
  pattern: string,
  fetch: Fetch,
  onError: (error: unknown) => void,
): void {
  let open = 0
  app.any(pattern, (response, request) => {
    // Without an answer: after one the library would still read what follows as the next request.
    if (!isFramedClearly(request)) {
      response.close()
      return
    }
    const abort = new AbortController()
    response.onAborted(() => abort.abort(new Error('the connection is gone')))
    const refused = refusal(request, open)
    if (refused !== undefined) {
      refuse(response, refused)
      return
    }
    open += 1
    serve(response, request, fetch, abort.signal, onError).finally(() => {
      open -= 1
    })
  })
}

type Refusal = Readonly<{ status: string; code: number; message: string; header?: readonly [string, string] }>

function refusal(request: HttpRequest, open: number): Refusal | undefined {
  if (open >= OPEN_REQUESTS_MAX) return BUSY
  if (!METHODS.has(request.getMethod().toUpperCase())) return WRONG_METHOD
  const host = request.getHeader('host')
  // An address with a part too many looks like a name, and is none.
  return HOST.test(host) && URL.canParse(`http://${host}`) ? undefined : BAD_REQUEST
}

const INTERNAL: Refusal = { status: '500 Internal Server Error', code: 100, message: 'internal server error' }
const BAD_REQUEST: Refusal = { status: '400 Bad Request', code: 107, message: 'bad request' }
const BUSY: Refusal = {
  status: '503 Service Unavailable',
  code: 111,
  message: 'too many requests',
  header: ['retry-after', '1'],
}
const WRONG_METHOD: Refusal = {
  status: '405 Method Not Allowed',
  code: 107,
  message: 'bad request: no such method',
  header: ['allow', [...METHODS].join(', ')],
}

function refuse(response: HttpResponse, { status, code, message, header }: Refusal): void {
  response.cork(() => {
    response.writeStatus(status)
    if (header !== undefined) response.writeHeader(...header)
    response.writeHeader('content-type', 'application/json')
    response.writeHeader('x-content-type-options', 'nosniff')
    response.writeHeader('cache-control', 'no-store')
    // What is left of the body the library throws away, for 10 s.
    response.end(JSON.stringify({ error: { code, message } }))
  })
}

/** Never rejects. */
async function serve(
  response: HttpResponse,
  head: HttpRequest,
  fetch: Fetch,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<void> {
  let isBegun = false
  let body: RequestBody | undefined
  try {
    // All is read of it before the first await: the library keeps it no longer.
    const method = head.getMethod().toUpperCase()
    if (!BODILESS_METHODS.has(method)) body = new RequestBody(response)
    signal.addEventListener('abort', () => body?.fail(signal.reason), { once: true })
    const request = requestOf(head, method, body, signal)
    const peer = { address: Buffer.from(response.getRemoteAddressAsText()).toString() }
    const onHead = () => {
      isBegun = true
      // Who answers has read what it wants.
      body?.release()
    }
    const answer = await fetch(request, peer)
    await writeResponse({ response, isHead: method === 'HEAD', signal, onHead }, answer)
  } catch (error) {
    if (signal.aborted) return
    onError(error)
    // In the middle of an answer only a broken connection tells that it is not whole.
    if (isBegun) {
      response.close()
    } else {
      body?.release()
      refuse(response, INTERNAL)
    }
  }
}

function requestOf(
  head: HttpRequest,
  method: string,
  body: RequestBody | undefined,
  signal: AbortSignal,
): Request {
  const headers = new Headers()
  // The library reads bytes as UTF-8, the platform wants each byte as a character.
  head.forEach((name, value) => {
    headers.append(name, Buffer.from(value, 'utf8').toString('latin1'))
  })
  // Undefined where the address has none, which the declarations do not say.
  const query = head.getQuery() as string | undefined
  const url = `http://${head.getHeader('host')}${head.getUrl()}${query ? `?${query}` : ''}`
  const streamed = body && ({ body: body.stream, duplex: 'half' } as const)
  return new Request(url, { method, headers, signal, ...streamed })
}
