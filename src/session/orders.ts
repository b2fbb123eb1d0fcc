// Orders: what the server API does to the sessions of a user, on each shard where the user has any.
// Runs on the shard that got the order; the order travels as JSON from the shard that served the request.

import type { Override, ServerSubscription } from '../auth/claims.ts'
import { unreachable } from '../base/assert.ts'
import { disconnects, type ErrorCode, errors, unsubscribes } from '../protocol/codes.ts'
import type { SubscribeRequest } from '../protocol/commands.ts'
import { messagePush, refreshPush } from '../protocol/replies.ts'
import { isPast, ttlOf } from './expiry.ts'
import { isOfMessenger, planServerSide } from './plan.ts'
import type { SessionPort } from './port.ts'
import type { Sessions } from './sessions.ts'
import type { Live } from './state.ts'
import { afterAnswer, isEnding, subscribeByServer, unsubscribeByServer } from './subscriptions.ts'

/** Which sessions of the user; '' or without: whatever theirs is. */
type Whom = Readonly<{
  user: string
  client: string
  /** Those of one login, by its public id. */
  session?: string
  /** All but those of this login. */
  except?: string
}>

export type Order = Whom &
  Readonly<
    | { kind: 'disconnect'; code: number; reason: string; keep: readonly string[] }
    | { kind: 'unsubscribe'; channel: string }
    /** `data`: raw JSON. */
    | { kind: 'message'; data: string }
    | { kind: 'refresh'; expired: boolean; expireAt: number; info: string | undefined }
    | {
        kind: 'subscribe'
        channel: string
        info: string | undefined
        data: string | undefined
        expireAt: number
        override: Override | undefined
        since: Readonly<{ epoch: string; offset: number }> | undefined
      }
  >

export type OrderOutcome = { ok: true; sessions: number } | { ok: false; error: ErrorCode }

export function carryOutOrder(
  sessions: Sessions<SessionPort>,
  order: Order,
  done: (outcome: OrderOutcome) => void,
): void {
  const targets: [SessionPort, Live][] = []
  for (const session of sessions.ofUser(order.user)) {
    const { state } = session
    if (state.kind !== 'live') continue
    if (isMeant(order, state)) targets.push([session, state])
  }
  if (order.kind !== 'subscribe') {
    for (const [session, live] of targets) carryOut(session, live, order)
    return done({ ok: true, sessions: targets.length })
  }
  subscribeAll(targets, order, done)
}

function isMeant({ client, session = '', except = '' }: Whom, live: Live): boolean {
  if (client !== '' && client !== live.client) return false
  if (session !== '' && session !== live.identity.session) return false
  return except === '' || except !== live.identity.session
}

function carryOut(session: SessionPort, live: Live, order: Exclude<Order, { kind: 'subscribe' }>): void {
  switch (order.kind) {
    case 'disconnect':
      if (!order.keep.includes(live.client)) session.disconnect({ code: order.code, reason: order.reason })
      return
    case 'unsubscribe': {
      // What `connect` was still to subscribe it to, and the client has not heard of, is just left out.
      if (order.channel === '') live.toSubscribe?.clear()
      else live.toSubscribe?.delete(order.channel)
      // Without a channel the user leaves all of them.
      const all = [...live.subscriptions.values()]
      const chosen = all.filter(
        ({ subscriber }) => order.channel === '' || subscriber.channel.name === order.channel,
      )
      for (const subscription of chosen) unsubscribeByServer(session, live, subscription, unsubscribes.server)
      return
    }
    case 'message':
      return session.reply(messagePush(order.data))
    case 'refresh':
      return refresh(session, live, order)
    default:
      unreachable(order)
  }
}

function refresh(session: SessionPort, live: Live, order: Extract<Order, { kind: 'refresh' }>): void {
  if (order.expired || isPast(order.expireAt)) return session.disconnect(disconnects.expired)
  if (order.info !== undefined) live.identity = { ...live.identity, info: order.info }
  live.expireAt = order.expireAt
  session.rescheduled()
  session.reply(refreshPush(order.expireAt > 0, ttlOf(order.expireAt)))
}

/** Answers when the last of them has its position; the first error counts, except that one was there already. */
function subscribeAll(
  targets: readonly [SessionPort, Live][],
  order: Extract<Order, { kind: 'subscribe' }>,
  done: (outcome: OrderOutcome) => void,
): void {
  let open = targets.length
  let failure: ErrorCode | undefined
  const settle = (error: ErrorCode | undefined) => {
    if (error !== undefined && error.code !== errors.alreadySubscribed.code) failure ??= error
    open--
    if (open === 0)
      done(failure === undefined ? { ok: true, sessions: targets.length } : { ok: false, error: failure })
  }
  if (open === 0) return done({ ok: true, sessions: 0 })
  const { info, data, override, expireAt } = order
  const subscription = {
    ...(info === undefined ? {} : { info }),
    ...(data === undefined ? {} : { data }),
    ...(override === undefined ? {} : { override }),
    expireAt,
  }
  for (const [session, live] of targets) subscribeOne(session, live, order, subscription, settle)
}

function subscribeOne(
  session: SessionPort,
  live: Live,
  order: Extract<Order, { kind: 'subscribe' }>,
  subscription: ServerSubscription & { expireAt: number },
  settle: (error: ErrorCode | undefined) => void,
): void {
  // Gone meanwhile, or its `connect` is about to subscribe it.
  if (session.state !== live || live.toSubscribe?.has(order.channel)) return settle(undefined)
  const present = live.subscriptions.get(order.channel)
  if (present !== undefined && isEnding(present)) {
    // An order to end it came before its home has answered: the new one begins after that.
    return afterAnswer(present, () => subscribeOne(session, live, order, subscription, settle))
  }
  const planned = planServerSide(session, live, order.channel, subscription, requestOf(order))
  if (!planned.ok) return settle(planned.error)
  subscribeByServer(session, live, planned.plan, error => {
    if (!error?.temporary || !isOfMessenger(session, planned.plan.known.options)) return settle(error)
    // The messenger does not ask again: the client comes back, and its `connect` subscribes it.
    session.disconnect(disconnects.forceReconnect)
    settle(undefined)
  })
}

function requestOf({ channel, since }: Extract<Order, { kind: 'subscribe' }>): SubscribeRequest | undefined {
  if (since === undefined) return undefined
  const flags = { token: '', positioned: false, recoverable: false, joinLeave: false }
  return { channel, recover: true, epoch: since.epoch, offset: since.offset, ...flags }
}
