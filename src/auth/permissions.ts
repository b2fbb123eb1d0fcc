// What a client may do in a channel, and how its subscription behaves: pure decisions, applied on the shards.
// Order and meaning of the checks are Centrifugo's (its "Channel permission model", without proxies and
// capabilities). Invariant: no rule grants more to an anonymous user than to a named one.

import type { Override } from './claims.ts'

/** `not_available`: the channel has no history or presence at all (error 108); `denied` is error 103. */
export type Decision = 'allowed' | 'denied' | 'not_available'

/** Who asks. `subscribed` means: to the channel in question, at this moment. */
export interface Who {
  /** User id, '' for anonymous. */
  readonly user: string
  readonly subscribed: boolean
  /** The option client.insecure: every permission that the channel has a use for is given. */
  readonly insecure: boolean
}

/** What the name of a channel says about it. */
export interface ChannelFacts {
  /** The users named after the '#' of the channel, undefined where there is none. */
  readonly allowedUsers: readonly string[] | undefined
  /** The name begins with the private prefix. */
  readonly isPrivate: boolean
}

export interface SubscribeOptions {
  readonly allow_user_limited_channels: boolean
  readonly allow_subscribe_for_client: boolean
  readonly allow_subscribe_for_anonymous: boolean
}

export interface PublishOptions {
  readonly allow_publish_for_client: boolean
  readonly allow_publish_for_subscriber: boolean
  readonly allow_publish_for_anonymous: boolean
}

export interface HistoryOptions {
  /** history_size and history_ttl are both above zero. */
  readonly historyEnabled: boolean
  readonly allow_history_for_client: boolean
  readonly allow_history_for_subscriber: boolean
  readonly allow_history_for_anonymous: boolean
}

export interface PresenceOptions {
  readonly presence: boolean
  readonly allow_presence_for_client: boolean
  readonly allow_presence_for_subscriber: boolean
  readonly allow_presence_for_anonymous: boolean
}

export interface ModeOptions {
  readonly historyEnabled: boolean
  readonly presence: boolean
  readonly join_leave: boolean
  readonly force_push_join_leave: boolean
  readonly force_positioning: boolean
  readonly allow_positioning: boolean
  readonly force_recovery: boolean
  readonly allow_recovery: boolean
}

/** The behaviour of one subscription. `positioned` is true wherever `recoverable` is. */
export interface SubscriptionModes {
  /** The subscriber is in the channel's member list. */
  readonly presence: boolean
  /** Others are told when the subscriber joins and leaves. */
  readonly emitJoinLeave: boolean
  /** The subscriber is told when others join and leave. */
  readonly pushJoinLeave: boolean
  readonly positioned: boolean
  readonly recoverable: boolean
}

/**
 * `token` is 'valid' after the subscription token was verified and found to be for this user, this channel and
 * this connection; a request with any other token never comes here.
 */
export function maySubscribe(
  options: SubscribeOptions,
  channel: ChannelFacts,
  who: Pick<Who, 'user' | 'insecure'>,
  token: 'none' | 'valid',
): 'allowed' | 'denied' {
  if (token === 'valid') return 'allowed'
  // Before client.insecure: the private prefix says "never without a token", so no option may open it.
  if (channel.isPrivate) return 'denied'
  if (who.insecure) return 'allowed'
  if (options.allow_user_limited_channels && channel.allowedUsers !== undefined) {
    // Only the list decides. The empty name is no user: "news:#" or "news:#17," must not admit anonymous ones.
    return who.user !== '' && channel.allowedUsers.includes(who.user) ? 'allowed' : 'denied'
  }
  const admitted =
    options.allow_subscribe_for_client && (who.user !== '' || options.allow_subscribe_for_anonymous)
  return admitted ? 'allowed' : 'denied'
}

export function mayPublish(options: PublishOptions, who: Who): 'allowed' | 'denied' {
  const granted = isGranted(
    who,
    options.allow_publish_for_client,
    options.allow_publish_for_subscriber,
    options.allow_publish_for_anonymous,
  )
  return granted ? 'allowed' : 'denied'
}

export function mayReadHistory(options: HistoryOptions, who: Who): Decision {
  if (!options.historyEnabled) return 'not_available'
  return hasHistoryAccess(options, who) ? 'allowed' : 'denied'
}

/** For both the member list and its counts (presence stats). */
export function mayReadPresence(options: PresenceOptions, who: Who): Decision {
  if (!options.presence) return 'not_available'
  return hasPresenceAccess(options, who) ? 'allowed' : 'denied'
}

/**
 * The access of a client whose subscription has just been allowed, as decideSubscriptionModes() wants it. It
 * counts as subscribed already. Whether the channel keeps history or presence is not asked here: events of joining
 * and leaving need the right to see presence, but no member list.
 */
export function accessOfSubscriber(
  options: HistoryOptions & PresenceOptions,
  who: Pick<Who, 'user' | 'insecure'>,
): { history: boolean; presence: boolean } {
  const subscriber = { user: who.user, insecure: who.insecure, subscribed: true }
  return {
    history: hasHistoryAccess(options, subscriber),
    presence: hasPresenceAccess(options, subscriber),
  }
}

/**
 * The modes of a subscription that is already allowed: what the channel forces (or the token overrides), plus what
 * the client asked for and may have. Without history there is no position to keep, so both modes are off then,
 * whatever was forced.
 */
export function decideSubscriptionModes(
  options: ModeOptions,
  override: Override | undefined,
  requested: { readonly positioned: boolean; readonly recoverable: boolean; readonly join_leave: boolean },
  may: { readonly history: boolean; readonly presence: boolean },
): SubscriptionModes {
  const recoverable =
    (override?.force_recovery ?? options.force_recovery) ||
    (requested.recoverable && (options.allow_recovery || may.history))
  const positioned =
    (override?.force_positioning ?? options.force_positioning) ||
    (requested.positioned && (options.allow_positioning || may.history))
  const pushJoinLeave =
    (override?.force_push_join_leave ?? options.force_push_join_leave) ||
    (requested.join_leave && options.join_leave && may.presence)
  return {
    presence: override?.presence ?? options.presence,
    emitJoinLeave: override?.join_leave ?? options.join_leave,
    pushJoinLeave,
    positioned: options.historyEnabled && (positioned || recoverable),
    recoverable: options.historyEnabled && recoverable,
  }
}

function hasHistoryAccess(options: HistoryOptions, who: Who): boolean {
  return isGranted(
    who,
    options.allow_history_for_client,
    options.allow_history_for_subscriber,
    options.allow_history_for_anonymous,
  )
}

function hasPresenceAccess(options: PresenceOptions, who: Who): boolean {
  return isGranted(
    who,
    options.allow_presence_for_client,
    options.allow_presence_for_subscriber,
    options.allow_presence_for_anonymous,
  )
}

/** `…_for_anonymous` grants nothing by itself: it lets anonymous users have what the other two options give. */
function isGranted(who: Who, forClient: boolean, forSubscriber: boolean, forAnonymous: boolean): boolean {
  if (who.insecure) return true
  if (who.user === '' && !forAnonymous) return false
  return forClient || (forSubscriber && who.subscribed)
}
