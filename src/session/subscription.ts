// One subscription of a session: the subscriber of the fan-out and what the session knows of it. Runs on the shard.

import type { SubscriptionModes } from '../auth/permissions.ts'
import { createSubscriber, type LocalChannel, type Subscriber } from '../fanout/audience.ts'
import type { Outbox } from '../fanout/outbox.ts'

export type Subscription = {
  readonly subscriber: Subscriber
  readonly modes: SubscriptionModes
  /** Made by the server (token, API), not asked for by the client. */
  readonly serverSide: boolean
  /** Raw JSON, for presence and for the publications of this client in this channel. */
  readonly channelInfo: string | undefined
  /** `asking`: the home has not answered yet. `ended`: the client has left, or the home refused. */
  state: 'asking' | 'live' | 'ended'
  /** What is to be done when the home has answered. */
  waiting: (() => void)[] | undefined
  /** Unix seconds; 0: never. */
  expireAt: number
}

export function createSubscription(
  outbox: Outbox,
  channel: LocalChannel,
  fields: Pick<Subscription, 'modes' | 'serverSide' | 'channelInfo' | 'expireAt'>,
): Subscription {
  // Field by field: the caller's record has more in it, which must not live as long as the subscription.
  const { modes, serverSide, channelInfo, expireAt } = fields
  const subscriber = createSubscriber(outbox, channel)
  return { subscriber, modes, serverSide, channelInfo, state: 'asking', waiting: undefined, expireAt }
}
