// Subscribing, unsubscribing and what ends a subscription. Runs on the shard.
// Invariant: for each entry of `live.subscriptions` the registry counts one subscriber, until the home has answered
// and the entry is gone; and a home that was asked to add a member is told when it leaves, in that order.

import type { SubscriptionClaims } from '../auth/claims.ts'
import { maySubscribe } from '../auth/permissions.ts'
import { assert } from '../base/assert.ts'
import { wallMs } from '../base/clock.ts'
import { startDelivery } from '../fanout/audience.ts'
import { pick, slots } from '../metrics/slots.ts'
import {
  because,
  detailed,
  disconnects,
  type ErrorCode,
  errors,
  serverFull,
  type Unsubscribe,
  unsubscribes,
} from '../protocol/codes.ts'
import type { Command, SubscribeRequest } from '../protocol/commands.ts'
import {
  clientInfo,
  emptyReply,
  subRefreshReply,
  subscribePush,
  subscribeReply,
  subscribeResult,
  unsubscribePush,
} from '../protocol/replies.ts'
import { askHome } from './ask-home.ts'
import { isPast, ttlOf } from './expiry.ts'
import { checkChannel, type Known, type Plan, planOf } from './plan.ts'
import type { SessionPort } from './port.ts'
import type { Live } from './state.ts'
import { createSubscription, type Subscription } from './subscription.ts'

export type SubscribeOutcome = { ok: true; result: string } | { ok: false; error: ErrorCode }

export function answerSubscribe(
  session: SessionPort,
  live: Live,
  command: Extract<Command, { kind: 'subscribe' }>,
): void {
  const { id, request } = command
  const checked = checkChannel(session, live, request.channel)
  if (!checked.ok) return session.fail(id, 'subscribe', checked.error)
  if (request.token !== '') {
    void session.hold(() => subscribeWithToken(session, live, id, request, checked.known))
    return
  }
  const who = { user: live.identity.user, insecure: session.env.config.client.insecure }
  if (maySubscribe(checked.known.options, checked.known, who, 'none') === 'denied') {
    return session.fail(id, 'subscribe', errors.permissionDenied)
  }
  carryOut(session, live, id, planOf(session, live, checked.known, request, { serverSide: false }))
}

async function subscribeWithToken(
  session: SessionPort,
  live: Live,
  id: number,
  request: SubscribeRequest,
  known: Known,
): Promise<void> {
  const result = await session.env.subscriptionTokens.verifySubscription(request.token, wallMs())
  if (session.state !== live) return
  if (result.kind === 'unavailable') return session.fail(id, 'subscribe', errors.internal)
  if (result.kind === 'expired') return session.fail(id, 'subscribe', errors.tokenExpired)
  if (result.kind === 'invalid')
    return session.fail(id, 'subscribe', detailed(errors.permissionDenied, result.why))
  const { channel, info, override, expireAt } = result.claims
  if (!isFor(live, request.channel, result.claims)) {
    return session.fail(
      id,
      'subscribe',
      detailed(errors.permissionDenied, 'the token is for another subscription'),
    )
  }
  if (isPast(expireAt)) return session.fail(id, 'subscribe', errors.tokenExpired)
  // While the token was checked the server may have subscribed the session itself.
  const still = checkChannel(session, live, channel)
  if (!still.ok) return session.fail(id, 'subscribe', still.error)
  const grant = { serverSide: false, channelInfo: info, override, expireAt }
  carryOut(session, live, id, planOf(session, live, known, request, grant))
}

/** Whether the token was made for this user, this channel and, if it names one, this client. */
function isFor(live: Live, channel: string, claims: SubscriptionClaims): boolean {
  const isForClient = claims.client === '' || claims.client === live.client
  return claims.user === live.identity.user && claims.channel === channel && isForClient
}

function carryOut(session: SessionPort, live: Live, id: number, plan: Plan): void {
  subscribe(session, live, plan, outcome => {
    if (session.state !== live) return
    if (outcome.ok) session.reply(subscribeReply(id, outcome.result))
    else session.fail(id, 'subscribe', outcome.error)
  })
}

/**
 * Carries out a granted subscription. `done` runs once: perhaps before this returns, perhaps after the session has
 * ended (then the outcome means nothing).
 * @param mayReplay asked when there are missed publications; without them the client learns that it was not recovered
 */
export function subscribe(
  session: SessionPort,
  live: Live,
  plan: Plan,
  done: (outcome: SubscribeOutcome) => void,
  mayReplay: () => boolean = () => true,
): void {
  const { registry } = session.env
  const { channel, modes, recover } = plan
  assert(!live.subscriptions.has(channel), 'a session has one subscription to a channel')
  const local = registry.join(channel, plan.known.options)
  if (local === undefined) return done({ ok: false, error: serverFull('the route table') })
  const subscription = createSubscription(session.outbox, local, plan)
  // Under the name that all subscribers here share, not under the one that was read from this client's command.
  live.subscriptions.set(local.name, subscription)
  const info = clientInfo(live.client, live.identity.userJson, live.identity.info, plan.channelInfo)
  const ask = {
    channel,
    client: live.client,
    user: live.identity.user,
    info: modes.presence || modes.emitJoinLeave ? info : '',
    presence: modes.presence,
    emitsJoinLeave: modes.emitJoinLeave,
    recover: recover !== undefined,
    epoch: recover?.epoch ?? '',
    offset: recover?.offset ?? 0,
  }
  askHome(session, 'subscribe', ask, recover === undefined ? 'small' : 'large', outcome => {
    if (subscription.state === 'ended') {
      registry.leave(local)
      done({ ok: false, error: errors.notAvailable })
      return runWaiting(subscription)
    }
    if (!outcome.ok) {
      live.subscriptions.delete(channel)
      registry.leave(local)
      subscription.state = 'ended'
      // The home may have added the member before its answer failed on the way.
      tellLeft(session, live, subscription)
      done(outcome)
      return runWaiting(subscription)
    }
    const { epoch, offset } = outcome.value
    const isLeftOut = outcome.value.publications !== '' && !mayReplay()
    const recovered = outcome.value.recovered && !isLeftOut
    const publications = isLeftOut ? '' : outcome.value.publications
    local.epoch = epoch
    subscription.state = 'live'
    if (plan.expireAt !== 0) {
      live.hasExpiringSubscriptions = true
      session.rescheduled()
    }
    startDelivery(subscription.subscriber, offset, modes.pushJoinLeave)
    done({ ok: true, result: resultOf(plan, { epoch, offset, recovered, publications }) })
    runWaiting(subscription)
  })
}

/** Ends that came before the home's answer: the subscribe command gets its reply first, as it was sent first. */
function runWaiting(subscription: Subscription): void {
  const steps = subscription.waiting
  subscription.waiting = undefined
  for (const step of steps ?? []) step()
}

function resultOf(
  plan: Plan,
  answer: { epoch: string; offset: number; recovered: boolean; publications: string },
): string {
  const { modes, expireAt, recover, data } = plan
  return subscribeResult({
    expires: expireAt > 0,
    ttlS: ttlOf(expireAt),
    recoverable: modes.recoverable,
    positioned: modes.positioned,
    epoch: modes.positioned ? answer.epoch : '',
    offset: modes.positioned ? answer.offset : 0,
    wasRecovering: recover !== undefined,
    recovered: answer.recovered,
    publications: answer.publications,
    data,
  })
}

export function answerUnsubscribe(
  session: SessionPort,
  live: Live,
  command: Extract<Command, { kind: 'unsubscribe' }>,
): void {
  const subscription = live.subscriptions.get(command.channel)
  if (subscription?.state === 'asking') {
    // Later commands wait as well: one of them may subscribe to the channel again.
    void session.hold(async () => {
      await new Promise<void>(resolve => afterAnswer(subscription, resolve))
      if (session.state === live) leave(session, live, command)
    })
    return
  }
  leave(session, live, command)
}

/** It is asking, and will be ended as soon as it is live. */
export function isEnding({ state, waiting }: Subscription): boolean {
  return state === 'asking' && waiting !== undefined
}

function leave(session: SessionPort, live: Live, command: Extract<Command, { kind: 'unsubscribe' }>): void {
  const subscription = live.subscriptions.get(command.channel)
  if (subscription !== undefined) endOne(session, live, subscription)
  session.reply(emptyReply(command.id, 'unsubscribe'))
}

/** Runs the step when the home of a subscription that is still asking has answered, whatever became of the session. */
export function afterAnswer(subscription: Subscription, step: () => void): void {
  subscription.waiting ??= []
  subscription.waiting.push(step)
}

export function answerSubRefresh(
  session: SessionPort,
  live: Live,
  command: Extract<Command, { kind: 'sub_refresh' }>,
): void {
  const { id, channel, token } = command
  if (token === '') {
    return session.refuse('sub_refresh', because(disconnects.badRequest, 'sub_refresh needs a token'))
  }
  void session.hold(async () => {
    const result = await session.env.subscriptionTokens.verifySubscription(token, wallMs())
    if (session.state !== live) return
    const subscription = live.subscriptions.get(channel)
    if (subscription === undefined)
      return session.fail(id, 'sub_refresh', detailed(errors.badRequest, 'not subscribed'))
    if (result.kind === 'unavailable') return session.fail(id, 'sub_refresh', errors.internal)
    if (result.kind === 'invalid')
      return session.fail(id, 'sub_refresh', detailed(errors.permissionDenied, result.why))
    if (result.kind === 'expired' || isPast(result.claims.expireAt)) {
      return session.fail(id, 'sub_refresh', errors.tokenExpired)
    }
    const { claims } = result
    if (!isFor(live, channel, claims)) {
      return session.fail(
        id,
        'sub_refresh',
        detailed(errors.permissionDenied, 'the token is for another subscription'),
      )
    }
    subscription.expireAt = claims.expireAt
    live.hasExpiringSubscriptions ||= claims.expireAt !== 0
    session.rescheduled()
    session.reply(subRefreshReply(id, claims.expireAt > 0, ttlOf(claims.expireAt)))
  })
}

/** Subscribes a live session by the server's will and tells it. `done` gets undefined when it is carried out. */
export function subscribeByServer(
  session: SessionPort,
  live: Live,
  plan: Plan,
  done: (error: ErrorCode | undefined) => void,
): void {
  subscribe(session, live, plan, outcome => {
    if (outcome.ok && session.state === live) {
      session.reply(subscribePush(JSON.stringify(plan.channel), outcome.result))
    }
    // Whose session has ended meanwhile is one that is not there: nothing is left to do.
    done(outcome.ok || session.state !== live ? undefined : outcome.error)
  })
}

/** Ends a subscription by the server's will and tells the client. */
export function unsubscribeByServer(
  session: SessionPort,
  live: Live,
  subscription: Subscription,
  unsubscribe: Unsubscribe,
): void {
  if (subscription.state === 'asking') {
    afterAnswer(subscription, () => unsubscribeByServer(session, live, subscription, unsubscribe))
    return
  }
  if (subscription.state === 'ended' || session.state !== live) return
  session.env.row[pick(slots.unsubscribes, unsubscribe.code, slots.unsubscribes.other)]! += 1
  endOne(session, live, subscription)
  session.reply(unsubscribePush(subscription.subscriber.channel.nameJson, unsubscribe))
}

/** The stream can't be continued: the client subscribes again and learns `recovered: false`. */
export function loseState(session: SessionPort, live: Live, subscription: Subscription): void {
  // An SDK does not subscribe again to what the server subscribed it to; only a new connection brings that back.
  if (subscription.serverSide) session.disconnect(disconnects.insufficientState)
  else unsubscribeByServer(session, live, subscription, unsubscribes.insufficientState)
}

export function dropExpired(session: SessionPort, live: Live, nowMs: number): void {
  const graceMs = session.env.config.client.expired_sub_close_delay
  for (const subscription of [...live.subscriptions.values()]) {
    if (subscription.state !== 'live' || subscription.expireAt === 0) continue
    if (nowMs < subscription.expireAt * 1000 + graceMs) continue
    if (subscription.serverSide) return session.disconnect(disconnects.subscriptionExpired)
    unsubscribeByServer(session, live, subscription, unsubscribes.expired)
  }
}

export function endAll(session: SessionPort, live: Live): void {
  for (const subscription of [...live.subscriptions.values()]) endOne(session, live, subscription)
}

function endOne(session: SessionPort, live: Live, subscription: Subscription): void {
  const { registry, flusher } = session.env
  const { subscriber, state } = subscription
  const { channel } = subscriber
  live.subscriptions.delete(channel.name)
  subscription.state = 'ended'
  // While the home has not answered, its answer gives the registry's count back.
  if (state === 'live') {
    flusher.stop(subscriber)
    registry.leave(channel)
  }
  tellLeft(session, live, subscription)
}

/** The home forgets the member, if it had one. */
function tellLeft(session: SessionPort, live: Live, { modes, subscriber }: Subscription): void {
  if (!modes.presence && !modes.emitJoinLeave) return
  const { presence, emitJoinLeave: emitsJoinLeave } = modes
  const tell = { channel: subscriber.channel.name, client: live.client, presence, emitsJoinLeave }
  session.env.directory.tell('leave', tell)
}
