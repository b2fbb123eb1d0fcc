// The threads of a load: which subscriber is whose, and what they all say together. Main thread.
// Invariant: subscriber n is with receiver n mod receivers, for the whole run.

import type {
  Churned,
  Connected,
  Endpoint,
  PlannedSubscriber,
  PublisherProgress,
  ReceiverRequest,
  Reconnections,
  Use,
} from '../generator/requests.ts'
import { createHistogram, type Histogram } from '../ledger/histogram.ts'
import { type Extremes, Recipients } from '../ledger/recipients.ts'
import type { Load } from '../model.ts'
import { shuffled } from '../random.ts'
import type { Chosen, Subscriber } from '../scenario.ts'
import { type Publisher, type Receiver, startPublisher, startReceiver } from './thread.ts'

export type FleetProgress = Readonly<{
  connections: number
  /** Of all receivers, since the last progress: code → how often. */
  ended: Readonly<Record<string, number>>
  deliveries: number
  deliveredTotal: number
  latency: Histogram
  /** Undefined where nothing is published. */
  published: PublisherProgress | undefined
  uses: ReadonlyArray<readonly [thread: string, use: Use]>
}>

/** Far apart, so that the random numbers of two threads have nothing to do with each other. */
const SEED_STEP = 0x9e37_79b1

export class Fleet {
  readonly receivers: readonly Receiver[]
  /** Undefined where the scenario publishes nothing. */
  readonly publisher: Publisher | undefined
  readonly recipients = new Recipients(channel => this.#threadsOf.get(channel)?.size ?? 0)
  readonly #plan: Subscriber[] = []
  readonly #random: () => number
  /** Subscribers (not aside) of a channel are with these threads. */
  readonly #threadsOf = new Map<number, Set<number>>()
  readonly #subscribersOf = new Map<number, number>()
  #order: Uint32Array | undefined
  /** Those that have subscribers who come and go. */
  #churning: readonly Receiver[] = []

  constructor(endpoint: Endpoint, load: Load, random: () => number) {
    const { size, seed, publish, publishers } = load
    this.#random = random
    this.receivers = Array.from({ length: Math.min(load.receivers, load.subscribers) }, (_, index) =>
      startReceiver({ role: 'receiver', index, endpoint, seed: seed + index * SEED_STEP }),
    )
    const transport = load.transport === 'tcp' ? 'tcp' : 'ws'
    this.publisher =
      load.rate === 0
        ? undefined
        : startPublisher({ role: 'publisher', endpoint, size, by: publish, publishers, transport })
  }

  get threads(): readonly (Receiver | Publisher)[] {
    return this.publisher === undefined ? this.receivers : [...this.receivers, this.publisher]
  }

  get subscribers(): number {
    return this.#plan.length
  }

  /** All channels that somebody subscribes to, ascending. */
  get channels(): readonly number[] {
    return [...this.#subscribersOf.keys()].sort((a, b) => a - b)
  }

  subscribersOf(channel: number): number {
    return this.#subscribersOf.get(channel) ?? 0
  }

  async connect(subscribers: readonly Subscriber[]): Promise<readonly Connected[]> {
    const shares = this.receivers.map((): PlannedSubscriber[] => [])
    for (const planned of subscribers) {
      const number = this.#plan.push(planned) - 1
      const thread = number % this.receivers.length
      const { aside = false } = planned
      shares[thread]!.push({ subscriber: number, ...planned, aside })
      for (const channel of planned.channels) {
        this.#subscribersOf.set(channel, this.subscribersOf(channel) + 1)
        if (aside) continue
        const threads = this.#threadsOf.get(channel) ?? new Set()
        this.#threadsOf.set(channel, threads.add(thread))
      }
    }
    this.#order = undefined
    return Promise.all(
      this.receivers.map((receiver, index) => receiver.ask({ kind: 'connect', subscribers: shares[index]! })),
    )
  }

  /** The same choice gives the same subscribers, as long as none are added. */
  choose(chosen: Chosen): readonly number[] {
    if ('from' in chosen) {
      const to = Math.min(chosen.to, this.#plan.length)
      return Array.from({ length: Math.max(0, to - chosen.from) }, (_, index) => chosen.from + index)
    }
    this.#order ??= shuffled(this.#plan.length, this.#random)
    return [...this.#order.subarray(0, Math.round(chosen.share * this.#plan.length))].sort((a, b) => a - b)
  }

  /** Each receiver gets its own of these subscribers; those that have none of them are not asked. */
  async tell(kind: 'pause' | 'resume' | 'cut', numbers: readonly number[]): Promise<void> {
    await Promise.all(
      this.#shares(numbers).map(([receiver, subscribers]) => receiver.ask({ kind, subscribers })),
    )
  }

  reconnect(numbers: readonly number[]): Promise<readonly Reconnections[]> {
    return Promise.all(
      this.#shares(numbers).map(([receiver, subscribers]) =>
        receiver.ask({ kind: 'reconnect', subscribers }),
      ),
    )
  }

  /** The rates are split as the subscribers are. */
  async churn(numbers: readonly number[], connections: number, subscriptions: number): Promise<void> {
    const shares = this.#shares(numbers)
    this.#churning = shares.map(([receiver]) => receiver)
    await Promise.all(
      shares.map(([receiver, subscribers]) => {
        const share = subscribers.length / numbers.length
        return receiver.ask({
          kind: 'churn',
          subscribers,
          connectionsPerSecond: connections * share,
          subscriptionsPerSecond: subscriptions * share,
        })
      }),
    )
  }

  stopChurn(): Promise<readonly Churned[]> {
    const churning = this.#churning
    this.#churning = []
    return Promise.all(churning.map(receiver => receiver.ask({ kind: 'stopChurn' })))
  }

  askReceivers<R extends ReceiverRequest>(request: R) {
    return Promise.all(this.receivers.map(receiver => receiver.ask(request)))
  }

  async announce(window: Readonly<{ id: number; fromUs: number; toUs?: number }>): Promise<Extremes> {
    const request = { kind: 'window', ...window } as const
    await Promise.all([this.askReceivers(request), this.publisher?.ask(request)])
    return this.recipients.window(window.id, window.fromUs, window.toUs)
  }

  async progress(): Promise<FleetProgress> {
    const [received, published] = await Promise.all([
      this.askReceivers({ kind: 'progress' }),
      this.publisher?.ask({ kind: 'progress' }),
    ])
    const latency = createHistogram()
    const ended: Record<string, number> = {}
    for (const one of received) {
      latency.addBytes(one.latency)
      this.recipients.add(one.complete)
      for (const [code, count] of Object.entries(one.ended)) ended[code] = (ended[code] ?? 0) + count
    }
    const uses = received.map(({ use }, index) => [this.receivers[index]!.name, use] as const)
    const sum = (figure: (one: (typeof received)[number]) => number) =>
      received.reduce((total, one) => total + figure(one), 0)
    return {
      connections: sum(one => one.connections),
      ended,
      deliveries: sum(one => one.deliveries),
      deliveredTotal: sum(one => one.deliveredTotal),
      latency,
      published,
      uses: published === undefined ? uses : [...uses, [this.publisher!.name, published.use] as const],
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.threads.map(thread => thread.stop()))
  }

  #shares(numbers: readonly number[]): ReadonlyArray<readonly [Receiver, readonly number[]]> {
    const shares = this.receivers.map((): number[] => [])
    for (const number of numbers) shares[number % this.receivers.length]!.push(number)
    return shares.flatMap((share, index) =>
      share.length > 0 ? [[this.receivers[index]!, share] as const] : [],
    )
  }
}
