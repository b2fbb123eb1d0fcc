// The stress run "order": publishers, subscribers and an operator who has shards replaced, all at random from one
// seed; at the end everything calms down, all must stand at the top of their channels, and the relay is ended.
// Test process; the relay runs in a process of its own.

import { randomFrom } from '../shared/random.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { Ledger, type Position } from './ledger.ts'
import { apiPublisher, clientPublisher, floodPublisher, type Publisher } from './publisher.ts'
import { residentMegabytes } from './scrape.ts'
import { COMMON_CHANNELS, FLOOD_CHANNELS, relayConfig, rulesOf, type Stage } from './stage.ts'
import { Subscriber } from './subscriber.ts'

export type OrderPlan = Readonly<{
  seed: number
  seconds: number
  shards: number
  subscribers: number
  clientPublishers: number
  apiPublishers: number
  /** Mean time between two replacements of a shard; 0: none. */
  quarantineEveryMs: number
  report: (line: string) => void
}>

export type OrderResult = Readonly<{
  violations: readonly string[]
  violationCount: number
  /** How often a reader that had lagged caught up; 0: the run says nothing about catching up. */
  caughtUp: number
  summary: object
}>

/** Every tenth subscriber reads floods. */
const FLOODED_EVERY = 10
const CHANNELS_PER_SUBSCRIBER = 5
/** Random acts of all subscribers together come at this pace. */
const ACT_EVERY_MS = 10
/** Far longer than anything takes on the slowest machine: who is not there by then is stuck. */
const SETTLE_MS_MAX = 60_000

export async function runOrder(plan: OrderPlan): Promise<OrderResult> {
  plan.report(`order: seed ${plan.seed}, ${plan.seconds} s, ${plan.shards} shards`)
  const relay = await startTestRelay(relayConfig(plan.shards))
  try {
    return await conduct(plan, relay)
  } finally {
    if (relay.process.exitCode === null) relay.process.kill('SIGKILL')
  }
}

async function conduct(plan: OrderPlan, relay: TestRelay): Promise<OrderResult> {
  const counts: Record<string, number> = {}
  const ledger = new Ledger(rulesOf)
  const stage: Stage = {
    relay,
    ledger,
    random: randomFrom(plan.seed),
    count: what => {
      counts[what] = (counts[what] ?? 0) + 1
    },
  }
  const subscribers = createSubscribers(stage, plan.subscribers)
  const flooded = subscribers.filter((_, i) => i % FLOODED_EVERY === 0)
  const publishers = createPublishers(stage, plan, () => holdSome(stage, flooded))
  for (const actor of subscribers) actor.connect()
  for (const publisher of publishers) publisher.start()

  await chaos(stage, plan, subscribers)
  plan.report('order: calming down')
  await Promise.all(publishers.map(publisher => publisher.stop()))
  for (const subscriber of subscribers) subscriber.calm()
  await settle(stage, subscribers)
  const megabytes = await residentMegabytes(relay)
  const caughtUp = (await relay.metric('fanwire_catch_ups_total{outcome="complete"}')) ?? 0
  const caughtUpPublications = await relay.metric('fanwire_caught_up_publications_total')
  await end(stage, subscribers)
  ledger.finish()
  const summary = { ...counts, ...ledger.counts, caughtUp, caughtUpPublications, megabytes }
  return { violations: ledger.violations, violationCount: ledger.violationCount, caughtUp, summary }
}

function createSubscribers(stage: Stage, count: number): Subscriber[] {
  return Array.from({ length: count }, (_, i) => {
    const isFlooded = i % FLOODED_EVERY === 0
    const own = Array.from(
      { length: CHANNELS_PER_SUBSCRIBER },
      () => COMMON_CHANNELS[stage.random(COMMON_CHANNELS.length)]!,
    )
    return new Subscriber(stage, {
      name: `s${i}`,
      transport: i % 2 === 0 ? 'websocket' : 'tcp',
      watches: i % 3 === 0,
      channels: [...new Set(isFlooded ? [...FLOOD_CHANNELS, ...own] : own)],
    })
  })
}

function createPublishers(
  stage: Stage,
  { clientPublishers, apiPublishers }: OrderPlan,
  onFlood: () => () => void,
): Publisher[] {
  const clients = Array.from({ length: clientPublishers }, (_, i) =>
    clientPublisher(stage, i, i % 2 === 0 ? 'websocket' : 'tcp'),
  )
  const apis = Array.from({ length: apiPublishers }, (_, i) => apiPublisher(stage, clientPublishers + i))
  return [...clients, ...apis, floodPublisher(stage, clientPublishers + apiPublishers, onFlood)]
}

/** Half of those who read floods stop reading until the flood is over. */
function holdSome(stage: Stage, flooded: readonly Subscriber[]): () => void {
  const releases = flooded.filter(() => stage.random(2) === 0).map(subscriber => subscriber.hold())
  return () => {
    for (const release of releases) release()
  }
}

/** Random acts and replacements, until the time is over. */
async function chaos(stage: Stage, plan: OrderPlan, subscribers: readonly Subscriber[]): Promise<void> {
  const acting = setInterval(() => subscribers[stage.random(subscribers.length)]!.act(), ACT_EVERY_MS)
  const untilMs = performance.now() + plan.seconds * 1000
  while (performance.now() < untilMs) {
    const restMs = untilMs - performance.now()
    const waitMs = plan.quarantineEveryMs === 0 ? restMs : stage.random(2 * plan.quarantineEveryMs)
    await new Promise(resolve => setTimeout(resolve, Math.min(waitMs, restMs)))
    if (plan.quarantineEveryMs === 0 || performance.now() >= untilMs) break
    const shard = stage.random(plan.shards)
    // Every fourth time a second one fails while the first is replaced.
    const alsoOther = stage.random(4) === 0
    const replaced = [stage.relay.quarantine(shard)]
    if (alsoOther) replaced.push(stage.relay.quarantine((shard + 1) % plan.shards))
    await Promise.all(replaced)
    stage.count('quarantines')
  }
  clearInterval(acting)
}

/** All are connected, have what they want and stand where their channels stand. */
async function settle(stage: Stage, subscribers: readonly Subscriber[]): Promise<void> {
  const untilMs = performance.now() + SETTLE_MS_MAX
  for (;;) {
    // Read anew each time: a channel may begin again with the first subscriber that comes back to it.
    const tops = await readTops(stage)
    const unsettled = subscribers
      .map(subscriber => subscriber.unsettled(tops))
      .filter(why => why !== undefined)
    if (unsettled.length === 0) {
      for (const [channel, { epoch }] of tops) stage.ledger.hear(channel, epoch)
      return
    }
    if (performance.now() > untilMs) {
      for (const why of unsettled) stage.ledger.violate(`at the end: ${why}`)
      return
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

async function readTops(stage: Stage): Promise<Map<string, Position>> {
  const tops = new Map<string, Position>()
  for (const channel of [...COMMON_CHANNELS, ...FLOOD_CHANNELS]) {
    if (rulesOf(channel).historySize === 0) continue
    const { body } = await stage.relay.api('history', { channel, limit: 0 })
    if (body.error !== undefined) stage.ledger.violate(`history of ${channel}: ${JSON.stringify(body.error)}`)
    else tops.set(channel, { epoch: body.result.epoch, offset: body.result.offset ?? 0 })
  }
  return tops
}

/** SIGTERM: everybody is told, nothing is left. */
async function end(stage: Stage, subscribers: readonly Subscriber[]): Promise<void> {
  const code = await stage.relay.stop()
  if (code !== 0) stage.ledger.violate(`the relay ended with ${code}`)
  // The goodbyes are in the sockets; a turn or two of the loop brings them here.
  const untilMs = performance.now() + SETTLE_MS_MAX
  while (subscribers.some(({ closedWith }) => closedWith === undefined) && performance.now() < untilMs) {
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  for (const { traits, closedWith } of subscribers) {
    if (closedWith !== 3001) stage.ledger.violate(`${traits.name} was told ${closedWith} at the shutdown`)
  }
  const errors = stage.relay.log.filter(
    ({ level, msg }) => level >= 50 && !EXPECTED_ERRORS.some(text => msg.includes(text)),
  )
  for (const line of errors.slice(0, 10))
    stage.ledger.violate(`logged: ${JSON.stringify(line).slice(0, 600)}`)
}

/** What a shard and main log when an operator has a shard replaced. */
const EXPECTED_ERRORS = ['quarantined']
