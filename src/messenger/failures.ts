// The table of all ways in which a call of the messenger can be refused, and the error that is thrown for them. Any
// thread. Codes below 400 are the relay's own (protocol/codes.ts); those of the messenger begin at 1000, where
// Centrifugo leaves room for applications.

import { type ErrorCode, errors } from '../protocol/codes.ts'

type Failure = Readonly<{ code: number; message: string; temporary: boolean; status: number }>

const of = (code: number, status: number, message: string, temporary = false): Failure => ({
  code,
  message,
  temporary,
  status,
})

/** `status`: what HTTP says. */
export const failures = {
  internal: { ...errors.internal, status: 500 },
  /** No login, or one that has ended. */
  unauthorized: { ...errors.unauthorized, status: 401 },
  forbidden: { ...errors.permissionDenied, status: 403 },
  method_not_found: { ...errors.methodNotFound, status: 404 },
  bad_request: { ...errors.badRequest, status: 400 },
  /** Too often; `retryAfterMs` says when again. */
  rate: { ...errors.tooManyRequests, status: 429 },
  /** It is not there, or the caller may not know that it is. */
  not_found: of(1000, 404, 'not found'),
  weak_password: of(1001, 400, 'weak password'),
  bad_credentials: of(1002, 401, 'wrong nickname or password'),
  name_taken: of(1003, 409, 'the nickname is taken'),
  signup_closed: of(1004, 403, 'nobody can sign up here'),
  /** What was there has changed, or is there already. */
  conflict: of(1005, 409, 'conflict'),
  limit: of(1006, 409, 'limit reached'),
  too_large: of(1007, 413, 'too large'),
  quota: of(1008, 507, 'no room left'),
  /** Nothing was stored: disk full, or it failed. */
  storage: of(1009, 503, 'could not be stored', true),
  /** All that may wait already waits. */
  busy: of(1010, 503, 'busy', true),
  unsupported_type: of(1011, 415, 'unsupported type'),
  length_required: of(1012, 411, 'length required'),
} as const satisfies Record<string, Failure>

export type FailureKind = keyof typeof failures

/** Thrown by methods; the caller gets the code and the message with its detail, which names the bad value. */
export class CallError extends Error {
  readonly kind: FailureKind
  readonly retryAfterMs: number | undefined

  constructor(kind: FailureKind, detail = '', retryAfterMs?: number) {
    super(detail === '' ? failures[kind].message : `${failures[kind].message}: ${detail}`)
    this.kind = kind
    this.retryAfterMs = retryAfterMs
  }

  get error(): ErrorCode {
    const { code, temporary } = failures[this.kind]
    const { message, retryAfterMs } = this
    return { code, message, temporary, ...(retryAfterMs !== undefined && { retryAfterMs }) }
  }
}

const byCode = new Map<number, Failure>(Object.values(failures).map(failure => [failure.code, failure]))

export function statusOf(code: number): number {
  return byCode.get(code)?.status ?? 500
}
