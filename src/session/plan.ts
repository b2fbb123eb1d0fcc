// What a session may subscribe to and how: from a request or the server's will to a plan. Pure but for reading the
// session. Runs on the shard.

import type { Override, ServerSubscription } from '../auth/claims.ts'
import { accessOfSubscriber, decideSubscriptionModes, type SubscriptionModes } from '../auth/permissions.ts'
import type { ResolvedChannel, ResolvedOptions } from '../config/namespaces.ts'
import { MESSENGER_NAMESPACE } from '../config/schema.messenger.ts'
import { detailed, type ErrorCode, errors } from '../protocol/codes.ts'
import type { SubscribeRequest } from '../protocol/commands.ts'
import type { SessionPort } from './port.ts'
import type { Live } from './state.ts'

export type Known = Extract<ResolvedChannel, { kind: 'known' }>

/** A subscription that was granted and only has to be carried out. */
export type Plan = Readonly<{
  channel: string
  known: Known
  modes: SubscriptionModes
  serverSide: boolean
  channelInfo: string | undefined
  /** Raw JSON for the client, from the token or the API. */
  data: string | undefined
  expireAt: number
  recover: Readonly<{ epoch: string; offset: number }> | undefined
}>

export type PlanResult = { ok: true; plan: Plan } | { ok: false; error: ErrorCode }
type Grant = Readonly<{
  serverSide: boolean
  channelInfo?: string | undefined
  data?: string | undefined
  override?: Override | undefined
  expireAt?: number
}>

/** A subscription by the server's will: from the connection token or by the API. */
export function planServerSide(
  session: SessionPort,
  live: Live,
  channel: string,
  subscription: ServerSubscription & { expireAt?: number },
  request: SubscribeRequest | undefined,
): PlanResult {
  const checked = checkChannel(session, live, channel)
  if (!checked.ok) return checked
  const { info: channelInfo, data, override, expireAt = 0 } = subscription
  const grant = { serverSide: true, channelInfo, data, override, expireAt }
  return {
    ok: true,
    plan: planOf(session, live, checked.known, request ?? { ...NO_REQUEST, channel }, grant),
  }
}

const NO_REQUEST: Omit<SubscribeRequest, 'channel'> = {
  token: '',
  recover: false,
  epoch: '',
  offset: 0,
  positioned: false,
  recoverable: false,
  joinLeave: false,
}

/** Whether the session may have one more subscription, and to this channel; not yet whether the user may. */
export function checkChannel(
  session: SessionPort,
  live: Live,
  channel: string,
): { ok: true; known: Known } | { ok: false; error: ErrorCode } {
  if (live.subscriptions.has(channel)) return { ok: false, error: errors.alreadySubscribed }
  const limit = session.env.config.client.channel_limit
  const resolved = session.env.namespaces.resolve(channel)
  const isFree = resolved.kind === 'known' && isOfMessenger(session, resolved.options)
  if (!isFree && isLimitReached(session, live, limit)) {
    return { ok: false, error: detailed(errors.limitExceeded, `${limit} channels a connection`) }
  }
  if (resolved.kind === 'bad') return { ok: false, error: detailed(errors.badRequest, resolved.why) }
  if (resolved.kind === 'unknown') return { ok: false, error: errors.unknownChannel }
  return { ok: true, known: resolved }
}

/** Channels that clients have by their conversations; they can't choose to have more of them. */
export function isOfMessenger(
  { env }: SessionPort,
  { namespace }: Pick<ResolvedOptions, 'namespace'>,
): boolean {
  return env.messenger !== undefined && namespace === MESSENGER_NAMESPACE
}

function isLimitReached(session: SessionPort, { subscriptions }: Live, limit: number): boolean {
  if (subscriptions.size < limit) return false
  let counted = 0
  for (const { subscriber } of subscriptions.values()) {
    if (!isOfMessenger(session, subscriber.channel.options)) counted++
  }
  return counted >= limit
}

export function planOf(
  session: SessionPort,
  live: Live,
  known: Known,
  request: SubscribeRequest,
  grant: Grant,
): Plan {
  const who = { user: live.identity.user, insecure: session.env.config.client.insecure }
  const requested = {
    positioned: request.positioned,
    recoverable: request.recoverable,
    join_leave: request.joinLeave,
  }
  const may = accessOfSubscriber(known.options, who)
  const modes = decideSubscriptionModes(known.options, grant.override, requested, may)
  const recovers = request.recover && modes.recoverable
  return {
    channel: request.channel,
    known,
    modes,
    serverSide: grant.serverSide,
    channelInfo: grant.channelInfo,
    data: grant.data,
    expireAt: grant.expireAt ?? 0,
    recover: recovers ? { epoch: request.epoch, offset: request.offset } : undefined,
  }
}
