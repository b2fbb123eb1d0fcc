// The messenger over HTTP: everything below /messenger/. Runs on a shard. Invariants: a request with a cookie changes
// nothing unless it comes from a page that may do so; nothing secret is taken from an address, since addresses end up in
// logs; every answer says that it is not to be guessed at, kept or shown as a page.

import { readFile } from 'node:fs/promises'
import { Hono } from 'hono'
import type { MessengerOptions } from '../../config/schema.ts'
import type { MessengerPort } from '../../protocol/call.ts'
import { errors } from '../../protocol/codes.ts'
import { RELEASE_UPLOAD } from '../effects.ts'
import { jsonAnswer, refusalAnswer, withHeaders } from './answers.ts'
import { createCalls, type HttpEnv, HttpFailure } from './calls.ts'
import { serveExport } from './exports.ts'
import { createFilesApp } from './files.ts'
import { serveRpc } from './rpc.ts'

/** All of it stands below this path. */
export const MESSENGER_PATTERN = '/messenger/*'

export type MessengerHttpOptions = Readonly<{
  port: MessengerPort
  options: MessengerOptions
  /** The data directory. */
  dataPath: string
  /** Whether a page of this origin may act for its user on the host that it asks. */
  isPageAllowed: (origin: string, host: string) => boolean
  /** @param forwardedFor all X-Forwarded-For headers, joined by commas; '' = none */
  addressOf: (peer: string, forwardedFor: string) => string
  nowMs: () => number
  onError: (error: unknown) => void
}>

export type MessengerHttp = Readonly<{
  /** Never rejects. */
  fetch: (request: Request, peer: Readonly<{ address: string }>) => Promise<Response>
  /** For notices of the messenger, by their topic. */
  notices: ReadonlyMap<string, (text: string) => void>
}>

export function createMessengerHttp(o: MessengerHttpOptions): MessengerHttp {
  const { port, options, dataPath, isPageAllowed, addressOf, nowMs, onError } = o
  const { call, callText } = createCalls(port)
  const files = createFilesApp({ call, dataPath, options, nowMs })
  const exports = { call, dataPath, sending: new Map<number, number>() }
  const app = new Hono<HttpEnv>()
  app.post('/messenger/rpc/:method', c => serveRpc(c, callText, options))
  app.get('/messenger/conversations/:id/export', c => serveExport(c, exports))
  app.get('/messenger/openapi.json', async () => jsonAnswer(await openapi()))
  app.route('/messenger', files.app)
  app.notFound(c => {
    throw noRoute(app, c.req.raw.method, c.req.path)
  })
  app.onError(error => {
    const refusal = refusalAnswer(error)
    if (refusal === undefined) onError(error)
    return refusal ?? refusalAnswer(HttpFailure.of('internal'))!
  })
  return {
    async fetch(request, peer) {
      const address = addressOf(peer.address, request.headers.get('x-forwarded-for') ?? '')
      const refusal = refusalOf(request, isPageAllowed)
      if (refusal !== undefined) return withHeaders(refusalAnswer(refusal)!)
      return withHeaders(await app.fetch(request, { address }))
    },
    notices: new Map([[RELEASE_UPLOAD, files.releaseUpload]]),
  }
}

/** They change nothing. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])
const SECRET_NAMES =
  /^(?:(?:access_|auth_|session_|refresh_|id_)?token|auth|authorization|bearer|session|sid|password|jwt|(?:api_?)?key)$/i

/** What is wrong with a request whatever it asks for. */
function refusalOf(
  request: Request,
  isPageAllowed: MessengerHttpOptions['isPageAllowed'],
): HttpFailure | undefined {
  const { searchParams } = new URL(request.url)
  const secret = [...searchParams.keys()].find(name => SECRET_NAMES.test(name))
  if (secret !== undefined) return HttpFailure.of('bad_request', `"${secret}" does not belong in an address`)
  if (SAFE_METHODS.has(request.method)) return undefined
  const { headers } = request
  const origin = headers.get('origin')
  // Browsers send it with all that can change something; who has a token of its own need not be a browser.
  const isUnknown = origin === null && headers.has('cookie') && !headers.has('authorization')
  if (!isUnknown && isPageAllowed(origin ?? '', headers.get('host') ?? '')) return undefined
  return HttpFailure.of('forbidden', isUnknown ? 'a cookie without an Origin' : 'the Origin of the page')
}

const METHODS = ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'OPTIONS']

function noRoute(app: Hono<HttpEnv>, method: string, path: string): HttpFailure {
  const allowed = METHODS.filter(other => {
    const [found] = app.router.match(other === 'HEAD' ? 'GET' : other, path)
    return other !== method && found.length > 0
  })
  if (allowed.length === 0) return new HttpFailure(404, { ...errors.methodNotFound, message: 'not found' })
  const allow = allowed.join(', ')
  return HttpFailure.of('bad_request', `use ${allow}`, { allow }, 405)
}

let description: Promise<string> | undefined

/** Written by `npm run reference`, so that no shard needs the definitions of all methods. */
function openapi(): Promise<string> {
  description ??= readFile(new URL('openapi.json', import.meta.url), 'utf8')
  return description
}
