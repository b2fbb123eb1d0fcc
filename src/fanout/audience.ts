// A channel as one shard sees it: its subscribers here, grouped into audiences. Runs on that shard.
// An audience is those subscribers of a channel that get exactly the same bytes, so that what a tick brings for
// them is put together once. Invariant: `subscribers[i].index === i`, and a subscriber is in one audience or none.

import { assert } from '../base/assert.ts'
import type { ResolvedOptions } from '../config/namespaces.ts'
import type { Outbox } from './outbox.ts'

export type SlowPolicy = 'catch_up' | 'drop_oldest' | 'latest_only' | 'disconnect'

export type Subscriber = {
  readonly outbox: Outbox
  readonly channel: LocalChannel
  audience: Audience | undefined
  index: number
  /** Where its part of the present batch begins: it was not there for what came before. Bytes and publications. */
  fromBytes: number
  fromPublications: number
  /** Offset of the channel when its delivery began. */
  startOffset: number
  /** FLOWING, or the offset of the last publication it got: all later ones are withheld until it catches up. */
  heldAt: number
}

export const FLOWING = -1

export type LocalChannel = {
  readonly name: string
  readonly nameJson: string
  readonly options: ResolvedOptions
  readonly slowPolicy: SlowPolicy
  /** The channel's node in the route table. */
  readonly route: number
  /** Index of the shard that orders the channel. */
  readonly home: number
  /** Subscribers here, those that still wait for the home's answer included. */
  count: number
  epoch: string
  /** Offset of the last publication that came here. */
  topOffset: number
  /** Subscribers that get publications only, and those that get join and leave events too. */
  readonly plain: Audience
  watching: Audience | undefined
}

export class Audience {
  readonly channel: LocalChannel
  readonly subscribers: Subscriber[] = []
  /** What this tick brought, as lines; memory lent by the flusher. */
  batch: Buffer | undefined
  batchBytes = 0
  batchPublications = 0
  batchEvents = 0
  /** Publications of the batch without an offset: of a channel without history, or published past it. */
  batchUnplaced = 0
  /** Offset of the first publication in the batch that has one; 0: none has. */
  batchFirstOffset = 0
  /** When each publication of the batch was accepted at its home, in monotonic microseconds. */
  acceptedUs: number[] = []
  constructor(channel: LocalChannel) {
    this.channel = channel
  }

  add(subscriber: Subscriber): void {
    assert(subscriber.audience === undefined, 'a subscriber joins one audience once')
    subscriber.audience = this
    subscriber.index = this.subscribers.length
    subscriber.fromBytes = this.batchBytes
    subscriber.fromPublications = this.batchPublications
    this.subscribers.push(subscriber)
  }

  /** Forgets the batch, which has been handed on. */
  reset(): void {
    this.batch = undefined
    this.batchBytes = 0
    this.batchPublications = 0
    this.batchEvents = 0
    this.batchUnplaced = 0
    this.batchFirstOffset = 0
    this.acceptedUs = []
  }

  remove(subscriber: Subscriber): void {
    assert(this.subscribers[subscriber.index] === subscriber, 'a subscriber is where it says')
    const last = this.subscribers.pop()
    assert(last !== undefined, 'an audience that loses a subscriber had one')
    if (last !== subscriber) {
      this.subscribers[subscriber.index] = last
      last.index = subscriber.index
    }
    subscriber.audience = undefined
  }
}

export function slowPolicyOf(options: ResolvedOptions): SlowPolicy {
  // Without history there is nothing to catch up from; dropping the oldest is what comes nearest to it.
  return options.slow_client === 'catch_up' && !options.historyEnabled ? 'drop_oldest' : options.slow_client
}

export function createLocalChannel(
  fields: Pick<LocalChannel, 'name' | 'options' | 'route' | 'home'>,
): LocalChannel {
  const channel = {
    ...fields,
    nameJson: JSON.stringify(fields.name),
    slowPolicy: slowPolicyOf(fields.options),
    count: 0,
    epoch: '',
    topOffset: 0,
    watching: undefined,
  } as Omit<LocalChannel, 'plain'> & { plain: Audience }
  channel.plain = new Audience(channel)
  return channel
}

export function createSubscriber(outbox: Outbox, channel: LocalChannel): Subscriber {
  return {
    outbox,
    channel,
    audience: undefined,
    index: 0,
    fromBytes: 0,
    fromPublications: 0,
    startOffset: 0,
    heldAt: FLOWING,
  }
}

/** Begins delivery: everything that comes to the channel from now on, and nothing that came before. */
export function startDelivery(subscriber: Subscriber, offset: number, watches: boolean): void {
  const { channel } = subscriber
  if (watches && channel.watching === undefined) channel.watching = new Audience(channel)
  const audience = watches ? channel.watching : channel.plain
  assert(audience !== undefined, 'the audience was just made')
  subscriber.startOffset = offset
  audience.add(subscriber)
}
