// What a back end does to the connections of a user: subscribe, unsubscribe, message, disconnect, refresh. Runs on a shard;
// the order goes to each shard where the presence table counts the user, and the answer waits for all of them.

import type { Override } from '../../auth/claims.ts'
import { cutToBytes, detailed, disconnects, errors, REASON_BYTES_MAX } from '../../protocol/codes.ts'
import type { Order } from '../../session/orders.ts'
import { ApiBody, ApiError, badRequest } from './body.ts'
import { askAll } from './channels.ts'
import { type ApiContext, type ApiMethod, known } from './context.ts'

/** Clients that a disconnect may name to be spared. */
const KEPT_CLIENTS_MAX = 100

export const disconnect: ApiMethod = (context, text, answered) => {
  const body = new ApiBody(text, ['user', 'client', 'whitelist', 'disconnect'])
  const custom = body.object('disconnect', ['code', 'reason', 'reconnect'])
  const { code, reason } = disconnects.forceNoReconnect
  const order: Order = {
    kind: 'disconnect',
    ...whomOf(body),
    keep: body.texts('whitelist', KEPT_CLIENTS_MAX),
    code: custom === undefined ? code : codeOf(custom),
    reason: custom === undefined ? reason : cutToBytes(custom.text('reason'), REASON_BYTES_MAX),
  }
  carryOut(context, order, answered)
}

function codeOf(custom: ApiBody): number {
  const code = custom.wholeNumber('code', 3000)
  if (code > 4999) throw badRequest('disconnect.code is a whole number from 3000 to 4999')
  return code
}

export const unsubscribe: ApiMethod = (context, text, answered) => {
  const body = new ApiBody(text, ['user', 'client', 'channel'])
  carryOut(context, { kind: 'unsubscribe', ...whomOf(body), channel: body.text('channel') }, answered)
}

/** A message to the connections of a user, beside all channels; no history keeps it. */
export const message: ApiMethod = (context, text, answered) => {
  const body = new ApiBody(text, ['user', 'client', 'data'])
  const data = body.raw('data')
  if (data === undefined) throw badRequest('data is required')
  const bytes = Buffer.byteLength(data)
  const bytesMax = context.config.client.message_size_limit
  if (bytes > bytesMax)
    throw new ApiError(detailed(errors.limitExceeded, `data of ${bytes} bytes, at most ${bytesMax}`))
  carryOut(context, { kind: 'message', ...whomOf(body), data }, answered)
}

export const refresh: ApiMethod = (context, text, answered) => {
  const body = new ApiBody(text, ['user', 'client', 'expired', 'expire_at', 'info'])
  const order: Order = {
    kind: 'refresh',
    ...whomOf(body),
    expired: body.flag('expired'),
    expireAt: body.wholeNumber('expire_at', 0),
    info: body.raw('info'),
  }
  carryOut(context, order, answered)
}

export const subscribe: ApiMethod = (context, text, answered) => {
  const body = new ApiBody(text, [
    'user',
    'client',
    'channel',
    'info',
    'data',
    'recover_since',
    'expire_at',
    'override',
  ])
  const channel = body.required('channel')
  known(context, channel)
  const since = body.object('recover_since', ['offset', 'epoch'])
  const order: Order = {
    kind: 'subscribe',
    ...whomOf(body),
    channel,
    info: body.raw('info'),
    data: body.raw('data'),
    expireAt: body.wholeNumber('expire_at', 0),
    override: overrideOf(body),
    since:
      since === undefined
        ? undefined
        : { epoch: since.text('epoch'), offset: since.wholeNumber('offset', 0) },
  }
  carryOut(context, order, answered)
}

const OVERRIDES = [
  'presence',
  'join_leave',
  'force_push_join_leave',
  'force_positioning',
  'force_recovery',
] as const

function overrideOf(body: ApiBody): Override | undefined {
  const given = body.object('override', OVERRIDES)
  if (given === undefined) return undefined
  const chosen = OVERRIDES.flatMap(name => {
    const value = given.object(name, ['value'])
    return value === undefined ? [] : [[name, value.flag('value')] as const]
  })
  return Object.fromEntries(chosen) as Override
}

function whomOf(body: ApiBody): { user: string; client: string } {
  return { user: body.required('user'), client: body.text('client') }
}

function carryOut(context: ApiContext, order: Order, answered: Parameters<ApiMethod>[2]): void {
  const counts = new Int32Array(context.shards)
  context.presence.readCounts(order.user, counts)
  const shards = [...counts.keys()].filter(shard => counts[shard]! > 0)
  const text = JSON.stringify(order)
  askAll(shards, (shard, settle) => context.directory.askShard(shard, 'sessions', { order: text }, settle), {
    done: () => answered({ ok: true, value: '{}' }),
    failed: error => answered({ ok: false, error }),
  })
}
