// Subscribers that leave and come again, evenly spread over time: whole connections, or single subscriptions.
// Runs on a receiver thread. Invariant: the order is the seed's; what could not be done in time is done later, and no
// more than AT_ONCE_MAX at once, so that the counts tell the rate that there really was.

import { nowUs } from './clock.ts'
import type { Churned } from './requests.ts'
import type { Subscriber } from './subscriber.ts'

export type ChurnOptions = Readonly<{
  /** In the order in which they leave; over and over. */
  subscribers: readonly Subscriber[]
  connectionsPerSecond: number
  subscriptionsPerSecond: number
  random: () => number
  /** Leaves and comes back; false: it could not. */
  reconnect: (subscriber: Subscriber) => Promise<boolean>
  resubscribe: (subscriber: Subscriber, channel: number) => Promise<boolean>
}>

export type Churn = Readonly<{
  /** Resolves when all that left are back or given up. */
  stop: () => Promise<Churned>
}>

const TICK_MS = 10
const US_PER_S = 1e6
const AT_ONCE_MAX = 256
/** Subscribers that are looked at for one that may leave; when all are busy, the next tick looks on. */
const LOOKS_MAX = 16

export function startChurn(options: ChurnOptions): Churn {
  const { subscribers, random } = options
  const startUs = nowUs()
  const underWay = new Set<Promise<void>>()
  const counts = { reconnects: 0, resubscriptions: 0, failed: 0 }
  let connections = 0
  let subscriptions = 0
  let place = 0

  const next = () => {
    for (let looks = 0; looks < Math.min(LOOKS_MAX, subscribers.length); looks++) {
      const subscriber = subscribers[place++ % subscribers.length]!
      if (subscriber.isLive && !subscriber.busy) return subscriber
    }
    return undefined
  }
  const begin = (task: Promise<boolean>, kind: 'reconnects' | 'resubscriptions') => {
    const done = task.then(
      ok => {
        counts[ok ? kind : 'failed']++
      },
      () => {
        counts.failed++
      },
    )
    underWay.add(done)
    void done.then(() => underWay.delete(done))
  }
  const reconnectNext = () => {
    const subscriber = next()
    if (subscriber === undefined) return false
    begin(options.reconnect(subscriber), 'reconnects')
    return true
  }
  const resubscribeNext = () => {
    const subscriber = next()
    if (subscriber === undefined) return false
    const { channels } = subscriber.plan
    begin(
      options.resubscribe(subscriber, channels[Math.floor(random() * channels.length)]!),
      'resubscriptions',
    )
    return true
  }
  const timer = setInterval(() => {
    const seconds = (nowUs() - startUs) / US_PER_S
    while (connections < seconds * options.connectionsPerSecond && underWay.size < AT_ONCE_MAX) {
      if (!reconnectNext()) break
      connections++
    }
    while (subscriptions < seconds * options.subscriptionsPerSecond && underWay.size < AT_ONCE_MAX) {
      if (!resubscribeNext()) break
      subscriptions++
    }
  }, TICK_MS)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(underWay)
      return counts
    },
  }
}
