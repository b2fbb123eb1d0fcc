// The stress run "lifecycle": shards are replaced again and again under official clients that come back by themselves.
// Looked at: who was cut off and who was not, epochs of the homes, gauges and memory afterwards, and that no
// connection hangs. Test process; the relay runs in a process of its own.

import { randomFrom } from '../shared/random.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { Flock } from './flock.ts'
import { openLineClient, type Transport } from './line-client.ts'
import { eventually, residentMegabytes, type Samples, scrape, total } from './scrape.ts'

export type LifecyclePlan = Readonly<{
  seed: number
  rounds: number
  shards: number
  clients: number
  /** Connections that are opened at once when a shard has just failed. */
  connects: number
  report: (line: string) => void
}>

export type LifecycleResult = Readonly<{ violations: readonly string[]; summary: Record<string, unknown> }>

const CHANNELS = Array.from({ length: 12 }, (_, i) => `kept:${i}`)
/** Every third round two shards fail at once. */
const TWO_EVERY = 3
/** All that stands for a client or a channel; 0 after everybody has left. */
const GAUGES = [
  'fanwire_connections',
  'fanwire_sessions',
  'fanwire_subscriptions',
  'fanwire_channels',
  'fanwire_lagging_connections',
  'fanwire_history_publications',
  'fanwire_history_bytes',
  'fanwire_table_used',
]

export async function runLifecycle(plan: LifecyclePlan): Promise<LifecycleResult> {
  plan.report(`lifecycle: seed ${plan.seed}, ${plan.rounds} rounds, ${plan.shards} shards`)
  const relay = await startTestRelay(configOf(plan.shards))
  const violations: string[] = []
  try {
    const summary = await conduct(plan, relay, violations)
    return { violations, summary }
  } finally {
    if (relay.process.exitCode === null) relay.process.kill('SIGKILL')
  }
}

/** Channels are forgotten soon after the last client has left, so that the tables are empty in the end. */
export function configOf(shards: number): Record<string, unknown> {
  const kept = { name: 'kept', history_size: 10, history_ttl: '3s', force_recovery: true }
  return { shards, channel: { history_meta_ttl: '3s', namespaces: [{ ...OPEN_CHANNELS, ...kept }] } }
}

async function conduct(
  plan: LifecyclePlan,
  relay: TestRelay,
  violations: string[],
): Promise<Record<string, unknown>> {
  const random = randomFrom(plan.seed)
  const flock = new Flock(relay.websocketUrl, plan.clients, CHANNELS)
  const homes = new Map<string, number>()
  const megabytes: number[] = []
  let cutOff = 0
  for (let round = 0; round < plan.rounds; round++) {
    const first = random(plan.shards)
    const failing = round % TWO_EVERY === 2 ? [first, (first + 1) % plan.shards] : [first]
    cutOff += await failUnder(relay, flock, failing, homes, what =>
      violations.push(`round ${round}: ${what}`),
    )
    if (round % 10 === 9) megabytes.push(await residentMegabytes(relay))
    if (violations.length > 0) break
  }
  const answered = await connectDuring(relay, random(plan.shards), plan.connects, violations)
  flock.leave()
  const left = await eventually(async () => leftIn(await scrape(relay)))
  if (left !== undefined) violations.push(`after all have left: ${left}`)
  const samples = await scrape(relay)
  const caught = total(samples, 'fanwire_guard_errors_total')
  if (caught > 0) violations.push(`${caught} errors were caught at the edges`)
  const code = await relay.stop()
  if (code !== 0) violations.push(`the relay ended with ${code}`)
  return { cutOff, answered, megabytes, quarantines: samples.get('fanwire_quarantines_total') }
}

/** Lets shards fail under clients. Returns how many clients were cut off. */
async function failUnder(
  relay: TestRelay,
  flock: Flock,
  failing: readonly number[],
  homes: Map<string, number>,
  violate: (what: string) => void,
): Promise<number> {
  const unsettled = await eventually(async () => flock.unsettled() ?? (await countedWrong(relay, flock)))
  if (unsettled !== undefined) violate(`before: ${unsettled}`)
  const before = await scrape(relay)
  const epochsBefore = await epochsOf(relay)
  const expected = failing.reduce((sum, shard) => sum + before.get(`fanwire_sessions{shard="${shard}"}`)!, 0)
  flock.cuts = 0
  await Promise.all(failing.map(shard => relay.quarantine(shard)))
  const after = await eventually(async () => flock.unsettled() ?? (await countedWrong(relay, flock)))
  if (after !== undefined) violate(`after: ${after}`)
  if (flock.cuts !== expected)
    violate(`${flock.cuts} clients were cut off, ${expected} were on shards ${failing}`)
  const epochsAfter = await epochsOf(relay)
  for (const channel of CHANNELS) {
    const isNew = epochsBefore.get(channel) !== epochsAfter.get(channel)
    const home = homes.get(channel)
    if (isNew && home !== undefined && !failing.includes(home))
      violate(`${channel} has a new epoch, and its home ${home} did not fail`)
    if (!isNew && home !== undefined && failing.includes(home))
      violate(`${channel} has no new epoch, and its home ${home} failed`)
    if (isNew && failing.length === 1) homes.set(channel, failing[0]!)
  }
  return flock.cuts
}

/** The relay counts as many sessions and subscriptions as there are. */
async function countedWrong(relay: TestRelay, flock: Flock): Promise<string | undefined> {
  const samples = await scrape(relay)
  const sessions = total(samples, 'fanwire_sessions')
  const subscriptions = total(samples, 'fanwire_subscriptions')
  if (sessions === flock.clients && subscriptions === flock.subscriptions) return undefined
  return `${sessions} sessions and ${subscriptions} subscriptions are counted`
}

function leftIn(samples: Samples): string | undefined {
  const left = GAUGES.filter(gauge => total(samples, gauge) !== 0)
  if (left.length === 0) return undefined
  return left.map(gauge => `${gauge} is ${total(samples, gauge)}`).join(', ')
}

async function epochsOf(relay: TestRelay): Promise<Map<string, string>> {
  const epochs = new Map<string, string>()
  for (const channel of CHANNELS) {
    const { body } = await relay.api('history', { channel, limit: 0 })
    epochs.set(channel, body.result.epoch)
  }
  return epochs
}

/** Each connection gets its reply or its end. Returns how many got a reply. */
async function connectDuring(
  relay: TestRelay,
  shard: number,
  connects: number,
  violations: string[],
): Promise<number> {
  const replaced = relay.quarantine(shard)
  const outcomes = Array.from({ length: connects }, (_, i) =>
    connectOnce(relay, i % 2 === 0 ? 'websocket' : 'tcp'),
  )
  let settled = 0
  let answered = 0
  for (const outcome of outcomes) {
    void outcome.then(isAnswered => {
      settled++
      if (isAnswered) answered++
    })
  }
  const hanging = await eventually(async () =>
    settled === connects ? undefined : `${connects - settled} hang`,
  )
  if (hanging !== undefined) violations.push(`connections after a failure: ${hanging}`)
  await replaced
  return answered
}

function connectOnce(relay: TestRelay, transport: Transport): Promise<boolean> {
  return new Promise(resolve => {
    const client = openLineClient(transport, relay.ports, {
      onOpen: () => client.send([{ id: 1, connect: {} }]),
      onMessage: message => {
        if (message.id !== 1) return
        resolve(true)
        client.destroy()
      },
      onClose: () => resolve(false),
    })
  })
}
