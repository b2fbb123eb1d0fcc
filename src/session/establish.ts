// From a granted `connect` to its reply: the session becomes live and is subscribed to what the server gives it.
// Runs on the shard. Invariant: whoever is told of an end, a join or a leave of a login finds its session live from the
// moment of the grant on; and nothing of the subscriptions goes out before the reply to `connect`.

import { randomUUID } from 'node:crypto'
import type { ServerSubscription } from '../auth/claims.ts'
import { monotonicMs } from '../base/clock.ts'
import { slots } from '../metrics/slots.ts'
import { disconnects, type ErrorCode, serverFull } from '../protocol/codes.ts'
import type { Command, SubscribeRequest } from '../protocol/commands.ts'
import { connectReply, errorReply } from '../protocol/replies.ts'
import { ttlOf } from './expiry.ts'
import { planServerSide } from './plan.ts'
import type { SessionPort } from './port.ts'
import type { Identity, Live } from './state.ts'
import { type SubscribeOutcome, subscribe } from './subscriptions.ts'

export type Connect = Extract<Command, { kind: 'connect' }>

export type Grant = Readonly<{
  user: string
  info: string | undefined
  /** Public id of the login; '' = none. */
  session: string
  expireAt: number
  channels: ReadonlyMap<string, ServerSubscription>
}>

/**
 * Subscriptions to conversations that a connect has asked for at once: enough that the way to the homes and back counts
 * little. They begin few and become fewer with each large answer, for all that is replayed goes through the rings that
 * others need, too. A token of others names few channels, and those first that are to be replayed first: one by one.
 */
const ASKED_AT_ONCE_MAX = 32
const ASKED_AT_FIRST = 4
const LARGE_RESULT_LENGTH = 4096

/**
 * The session is live when this returns, or has been refused. Undefined: it has its reply, too; otherwise the promise
 * resolves with it.
 */
export function establish(session: SessionPort, command: Connect, grant: Grant): Promise<void> | undefined {
  const live = enter(session, command, grant)
  if (live === undefined) return undefined
  if (grant.channels.size > 0) return subscribeFirst(session, live, command, grant.channels)
  session.reply(replyOf(session, live, command.id, []))
  return undefined
}

async function subscribeFirst(
  session: SessionPort,
  live: Live,
  command: Connect,
  channels: Grant['channels'],
): Promise<void> {
  // What was answered before goes before it; what comes from now on waits for the reply.
  session.env.flusher.flushNow(session.outbox)
  session.outbox.held = true
  const requests = new Map(command.subs.map(request => [request.channel, request]))
  const { subs, failure } = await subscribeToAll(session, live, channels, requests)
  if (session.state !== live) return
  if (failure !== undefined) {
    session.outbox.release(errorReply(command.id, failure))
    session.disconnect(failure.temporary ? disconnects.forceReconnect : disconnects.notAvailable)
    return
  }
  session.outbox.release(replyOf(session, live, command.id, subs))
  session.env.flusher.touch(session.outbox)
}

/** Makes the session live. Undefined: it was refused, and has its answer. */
function enter(session: SessionPort, command: Connect, grant: Grant): Live | undefined {
  const { config, sessions } = session.env
  const { user, info, session: login, expireAt } = grant
  const admission = sessions.admit(session, user, config.client.user_connection_limit)
  if (admission === 'user_limit') {
    session.env.row[slots.connectionsRefused.user_limit]! += 1
    session.refuse('connect', disconnects.connectionLimit)
    return undefined
  }
  if (admission === 'table_full') {
    session.fail(command.id, 'connect', serverFull('the presence table'))
    return undefined
  }
  const identity: Identity = { user, userJson: JSON.stringify(user), info, session: login }
  const live: Live = {
    kind: 'live',
    client: flat(randomUUID()),
    identity,
    expireAt,
    subscriptions: new Map(),
    toSubscribe: undefined,
    hasExpiringSubscriptions: false,
    // The first ping comes at a random moment of the first interval, so that clients that reconnect together
    // are not pinged together for ever.
    pingAtMs: monotonicMs() + Math.ceil((Math.random() + 1) * 0.5 * config.client.ping_interval),
    pongDueMs: 0,
    openCalls: 0,
    onCallAnswered: undefined,
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

type Subs = (readonly [channelJson: string, result: string])[]

/** Resolves when all have their answer, at the first failure, or when the session has ended. */
function subscribeToAll(
  session: SessionPort,
  live: Live,
  channels: Grant['channels'],
  requests: ReadonlyMap<string, SubscribeRequest>,
): Promise<{ subs: Subs; failure: ErrorCode | undefined }> {
  const subs: Subs = []
  const names = [...channels.keys()]
  // What is taken out of it meanwhile is left out: see the order `unsubscribe`.
  const toSubscribe = new Set(names)
  live.toSubscribe = toSubscribe
  const atOnceMax = session.env.messenger === undefined ? 1 : ASKED_AT_ONCE_MAX
  let openMax = Math.min(ASKED_AT_FIRST, atOnceMax)
  let failure: ErrorCode | undefined
  let next = 0
  let open = 0
  let size = 0
  // All of it goes out as one reply, and must not be more than an outbox bears. Beyond that the rest is not replayed,
  // and the client is told so.
  const mayReplay = () => size < session.env.outboxLimits.hardBytes / 2
  const askOne = (channel: string, onOutcome: (outcome: SubscribeOutcome) => void) => {
    const request = requests.get(channel)
    // No stream has the empty epoch: asked with it, the home answers that nothing was recovered.
    const affordable = request !== undefined && !mayReplay() ? { ...request, epoch: '' } : request
    const planned = planServerSide(session, live, channel, channels.get(channel)!, affordable)
    if (planned.ok) subscribe(session, live, planned.plan, onOutcome, mayReplay)
    else onOutcome(planned)
  }
  return new Promise(resolve => {
    let isAsking = false
    const goOn = () => {
      isAsking = true
      while (next < names.length && open < openMax && failure === undefined) {
        if (session.state !== live) break
        const channel = names[next++]!
        if (!toSubscribe.delete(channel)) continue
        open++
        askOne(channel, outcome => {
          open--
          if (outcome.ok) {
            const { length } = outcome.result
            size += length
            openMax =
              length > LARGE_RESULT_LENGTH ? Math.max(1, openMax >> 1) : Math.min(atOnceMax, openMax + 1)
            subs.push([JSON.stringify(channel), outcome.result])
          } else failure ??= outcome.error
          // Answers from homes on this shard come while it asks.
          if (!isAsking) goOn()
        })
      }
      isAsking = false
      if (open > 0 && failure === undefined) return
      live.toSubscribe = undefined
      resolve({ subs, failure })
    }
    goOn()
  })
}

function replyOf(session: SessionPort, live: Live, id: number, subs: Subs): string {
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
