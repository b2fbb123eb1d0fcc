// How an HTTP request becomes a call of the messenger: whose it is, and what it answers. Runs on a shard.
// Invariant: the caller is what the login's token says, and nothing else in the request.

import type { Context } from 'hono'
import type { CallOutcome, Login, MessengerPort, Who } from '../../protocol/call.ts'
import type { ErrorCode } from '../../protocol/codes.ts'
import { DEVICE_LENGTH_MAX } from '../caller.ts'
import { CallError, type FailureKind, statusOf } from '../failures.ts'
import { cookieToken } from './cookies.ts'

/** What an app is given beside the request. `address`: of the client, behind trusted proxies. */
export type HttpEnv = { Bindings: { address: string } }

/**
 * Calls a method in the name of whoever sent the request, and gives its result. `shard`: a method that is ours alone,
 * still in the caller's name. Throws HttpFailure.
 */
export type CallMethod = (
  c: Context<HttpEnv>,
  method: string,
  input: unknown,
  transport?: 'http' | 'shard',
) => Promise<unknown>

/** The same with JSON as text, and with what else came of it. */
export type CallText = (
  c: Context<HttpEnv>,
  method: string,
  data: string,
  transport?: 'http' | 'shard',
) => Promise<{ data: string; login: Login | undefined }>

/** A request that is refused: its status, headers, and the error of its body. A CallError that is thrown does it too. */
export class HttpFailure extends Error {
  readonly status: number
  readonly error: ErrorCode
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, error: ErrorCode, headers: Readonly<Record<string, string>> = {}) {
    super(error.message)
    this.status = status
    this.error = error
    this.headers = headers
  }

  /** `status`: where it is another one than the table says. */
  static of(kind: FailureKind, detail = '', headers: Readonly<Record<string, string>> = {}, status?: number) {
    const { error } = new CallError(kind, detail)
    return new HttpFailure(status ?? statusOf(error.code), error, headers)
  }
}

export function createCalls(port: MessengerPort): { call: CallMethod; callText: CallText } {
  const callText: CallText = async (c, method, data, transport = 'http') => {
    const outcome = await new Promise<CallOutcome>(resolve => {
      const who = whoOf(c)
      const device = (c.req.header('user-agent') ?? '').slice(0, DEVICE_LENGTH_MAX)
      port.call({ method, data, who, client: '', address: c.env.address, device, transport }, resolve)
    })
    if (!outcome.ok) throw new HttpFailure(statusOf(outcome.error.code), outcome.error)
    return { data: outcome.data, login: outcome.login }
  }
  const call: CallMethod = async (c, method, input, transport) => {
    const text = input === undefined ? '' : JSON.stringify(input)
    const { data } = await callText(c, method, text, transport)
    return data === '' ? undefined : JSON.parse(data)
  }
  return { call, callText }
}

function whoOf(c: Context<HttpEnv>): Who {
  const token = bearerToken(c) ?? cookieToken(c.req.header('cookie') ?? '')
  return token === undefined ? { kind: 'stranger' } : { kind: 'token', token }
}

/** Undefined: none is given, so that a cookie counts. */
function bearerToken(c: Context<HttpEnv>): string | undefined {
  const header = c.req.header('authorization')
  if (header === undefined) return undefined
  const [, token] = /^bearer +([\w.~+/=-]{1,1024})$/i.exec(header) ?? []
  if (token === undefined) throw HttpFailure.of('unauthorized', 'Authorization is Bearer and a token')
  return token
}
