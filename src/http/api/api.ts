// The server API: /api/… with X-API-Key, for back ends. Runs on every shard; names, shapes and codes are those of
// Centrifugo v6 (docs/server/server_api.md). Invariant: nothing is looked at before the key was.

import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Outcome } from '../../channel/home.ts'
import { API_BATCH_COMMANDS_MAX } from '../../config/limits.ts'
import { pick, slots } from '../../metrics/slots.ts'
import { type ErrorCode, errors } from '../../protocol/codes.ts'
import { rawElements, rawMember } from '../../protocol/raw-json.ts'
import { errorJson } from '../../protocol/replies.ts'
import { type Answer, jsonAnswer, serveRequest } from '../route.ts'
import { ApiBody, ApiError, badRequest } from './body.ts'
import { channels, history, historyRemove, presence, presenceStats } from './channels.ts'
import type { ApiContext, ApiMethod } from './context.ts'
import { info } from './info.ts'
import { broadcast, publish } from './publications.ts'
import { disconnect, message, refresh, subscribe, unsubscribe } from './sessions.ts'

const METHODS: ReadonlyMap<string, ApiMethod> = new Map<string, ApiMethod>([
  ['publish', publish],
  ['broadcast', broadcast],
  ['subscribe', subscribe],
  ['unsubscribe', unsubscribe],
  ['message', message],
  ['disconnect', disconnect],
  ['refresh', refresh],
  ['presence', presence],
  ['presence_stats', presenceStats],
  ['history', history],
  ['history_remove', historyRemove],
  ['channels', channels],
  ['info', info],
])

export const API_PREFIX = '/api/'

export type ServeApi = (response: HttpResponse, request: HttpRequest) => void

export function createApi(
  context: ApiContext,
  isPageAllowed: (origin: string, host: string) => boolean,
  onError: (error: unknown) => void,
): ServeApi {
  const { http_api: options } = context.config
  const keyDigest = digest(options.key)

  function refusal(method: string, request: HttpRequest): Answer | undefined {
    const counts = pick(slots.apiRequests, method, slots.apiRequests.unknown)
    if (!isAuthorized(request)) {
      context.row[counts.unauthorized]! += 1
      return jsonAnswer('401 Unauthorized', `{"error":${errorJson(errors.unauthorized)}}`)
    }
    if (method !== 'batch' && !METHODS.has(method)) {
      context.row[counts.refused]! += 1
      return NOT_FOUND
    }
    if (request.getMethod() === 'post') return undefined
    context.row[counts.refused]! += 1
    return { ...METHOD_NOT_ALLOWED, headers: [['allow', 'POST']] }
  }

  function isAuthorized(request: HttpRequest): boolean {
    if (options.insecure) {
      // Without a key, a page in a browser on this machine could call in the name of whoever looks at it.
      return isPageAllowed(request.getHeader('origin'), request.getHeader('host'))
    }
    const given = request.getHeader('x-api-key') || bearerOf(request.getHeader('authorization'))
    return options.key !== '' && timingSafeEqual(digest(given), keyDigest)
  }

  return (response, request) => {
    const method = request.getUrl().slice(API_PREFIX.length)
    const byStatus =
      options.error_mode === 'transport' || request.getHeader('x-centrifugo-error-mode') === 'transport'
    const counts = pick(slots.apiRequests, method, slots.apiRequests.unknown)
    serveRequest(
      response,
      request,
      head => refusal(method, head),
      (body, answered) =>
        run(context, method, body, outcome => {
          context.row[outcome.ok ? counts.ok : counts.error]! += 1
          answered(answerOf(method, outcome, byStatus))
        }),
      {
        bodyBytesMax: options.max_body_size,
        onTooLarge: () => {
          context.row[counts.refused]! += 1
        },
        onError,
      },
    )
  }
}

function run(
  context: ApiContext,
  method: string,
  text: string,
  answered: (outcome: Outcome<string>) => void,
): void {
  try {
    if (method === 'batch') runBatch(context, text, answered)
    else METHODS.get(method)!(context, text === '' ? '{}' : text, answered)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    answered({ ok: false, error: error.error })
  }
}

/** One after the other, as the caller wrote them; each has its own outcome. */
function runBatch(context: ApiContext, text: string, answered: (outcome: Outcome<string>) => void): void {
  new ApiBody(text, ['commands', 'parallel'])
  const commands = rawElements(text, 'commands')
  if (commands === undefined) throw badRequest('commands is a list')
  if (commands.length > API_BATCH_COMMANDS_MAX)
    throw badRequest(`commands has at most ${API_BATCH_COMMANDS_MAX} entries`)
  const replies: string[] = []
  const next = () => {
    const command = commands[replies.length]
    if (command === undefined) return answered({ ok: true, value: `[${replies.join(',')}]` })
    runOne(context, command, reply => {
      replies.push(reply)
      // Not by recursion: a thousand commands that are answered at once would be a deep stack.
      queueMicrotask(next)
    })
  }
  next()
}

/** Never throws: but for the first command this runs outside of the request's own guard. */
function runOne(context: ApiContext, command: string, done: (reply: string) => void): void {
  try {
    const [method, body] = partsOf(command)
    run(context, method, body, outcome => {
      done(outcome.ok ? `{"${method}":${outcome.value}}` : `{"error":${errorJson(outcome.error)}}`)
    })
  } catch (error) {
    const known = error instanceof ApiError ? error.error : errors.internal
    done(`{"error":${errorJson(known)}}`)
  }
}

/** A command of a batch is an object with one member, named like the method. */
function partsOf(command: string): [method: string, body: string] {
  const value: unknown = JSON.parse(command)
  const names = typeof value === 'object' && value !== null ? Object.keys(value) : []
  const method = names[0]
  if (names.length !== 1 || method === undefined || !METHODS.has(method)) {
    throw badRequest('a command in a batch is an object with one known method')
  }
  const body = rawMember(command, method)
  if (body.kind !== 'found') throw badRequest(`${method} nests too deep`)
  return [method, body.text]
}

function answerOf(method: string, outcome: Outcome<string>, byStatus: boolean): Answer {
  if (outcome.ok) {
    return jsonAnswer(
      '200 OK',
      method === 'batch' ? `{"replies":${outcome.value}}` : `{"result":${outcome.value}}`,
    )
  }
  if (byStatus) return jsonAnswer(statusOf(outcome.error), errorJson(outcome.error))
  return jsonAnswer('200 OK', `{"error":${errorJson(outcome.error)}}`)
}

/** Centrifugo's map, with the codes added that only we give here. */
function statusOf(error: ErrorCode): string {
  switch (error.code) {
    case errors.unknownChannel.code:
    case errors.methodNotFound.code:
      return '404 Not Found'
    case errors.badRequest.code:
    case errors.notAvailable.code:
      return '400 Bad Request'
    case errors.tooManyRequests.code:
      return '429 Too Many Requests'
    case errors.limitExceeded.code:
      return error.temporary ? '503 Service Unavailable' : '413 Content Too Large'
    case errors.unrecoverablePosition.code:
      return '416 Range Not Satisfiable'
    default:
      return '500 Internal Server Error'
  }
}

const NOT_FOUND = jsonAnswer('404 Not Found', '{"error":{"code":104,"message":"method not found"}}')
const METHOD_NOT_ALLOWED = jsonAnswer(
  '405 Method Not Allowed',
  '{"error":{"code":107,"message":"bad request: use POST"}}',
)

function bearerOf(authorization: string): string {
  return /^apikey /i.test(authorization) ? authorization.slice('apikey '.length) : ''
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
