// The commands `connect` and `refresh`: who the client is, and what the server subscribes it to. Runs on the shard.

import { randomUUID } from 'node:crypto'
import type { ServerSubscription } from '../auth/claims.ts'
import { monotonicMs, wallMs } from '../base/clock.ts'
import { USER_ID_BYTES_MAX } from '../config/limits.ts'
import { slots } from '../metrics/slots.ts'
import { because, disconnects, type ErrorCode, errors, serverFull } from '../protocol/codes.ts'
import type { Command, SubscribeRequest } from '../protocol/commands.ts'
import { connectReply, errorReply, refreshReply } from '../protocol/replies.ts'
import { isPast, ttlOf } from './expiry.ts'
import { planServerSide } from './plan.ts'
import type { SessionPort } from './port.ts'
import type { Identity, Live } from './state.ts'
import { subscribe } from './subscriptions.ts'

type Connect = Extract<Command, { kind: 'connect' }>
type Refresh = Extract<Command, { kind: 'refresh' }>

type Grant = Readonly<{
  user: string
  info: string | undefined
  expireAt: number
  channels: ReadonlyMap<string, ServerSubscription>
}>

const ANONYMOUS: Grant = { user: '', info: undefined, expireAt: 0, channels: new Map() }

export function answerConnect(session: SessionPort, command: Connect): void {
  const { client } = session.env.config
  if (command.token !== '') {
    void session.hold(() => connectWithToken(session, command))
  } else if (client.insecure || client.allow_anonymous_connect_without_token) {
    establish(session, command, ANONYMOUS)
  } else {
    session.refuse('connect', because(disconnects.invalidToken, 'a token is required'))
  }
}

async function connectWithToken(session: SessionPort, command: Connect): Promise<void> {
  const result = await session.env.connectionTokens.verifyConnection(command.token, wallMs())
  if (session.state.kind !== 'opening') return
  switch (result.kind) {
    case 'valid': {
      const { user, info, expireAt, channels, subs } = result.claims
      if (isPast(expireAt)) return session.fail(command.id, 'connect', errors.tokenExpired)
      if (Buffer.byteLength(user) > USER_ID_BYTES_MAX) {
        return session.refuse(
          'connect',
          because(disconnects.invalidToken, `sub has more than ${USER_ID_BYTES_MAX} bytes`),
        )
      }
      const named = new Map<string, ServerSubscription>(channels.map(channel => [channel, {}]))
      for (const [channel, subscription] of subs) named.set(channel, subscription)
      await establishWith(session, command, { user, info, expireAt, channels: named })
      return
    }
    case 'expired':
      return session.fail(command.id, 'connect', errors.tokenExpired)
    case 'unavailable':
      return session.fail(command.id, 'connect', errors.internal)
    case 'invalid':
      return session.refuse('connect', because(disconnects.invalidToken, result.why))
  }
}

/** Makes the session live. Undefined: it was refused, and has its answer. */
function enter(session: SessionPort, command: Connect, grant: Grant): Live | undefined {
  const { config, sessions } = session.env
  const admission = sessions.admit(session, grant.user, config.client.user_connection_limit)
  if (admission === 'user_limit') {
    session.env.row[slots.connectionsRefused.user_limit]! += 1
    session.refuse('connect', disconnects.connectionLimit)
    return undefined
  }
  if (admission === 'table_full') {
    session.fail(command.id, 'connect', serverFull('the presence table'))
    return undefined
  }
  const identity: Identity = { user: grant.user, userJson: JSON.stringify(grant.user), info: grant.info }
  const live: Live = {
    kind: 'live',
    client: flat(randomUUID()),
    identity,
    expireAt: grant.expireAt,
    subscriptions: new Map(),
    hasExpiringSubscriptions: false,
    // The first ping comes at a random moment of the first interval, so that clients that reconnect together
    // are not pinged together for ever.
    pingAtMs: monotonicMs() + Math.ceil((Math.random() + 1) * 0.5 * config.client.ping_interval),
    pongDueMs: 0,
  }
  session.state = live
  session.rescheduled()
  return live
}

/**
 * The same text in one piece. node:crypto puts a UUID together from twenty strings, and V8 would keep all of them with
 * it: 460 bytes a connection, walked through again by every publication that names its publisher.
 */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

function establish(session: SessionPort, command: Connect, grant: Grant): void {
  const live = enter(session, command, grant)
  if (live !== undefined) session.reply(replyOf(session, live, command.id, []))
}

/** With server-side subscriptions: nothing of them may go out before the reply to `connect`. */
async function establishWith(session: SessionPort, command: Connect, grant: Grant): Promise<void> {
  if (grant.channels.size === 0) return establish(session, command, grant)
  const live = enter(session, command, grant)
  if (live === undefined) return
  session.outbox.held = true
  const asked = new Map(command.subs.map(request => [request.channel, request]))
  const outcomes: AtConnect[] = []
  let size = 0
  // One after the other: what all of them replay goes out as one reply, and must not be more than an outbox bears.
  // Beyond that the rest is not replayed, and the client is told so.
  for (const [channel, subscription] of grant.channels) {
    const request = asked.get(channel)
    const isTooMuch = size >= session.env.outboxLimits.hardBytes / 2
    // No stream has the empty epoch: asked with it, the home answers that nothing was recovered.
    const affordable = request !== undefined && isTooMuch ? { ...request, epoch: '' } : request
    const outcome = await subscribeAtConnect(session, live, channel, subscription, affordable)
    outcomes.push(outcome)
    if (!outcome.ok || session.state !== live) break
    size += outcome.result.length
  }
  if (session.state !== live) return
  const failed = outcomes.find(outcome => !outcome.ok)
  if (failed !== undefined && !failed.ok) {
    session.outbox.release(errorReply(command.id, failed.error))
    session.disconnect(failed.error.temporary ? disconnects.forceReconnect : disconnects.notAvailable)
    return
  }
  const subs = outcomes.flatMap(outcome =>
    outcome.ok ? [[outcome.channelJson, outcome.result] as const] : [],
  )
  session.outbox.release(replyOf(session, live, command.id, subs))
  session.env.flusher.touch(session.outbox)
}

type AtConnect = { ok: true; channelJson: string; result: string } | { ok: false; error: ErrorCode }

function subscribeAtConnect(
  session: SessionPort,
  live: Live,
  channel: string,
  subscription: ServerSubscription,
  request: SubscribeRequest | undefined,
): Promise<AtConnect> {
  const plan = planServerSide(session, live, channel, subscription, request)
  if (!plan.ok) return Promise.resolve(plan)
  return new Promise(resolve => {
    subscribe(session, live, plan.plan, outcome =>
      resolve(
        outcome.ok ? { ok: true, channelJson: JSON.stringify(channel), result: outcome.result } : outcome,
      ),
    )
  })
}

function replyOf(
  session: SessionPort,
  live: Live,
  id: number,
  subs: ReadonlyArray<readonly [channelJson: string, result: string]>,
): string {
  const { version, config } = session.env
  return connectReply(id, {
    client: live.client,
    version,
    expires: live.expireAt > 0,
    ttlS: ttlOf(live.expireAt),
    pingS: config.client.ping_interval / 1000,
    pong: config.client.ping_interval > 0 && session.expectsPong,
    subs,
  })
}

export function answerRefresh(session: SessionPort, live: Live, command: Refresh): void {
  if (command.token === '')
    return session.refuse('refresh', because(disconnects.badRequest, 'refresh needs a token'))
  void session.hold(async () => {
    const result = await session.env.connectionTokens.verifyConnection(command.token, wallMs())
    if (session.state !== live) return
    if (result.kind === 'invalid')
      return session.refuse('refresh', because(disconnects.invalidToken, result.why))
    if (result.kind === 'unavailable') return session.fail(command.id, 'refresh', errors.internal)
    if (result.kind === 'expired' || isPast(result.claims.expireAt)) {
      return session.fail(command.id, 'refresh', errors.tokenExpired)
    }
    const { user, info, expireAt } = result.claims
    if (user !== live.identity.user) {
      return session.refuse('refresh', because(disconnects.invalidToken, 'of another user'))
    }
    live.identity = { ...live.identity, info }
    live.expireAt = expireAt
    session.rescheduled()
    session.reply(refreshReply(command.id, live.client, session.env.version, expireAt > 0, ttlOf(expireAt)))
  })
}
