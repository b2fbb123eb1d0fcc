// Answers of the HTTP API in JSON, and the headers that all answers have. Runs on a shard; pure.

import type { ErrorCode } from '../../protocol/codes.ts'
import { errorJson } from '../../protocol/replies.ts'
import { CallError, statusOf } from '../failures.ts'
import { HttpFailure } from './calls.ts'

/** Our answers are data and never a page; what is served as one (a file shown in the browser) says so itself. */
const ALWAYS = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
} as const

/** What the answer has set itself stays. */
export function withHeaders(answer: Response): Response {
  for (const [name, value] of Object.entries(ALWAYS)) {
    if (!answer.headers.has(name)) answer.headers.set(name, value)
  }
  return answer
}

/** @param text JSON */
export function jsonAnswer(
  text: string,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const bytes = Buffer.from(text)
  const answer = new Response(bytes, { status, headers })
  answer.headers.set('content-type', 'application/json')
  answer.headers.set('content-length', String(bytes.byteLength))
  return answer
}

/** Undefined: a fault of the program, which the caller learns nothing of. */
export function refusalAnswer(error: unknown): Response | undefined {
  if (error instanceof HttpFailure) return errorAnswer(error.status, error.error, error.headers)
  if (error instanceof CallError) return errorAnswer(statusOf(error.error.code), error.error)
  return undefined
}

/** A 401 says how it could be done right (RFC 9110, 11.6.1). */
const CHALLENGE = { 'www-authenticate': 'Bearer' } as const
/** What is worth trying again without knowing when. */
const RETRY_MS = 1_000

function errorAnswer(
  status: number,
  error: ErrorCode,
  given: Readonly<Record<string, string>> = {},
): Response {
  const { temporary, retryAfterMs } = error
  const headers: Record<string, string> = { ...(status === 401 && CHALLENGE), ...given }
  const waitMs = retryAfterMs ?? (temporary ? RETRY_MS : undefined)
  if (waitMs !== undefined) headers['retry-after'] = String(Math.max(1, Math.ceil(waitMs / 1_000)))
  return jsonAnswer(`{"error":${errorJson(error)}}`, status, headers)
}
