// The receivers of a thread: opens the subscribers that it is given, does with them what it is asked, and closes their
// books. Runs on a worker thread. Invariant: each subscriber belongs to one thread, and all that comes is in its ledger.

import { assert, unreachable } from '../../src/base/assert.ts'
import { addClosed, createLedgerSum } from '../ledger/totals.ts'
import { createRandom, shuffled } from '../random.ts'
import { type Churn, startChurn } from './churn.ts'
import { nowUs } from './clock.ts'
import { bringBack, type Comeback, pauseFor } from './comeback.ts'
import type { Dialect } from './dialect.ts'
import { plainText } from './plain-text.ts'
import type {
  ChannelEnd,
  Churned,
  Connected,
  PlannedSubscriber,
  ReceiverData,
  ReceiverFinish,
  ReceiverProgress,
  ReceiverRequest,
  Reconnections,
} from './requests.ts'
import { measureUse } from './self.ts'
import { Subscriber, type SubscriberPort } from './subscriber.ts'
import { Tally } from './tally.ts'
import { createTurns } from './turns.ts'

/** What is asked by `kind`; each answer as generator/requests.ts says. */
export type Receiver = Readonly<{ answer: (request: ReceiverRequest) => unknown }>

/** Connections of a thread that are being made at the same time: servers keep a backlog of some hundreds. */
const OPENING_MAX = 256
/** Those that came back by themselves: more of them are not told of. Hours of a server that ends connections. */
const COMEBACKS_MAX = 2 ** 20
/** Distinct reasons that are told of connections that failed. */
const ERRORS_MAX = 20
/** "Insufficient state": the server has lost the subscription's place and asks to subscribe again. */
const CODE_RESUBSCRIBE = 2500
/** Before the first attempt after the server ended a connection: not all in the same moment. */
const JITTER_MS = 100
const US_PER_MS = 1e3

export async function createReceiver(data: ReceiverData): Promise<Receiver> {
  const { dialect } = (await import(data.endpoint.dialect)) as { dialect: Dialect }
  return new ReceiverThread(data, dialect)
}

class ReceiverThread implements Receiver {
  readonly #random: () => number
  readonly #tally = new Tally()
  readonly #turns = createTurns(OPENING_MAX)
  readonly #use = measureUse()
  readonly #port: SubscriberPort
  readonly #subscribers = new Map<number, Subscriber>()
  readonly #closed = new AbortController()
  #ended: Record<string, number> = {}
  #reconnectsWhenEnded = false
  /** Of those that came back by themselves. */
  #comebacks: (Comeback | undefined)[] = []
  readonly #comingBack = new Set<Promise<void>>()
  #churn: Churn | undefined

  constructor({ endpoint, seed }: ReceiverData, dialect: Dialect) {
    this.#random = createRandom(seed)
    this.#port = {
      endpoint,
      dialect,
      tally: this.#tally,
      onEnded: (subscriber, code) => this.#onEnded(subscriber, code),
      onUnsubscribed: (subscriber, { channel }, code) => this.#onUnsubscribed(subscriber, channel, code),
    }
  }

  answer(request: ReceiverRequest): unknown {
    switch (request.kind) {
      case 'connect':
        return this.#connect(request.subscribers)
      case 'window':
        return this.#tally.window(request.id, request.fromUs, request.toUs)
      case 'windows':
        return this.#tally.windows()
      case 'pause':
        for (const subscriber of this.#chosen(request.subscribers)) subscriber.pause()
        return
      case 'resume':
        for (const subscriber of this.#chosen(request.subscribers)) subscriber.resume()
        return
      case 'cut':
        return this.#chosen(request.subscribers).filter(subscriber => subscriber.cut()).length
      case 'reconnect':
        return this.#reconnect(request.subscribers)
      case 'churn':
        return this.#startChurn(request)
      case 'stopChurn':
        return this.#stopChurn()
      case 'reconnectWhenEnded':
        return this.#reconnectWhenEnded(request.on)
      case 'progress':
        return this.#progress()
      case 'finish':
        return this.#finish(request.channels)
      case 'close':
        return this.#close()
      default:
        return unreachable(request)
    }
  }

  async #connect(planned: readonly PlannedSubscriber[]): Promise<Connected> {
    const beganUs = nowUs()
    // What is published before a subscriber is there is not owed to it.
    const how = this.#tally.hasDeliveries ? 'anew' : 'first'
    const errors = new Map<string, number>()
    const connect = async (plan: PlannedSubscriber) => {
      const subscriber = new Subscriber(plan, this.#port)
      this.#subscribers.set(plan.subscriber, subscriber)
      subscriber.busy = true
      try {
        await this.#turns.take(() => subscriber.open(how))
      } catch (error) {
        const message = plainText((error as Error).message)
        errors.set(message, (errors.get(message) ?? 0) + 1)
      } finally {
        subscriber.busy = false
      }
    }
    await Promise.all(planned.map(connect))
    const failed = [...errors.values()].reduce((sum, count) => sum + count, 0)
    return {
      connected: planned.length - failed,
      failed,
      tookMs: (nowUs() - beganUs) / US_PER_MS,
      errors: [...errors].slice(0, ERRORS_MAX).map(([text, count]) => `${text} (${count}×)`),
    }
  }

  #chosen(numbers: readonly number[]): Subscriber[] {
    return numbers.map(number => {
      const subscriber = this.#subscribers.get(number)
      assert(subscriber !== undefined, `subscriber ${number} is not one of this thread`)
      return subscriber
    })
  }

  async #reconnect(numbers: readonly number[]): Promise<Reconnections> {
    const down = this.#chosen(numbers).filter(({ isDown, busy }) => isDown && !busy)
    return summaryOf(await Promise.all(down.map(subscriber => this.#bringBack(subscriber, 'recover'))))
  }

  #bringBack(subscriber: Subscriber, how: 'anew' | 'recover'): Promise<Comeback | undefined> {
    const { signal: ended } = this.#closed
    return bringBack(subscriber, how, { turns: this.#turns, random: this.#random, ended })
  }

  async #reconnectWhenEnded(on: boolean): Promise<Reconnections> {
    this.#reconnectsWhenEnded = on
    if (!on) await Promise.all(this.#comingBack)
    const comebacks = this.#comebacks
    this.#comebacks = []
    return summaryOf(comebacks)
  }

  #startChurn(request: Extract<ReceiverRequest, { kind: 'churn' }>): void {
    assert(this.#churn === undefined, 'there is churn already')
    const chosen = this.#chosen(request.subscribers)
    this.#churn = startChurn({
      ...request,
      subscribers: Array.from(shuffled(chosen.length, this.#random), place => chosen[place]!),
      random: this.#random,
      reconnect: async subscriber => {
        subscriber.leave()
        return (await this.#bringBack(subscriber, 'anew')) !== undefined
      },
      resubscribe: (subscriber, channel) => this.#resubscribe(subscriber, channel),
    })
  }

  /** Leaves a channel and comes again. */
  async #resubscribe(subscriber: Subscriber, channel: number): Promise<boolean> {
    subscriber.busy = true
    try {
      await subscriber.unsubscribe(channel)
      await subscriber.subscribe([channel], 'anew')
      return true
    } catch (error) {
      // It lost its connection meanwhile, and nobody else brings it back.
      if (!subscriber.isDown || !this.#reconnectsWhenEnded) throw error
      const isBack = await this.#bringBackByItself(subscriber)
      subscriber.subscriptions.get(channel)!.ledger.rejoin()
      return isBack
    } finally {
      subscriber.busy = false
    }
  }

  async #stopChurn(): Promise<Churned> {
    const churn = this.#churn
    assert(churn !== undefined, 'there is no churn')
    const churned = await churn.stop()
    this.#churn = undefined
    return churned
  }

  #onEnded(subscriber: Subscriber, code: number): void {
    this.#countEnd(code)
    if (!this.#reconnectsWhenEnded || !reconnects(code)) return subscriber.giveUp()
    if (subscriber.busy) return
    this.#comeBack(async () => {
      subscriber.busy = true
      await pauseFor(this.#random() * JITTER_MS, this.#closed.signal)
      await this.#bringBackByItself(subscriber)
    })
  }

  async #bringBackByItself(subscriber: Subscriber): Promise<boolean> {
    const comeback = await this.#bringBack(subscriber, 'recover')
    this.#noteComeback(comeback)
    return comeback !== undefined
  }

  #noteComeback(comeback: Comeback | undefined): void {
    if (this.#comebacks.length < COMEBACKS_MAX) this.#comebacks.push(comeback)
  }

  #onUnsubscribed(subscriber: Subscriber, channel: number, code: number): void {
    this.#countEnd(code)
    if (!this.#reconnectsWhenEnded || code !== CODE_RESUBSCRIBE) return subscriber.giveUp([channel])
    const sinceUs = nowUs()
    this.#comeBack(async () => {
      const recovery = await subscriber.subscribe([channel], 'recover').catch(() => undefined)
      // Who lost the connection, too, comes back with all subscriptions.
      if (recovery === undefined && !subscriber.isDown) subscriber.giveUp([channel])
      this.#noteComeback(recovery && { recovery, tookMs: (nowUs() - sinceUs) / US_PER_MS })
    })
  }

  #comeBack(task: () => Promise<void>): void {
    const done = task()
    this.#comingBack.add(done)
    void done.then(() => this.#comingBack.delete(done))
  }

  #countEnd(code: number): void {
    this.#ended[code] = (this.#ended[code] ?? 0) + 1
  }

  #progress(): ReceiverProgress {
    const ended = this.#ended
    this.#ended = {}
    let connections = 0
    for (const subscriber of this.#subscribers.values()) if (subscriber.isLive) connections++
    const progress = this.#tally.progress()
    return { ...progress, connections, ended, deliveredTotal: this.#tally.deliveredTotal, use: this.#use() }
  }

  #finish(channels: readonly ChannelEnd[]): ReceiverFinish {
    const ends = new Map(channels.map(end => [end.channel, end]))
    const sum = createLedgerSum()
    for (const { subscriptions } of this.#subscribers.values()) {
      for (const { channel, ledger } of subscriptions.values()) {
        addClosed(sum, ledger.close(ends.get(channel) ?? { last: 0, exceptions: [] }))
      }
    }
    sum.unreadable += this.#tally.unreadable
    return { ...sum, windows: this.#tally.windows() }
  }

  async #close(): Promise<void> {
    this.#closed.abort()
    this.#reconnectsWhenEnded = false
    await this.#churn?.stop()
    for (const subscriber of this.#subscribers.values()) subscriber.leave()
  }
}

/** The rule of the SDKs: 3500–3999 and 4500–4999 are final, and so is a message that was too large. */
function reconnects(code: number): boolean {
  if (code === 1009) return false
  return code < 3500 || (code >= 4000 && code < 4500)
}

function summaryOf(comebacks: readonly (Comeback | undefined)[]): Reconnections {
  const back = comebacks.filter(comeback => comeback !== undefined)
  return {
    recovered: back.reduce((sum, { recovery }) => sum + recovery.recovered, 0),
    notRecovered: back.reduce((sum, { recovery }) => sum + recovery.notRecovered, 0),
    failed: comebacks.length - back.length,
    backMs: Float64Array.from(back, ({ tookMs }) => tookMs),
  }
}
