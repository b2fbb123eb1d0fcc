// The internal port: /metrics, /health, /ready and the admin operations, as JSON but for the metrics. Runs on
// main. Invariant: whatever a handler throws ends in one answer without the text of the error, and goes no further.

import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { assert, unreachable } from '../base/assert.ts'
import { reasonOf, StartError } from '../base/errors.ts'

/** From a connection's opening, or a request's first byte, to the end of the headers; and to the end of the body. */
const REQUEST_TIMEOUT_MS = 10_000
/** Node looks for late requests this often; its default of 30 s would make the timeout above four times as long. */
const TIMEOUT_CHECK_INTERVAL_MS = 1_000
/** Longer than Prometheus' usual 15 s between scrapes, so that it can keep its connection. */
const KEEP_ALIVE_TIMEOUT_MS = 20_000
/** Silence on the socket during an answer: room for a slow admin operation, an end for a reader that stopped. */
const ANSWER_IDLE_TIMEOUT_MS = 60_000
/** A few scrapers, probes and operators; enough that one forgotten client does not lock out the probes. */
const CONNECTIONS_MAX = 64
/** Admin operations take a few fields. */
const BODY_BYTES_MAX = 16_384
const HEADER_BYTES_MAX = 8_192
/** How long close() lets answers that are under way finish. */
const CLOSE_GRACE_MS = 1_000

export type InternalStatus = {
  /** The process does its work: false asks the surroundings to restart it. */
  readonly alive: boolean
  /** It takes new connections: false while it starts or drains. */
  readonly ready: boolean
  readonly detail: object
}

export type AdminInput = {
  /** The numbers at the `:name` places of the path. */
  readonly params: Readonly<Record<string, number>>
  /** The parsed JSON body of a POST, undefined if it was empty. Foreign input: check it. */
  readonly body: unknown
}

export type AdminOperation = (input: AdminInput) => Promise<object>

/** An operation that cannot be done as asked; thrown by an AdminOperation, its message goes to the operator. */
export class AdminRefusal extends Error {
  override name = 'AdminRefusal'
  readonly status: 400 | 404 | 409

  constructor(status: 400 | 404 | 409, message: string) {
    super(message)
    this.status = status
  }
}

export type InternalServerOptions = {
  readonly address: string
  /** 0: any free port. */
  readonly port: number
  readonly prometheusEnabled: boolean
  readonly scrape: () => Promise<string>
  /** Content-Type of what scrape gives. */
  readonly scrapeContentType: string
  readonly status: () => InternalStatus
  /** Method and path → operation: `GET /admin/shards`, `POST /admin/shards/:n/quarantine`. */
  readonly admin: ReadonlyMap<string, AdminOperation>
  /** What X-API-Key must be for admin operations; '' asks for none. */
  readonly adminKey: string
  /** Hears of what a handler threw; the client only gets a 500. */
  readonly onError: (error: unknown) => void
}

export type InternalServer = {
  readonly port: number
  /** Stops listening and ends all connections; may be called again. */
  close(): Promise<void>
}

type Answer = {
  readonly status: number
  readonly contentType: string
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

export type Route = {
  readonly method: 'GET' | 'POST'
  /** `:name` stands for a decimal number. */
  readonly path: string
  readonly access: 'open' | 'admin'
  readonly run: (input: AdminInput) => Promise<Answer>
}

type Service = {
  readonly routes: readonly Route[]
  /** Undefined: admin operations need no key. */
  readonly keyDigest: Buffer | undefined
  readonly onError: (error: unknown) => void
}

export async function startInternalServer(options: InternalServerOptions): Promise<InternalServer> {
  const { adminKey, onError } = options
  const service: Service = {
    routes: routesOf(options),
    keyDigest: adminKey === '' ? undefined : digestOf(adminKey),
    onError,
  }
  const server = createServer(
    {
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
    },
    (request, response) => void serve(service, server, request, response),
  )
  server.maxConnections = CONNECTIONS_MAX
  // The timeouts above start with the first byte; this one ends a connection on which none ever comes.
  server.timeout = REQUEST_TIMEOUT_MS
  await listen(server, options.address, options.port)
  // From here on an error of the listening socket (no file descriptor left for an accept) passes by itself.
  server.on('error', onError)
  let closed: Promise<void> | undefined
  const { port } = server.address() as AddressInfo
  return {
    port,
    close() {
      closed ??= closeServer(server)
      return closed
    },
  }
}

/** The guard around every request: whatever happens within ends in an answer, or at the end of its connection. */
async function serve(
  service: Service,
  server: Server,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    request.socket.setTimeout(ANSWER_IDLE_TIMEOUT_MS)
    const answer = await answerTo(service, request)
    // A connection kept alive would hold up the close() that is under way.
    if (!server.listening) response.shouldKeepAlive = false
    if (answer !== undefined) send(response, answer)
  } catch (error) {
    service.onError(error)
    if (response.headersSent) response.destroy()
    else send(response, errorAnswer(500, 'internal error'))
  }
}

/** Undefined: the client left, there is nobody to answer. */
async function answerTo(service: Service, request: IncomingMessage): Promise<Answer | undefined> {
  const path = (request.url ?? '').split('?', 1)[0]!
  const match = matchRoute(service.routes, request.method ?? '', path)
  switch (match.kind) {
    case 'unknown':
      return errorAnswer(404, 'not found')
    case 'wrong_method':
      return { ...errorAnswer(405, 'method not allowed'), headers: { Allow: match.allow } }
    case 'found':
      break
    default:
      return unreachable(match)
  }
  if (match.route.access === 'admin') {
    const refusal = refuseAdmin(request.headers.origin, request.headers['x-api-key'], service.keyDigest)
    if (refusal !== undefined) return refusal
  }
  if (match.route.method === 'GET') return match.route.run({ params: match.params, body: undefined })
  const body = await readJson(request)
  switch (body.kind) {
    case 'json':
      return match.route.run({ params: match.params, body: body.value })
    case 'not_json':
      return errorAnswer(400, 'the body is not JSON')
    case 'too_large':
      // The rest of the body is not read, so that the connection is of no further use.
      return {
        ...errorAnswer(413, `the body is over ${BODY_BYTES_MAX} bytes`),
        headers: { Connection: 'close' },
      }
    case 'aborted':
      return undefined
    default:
      return unreachable(body)
  }
}

export type RouteMatch =
  | { readonly kind: 'found'; readonly route: Route; readonly params: Record<string, number> }
  | { readonly kind: 'wrong_method'; readonly allow: string }
  | { readonly kind: 'unknown' }

/** Which route a request means. HEAD is served wherever GET is (Node leaves out the body). */
export function matchRoute(routes: readonly Route[], method: string, path: string): RouteMatch {
  const allowed = new Set<string>()
  for (const route of routes) {
    const params = paramsOf(route.path, path)
    if (params === undefined) continue
    if (method === route.method || (method === 'HEAD' && route.method === 'GET')) {
      return { kind: 'found', route, params }
    }
    allowed.add(route.method === 'GET' ? 'GET, HEAD' : route.method)
  }
  return allowed.size > 0 ? { kind: 'wrong_method', allow: [...allowed].join(', ') } : { kind: 'unknown' }
}

function paramsOf(pattern: string, path: string): Record<string, number> | undefined {
  const expected = pattern.split('/')
  const actual = path.split('/')
  if (expected.length !== actual.length) return undefined
  const params: Record<string, number> = {}
  for (const [index, segment] of expected.entries()) {
    const text = actual[index]!
    if (!segment.startsWith(':')) {
      if (segment !== text) return undefined
    } else if (/^\d{1,9}$/.test(text)) {
      params[segment.slice(1)] = Number(text)
    } else {
      return undefined
    }
  }
  return params
}

/** Why an admin request is refused, or undefined if it may pass. */
function refuseAdmin(
  origin: string | undefined,
  key: string | string[] | undefined,
  keyDigest: Buffer | undefined,
): Answer | undefined {
  // A browser sends Origin with every POST and with every fetch across origins; operators' tools send none. So
  // a web page that an operator happens to visit can't work the relay through the operator's loopback.
  if (origin !== undefined) return errorAnswer(403, 'admin operations are not for browsers')
  if (keyDigest === undefined) return undefined
  // Digests have one length whatever was sent, so that the time of the comparison says nothing about the key.
  const matches = typeof key === 'string' && timingSafeEqual(digestOf(key), keyDigest)
  return matches ? undefined : errorAnswer(401, 'unauthorized')
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

type Body =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'not_json' | 'too_large' | 'aborted' }

async function readJson(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    // Left open at the limit, so that the answer still finds its connection.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      bytes += (chunk as Buffer).length
      if (bytes > BODY_BYTES_MAX) return { kind: 'too_large' }
      chunks.push(chunk as Buffer)
    }
  } catch {
    return { kind: 'aborted' }
  }
  if (bytes === 0) return { kind: 'json', value: undefined }
  try {
    return { kind: 'json', value: JSON.parse(Buffer.concat(chunks).toString('utf8')) }
  } catch {
    return { kind: 'not_json' }
  }
}

function routesOf(options: InternalServerOptions): Route[] {
  const { status, scrape, scrapeContentType, prometheusEnabled, admin } = options
  const health = async () => {
    const { alive, detail } = status()
    return alive ? jsonAnswer(200, { status: 'ok' }) : jsonAnswer(503, { status: 'failing', detail })
  }
  const ready = async () => {
    const { ready, detail } = status()
    return ready ? jsonAnswer(200, { status: 'ok' }) : jsonAnswer(503, { status: 'not_ready', detail })
  }
  const metrics = async () => ({ status: 200, contentType: scrapeContentType, text: await scrape() })
  const routes: Route[] = [
    { method: 'GET', path: '/health', access: 'open', run: health },
    { method: 'GET', path: '/ready', access: 'open', run: ready },
  ]
  if (prometheusEnabled) routes.push({ method: 'GET', path: '/metrics', access: 'open', run: metrics })
  for (const [pattern, operation] of admin) {
    const [, method, path] = /^(GET|POST) (\/admin\/\S+)$/.exec(pattern) ?? []
    assert(method !== undefined && path !== undefined, `not an admin route: ${pattern}`)
    const run = (input: AdminInput) => runOperation(operation, input)
    routes.push({ method: method as Route['method'], path, access: 'admin', run })
  }
  return routes
}

async function runOperation(operation: AdminOperation, input: AdminInput): Promise<Answer> {
  try {
    return jsonAnswer(200, await operation(input))
  } catch (error) {
    if (error instanceof AdminRefusal) return errorAnswer(error.status, error.message)
    throw error
  }
}

function jsonAnswer(status: number, value: object): Answer {
  return { status, contentType: 'application/json', text: `${JSON.stringify(value)}\n` }
}

function errorAnswer(status: number, message: string): Answer {
  return jsonAnswer(status, { error: { code: status, message } })
}

function send(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, {
    'Content-Type': answer.contentType,
    'Content-Length': Buffer.byteLength(answer.text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...answer.headers,
  })
  response.end(answer.text)
}

function listen(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'the port is already in use' : reasonOf(error)
      const where = `port ${port} on ${address} (http_server.internal_port)`
      reject(new StartError(`cannot listen on ${where}: ${reason}`, { cause: error }))
    }
    server.once('error', refuse)
    server.listen(port, address, () => {
      server.off('error', refuse)
      resolve()
    })
  })
}

/** Idle connections end at once; answers under way get a moment. */
function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => {
    const grace = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS)
    server.close(() => {
      clearTimeout(grace)
      resolve()
    })
  })
}
