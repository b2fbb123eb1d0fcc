// How many messages are made durable in a second, and how long their acknowledgement takes at a steady rate.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Account, Ports } from './sender.ts'
import { call, Sender, signUp } from './sender.ts'

/** Each sender lets so many messages be on their way at once, where the question is how many can be. */
const OUTSTANDING = 8
const TICK_MS = 5
const TEXT = 'Shall we meet at the station at six, or is that too early for you? '.repeat(2)

export type Senders = Readonly<{
  all: readonly Sender[]
  conversations: readonly number[]
  accounts: readonly Account[]
}>

/** Pairs of users, each pair with a conversation of its own. */
export async function openSenders(ports: Ports, count: number): Promise<Senders> {
  const accounts: Account[] = []
  for (let index = 0; index < count; index++) accounts.push(await signUp(ports, `sender${index}`))
  const conversations: number[] = []
  const all: Sender[] = []
  for (const [index, account] of accounts.entries()) {
    const peer = accounts[index ^ 1] ?? accounts[0]!
    const { conversation } = await call(ports, 'conversation.direct', { user: peer.user }, account.token)
    conversations.push(conversation.id)
    all.push(await Sender.open(ports, `sender${index}`, account))
  }
  return { all, conversations, accounts }
}

/** Messages acknowledged a second when every sender sends as fast as it is answered. */
export async function measureThroughput({ all, conversations }: Senders, seconds: number): Promise<number> {
  let acknowledged = 0
  let isOver = false
  for (const [index, sender] of all.entries()) {
    const sendOne = () => sender.send(conversations[index]!, TEXT, performance.now())
    sender.onAcknowledged = () => {
      acknowledged++
      if (!isOver) sendOne()
    }
    for (let each = 0; each < OUTSTANDING; each++) sendOne()
  }
  // Full speed first: what is measured begins when it is reached.
  await sleep(1_000)
  const before = acknowledged
  const fromMs = performance.now()
  await sleep(seconds * 1_000)
  const rate = ((acknowledged - before) * 1_000) / (performance.now() - fromMs)
  isOver = true
  await drained(all)
  return rate
}

export type Latencies = Readonly<{ sent: number; p50Ms: number; p99Ms: number; maxMs: number }>

/** From the moment at which a message was due, so that a stall of either side is in all latencies behind it. */
export async function measureLatency(senders: Senders, rate: number, seconds: number): Promise<Latencies> {
  const latencies: number[] = []
  for (const sender of senders.all) {
    sender.onAcknowledged = sentMs => void latencies.push(performance.now() - sentMs)
  }
  const sent = await sendSteadily(senders, rate, performance.now() + seconds * 1_000)
  await drained(senders.all)
  latencies.sort((a, b) => a - b)
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
  return { sent, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

/** Sends at a rate until a moment; returns how many. */
export async function sendSteadily(
  { all, conversations }: Senders,
  rate: number,
  untilMs: number,
): Promise<number> {
  const startMs = performance.now()
  let sent = 0
  for (;;) {
    const nowMs = performance.now()
    const due = Math.floor(((Math.min(nowMs, untilMs) - startMs) * rate) / 1_000)
    for (; sent < due; sent++) {
      const index = sent % all.length
      all[index]!.send(conversations[index]!, TEXT, startMs + ((sent + 1) * 1_000) / rate)
    }
    if (nowMs >= untilMs) return sent
    await sleep(TICK_MS)
  }
}

async function drained(all: readonly Sender[]): Promise<void> {
  while (all.some(({ outstanding }) => outstanding > 0)) await sleep(TICK_MS)
}
