// POST /messenger/rpc/METHOD: each method of the messenger with its data as body, and the cookie that a browser's login
// comes as. Runs on a shard. Invariants: no body beyond its limit is kept; a token that is in the cookie is in no answer.

import type { Context } from 'hono'
import type { MessengerOptions } from '../../config/schema.ts'
import { jsonAnswer } from './answers.ts'
import { type CallText, type HttpEnv, HttpFailure } from './calls.ts'
import { goneCookie, loginCookie } from './cookies.ts'

/** The largest input is a list of some thousand members. */
const BODY_BYTES_MAX = 256 * 1_024
/** Of methods that hash: two passwords of 256 characters of four bytes, and names. */
const AUTH_BODY_BYTES_MAX = 4 * 1_024

type CookieOptions = Pick<MessengerOptions, 'session_lifetime'>

export async function serveRpc(
  c: Context<HttpEnv>,
  callText: CallText,
  options: CookieOptions,
): Promise<Response> {
  const method = c.req.param('method') ?? ''
  // A form of another page can't send it, and without being asked a browser doesn't let a script do so.
  if (!/^application\/json *(?:;|$)/i.test(c.req.header('content-type') ?? '')) {
    throw HttpFailure.of('unsupported_type', 'Content-Type is application/json')
  }
  const body = await readText(c.req.raw, method.startsWith('auth.') ? AUTH_BODY_BYTES_MAX : BODY_BYTES_MAX)
  const { data } = await callText(c, method, body)
  const text = data === '' ? '{}' : data
  switch (method) {
    case 'auth.login':
    case 'auth.signup':
      return wants(body, 'cookie') ? cookieAnswer(text, options) : jsonAnswer(text)
    case 'auth.logout':
    case 'auth.delete_account':
      return jsonAnswer(text, 200, { 'set-cookie': goneCookie() })
    case 'auth.logout_everywhere':
      return jsonAnswer(text, 200, wants(body, 'except_current') ? {} : { 'set-cookie': goneCookie() })
    default:
      return jsonAnswer(text)
  }
}

/** Whether a flag of the body is set. It is JSON: the messenger has accepted it. */
function wants(body: string, flag: string): boolean {
  return body !== '' && JSON.parse(body)[flag] === true
}

/** The cookie may outlive the login, whose end the messenger knows. */
function cookieAnswer(text: string, options: CookieOptions): Response {
  const { session, ...rest } = JSON.parse(text) as { session: { token: string } }
  const { token, ...shown } = session
  const headers = { 'set-cookie': loginCookie(token, options.session_lifetime) }
  return jsonAnswer(JSON.stringify({ ...rest, session: shown }), 200, headers)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

async function readText(request: Request, bytesMax: number): Promise<string> {
  const tooLarge = () => HttpFailure.of('too_large', `the body has at most ${bytesMax} bytes`)
  if (Number(request.headers.get('content-length') ?? 0) > bytesMax) throw tooLarge()
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > bytesMax) throw tooLarge()
    chunks.push(chunk)
  }
  try {
    return utf8.decode(Buffer.concat(chunks))
  } catch {
    throw HttpFailure.of('bad_request', 'the body is not UTF-8')
  }
}
