// One subscriber: its connection, its subscriptions and what becomes of them. Runs on a receiver thread.
// Invariant: the ledgers of its subscriptions know of every pause in which something may have been missed, and of
// whether the server said so, before the next publication is taken.

import { SubscriptionLedger } from '../ledger/subscription.ts'
import { openClient } from './client.ts'
import { nowUs } from './clock.ts'
import type { Answer, Dialect } from './dialect.ts'
import { Reader } from './reader.ts'
import type { Endpoint, PlannedSubscriber } from './requests.ts'
import { CONNECT_TIMEOUT_MS, ConnectError, type Ending, type LoadSocket } from './socket.ts'
import type { Subscription, Tally } from './tally.ts'

/**
 * How it subscribes: `first`, before anything is published, so that it is owed everything; `anew`, so that it is owed
 * what comes from now on; `recover`, from where it was.
 */
export type How = 'first' | 'anew' | 'recover'

export type Recovery = { recovered: number; notRecovered: number }

/** What all subscribers of a thread share. */
export type SubscriberPort = Readonly<{
  endpoint: Endpoint
  dialect: Dialect
  tally: Tally
  /** The server or the network ended a live connection. */
  onEnded: (subscriber: Subscriber, code: number) => void
  /** The server ended a subscription, and the connection stays. */
  onUnsubscribed: (subscriber: Subscriber, subscription: Subscription, code: number) => void
}>

type State =
  | Readonly<{ kind: 'down'; sinceUs: number }>
  | Readonly<{ kind: 'opening'; sinceUs: number }>
  | Readonly<{ kind: 'live'; socket: LoadSocket }>

/** A command whose answer is awaited. */
type Awaited = Readonly<{
  /** Undefined: it is an unsubscribe. */
  how: How | undefined
  subscription: Subscription
  answered: (answer: Extract<Answer, { state: 'ok' }>) => void
  failed: (error: Error) => void
}>

/** Commands that are joined in one message: relays take 2,048, in 64 KiB. */
const COMMANDS_JOINED_MAX = 100
/** Ids of commands; the one of connect is 1. */
const FIRST_ID = 2

export class Subscriber {
  readonly plan: PlannedSubscriber
  readonly subscriptions = new Map<number, Subscription>()
  /** Someone is bringing it back, or changing its subscriptions. */
  busy = false
  readonly #port: SubscriberPort
  #state: State = { kind: 'down', sinceUs: nowUs() }
  #reader: Reader | undefined
  readonly #awaited = new Map<number, Awaited>()
  #nextId = FIRST_ID
  /** What the server said before it ended a TCP connection. */
  #goodbye: number | undefined
  /** Raised with each connection, so that the end of an earlier one is not taken for the end of this one. */
  #connection = 0

  constructor(plan: PlannedSubscriber, port: SubscriberPort) {
    this.plan = plan
    this.#port = port
  }

  get isLive(): boolean {
    return this.#state.kind === 'live' && this.#awaited.size === 0
  }

  get isDown(): boolean {
    return this.#state.kind === 'down'
  }

  /** Since it is not connected. */
  get downSinceUs(): number {
    return this.#state.kind === 'live' ? nowUs() : this.#state.sinceUs
  }

  /** Connects and subscribes to all its channels. Rejects with ConnectError, and is down then as before. */
  async open(how: How): Promise<Recovery> {
    const { endpoint, dialect } = this.#port
    const { subscriber, transport, channels } = this.plan
    const sinceUs = this.downSinceUs
    const connection = ++this.#connection
    const reader = this.#createReader()
    this.#state = { kind: 'opening', sinceUs }
    this.#goodbye = undefined
    try {
      const source = endpoint.sources[subscriber % endpoint.sources.length]
      const socket = await openClient(endpoint, transport, dialect, source, {
        onBlock: (bytes, from, end, atUs) => reader.readBlock(bytes, from, end, atUs),
        onEnd: ending => this.#onEnd(connection, ending),
      })
      // It may have ended in the meantime, or been cut.
      if (connection !== this.#connection) {
        socket.cut()
        throw new ConnectError('cut while it connected')
      }
      this.#state = { kind: 'live', socket }
      this.#reader = reader
      return await this.subscribe(channels, how)
    } catch (error) {
      if (connection === this.#connection) this.#drop(sinceUs)
      // What it was not yet subscribed to, it is not owed.
      if (how !== 'recover') for (const one of this.subscriptions.values()) this.#leave(one)
      throw error
    }
  }

  /** Rejects with ConnectError when one is refused. */
  async subscribe(channels: readonly number[], how: How): Promise<Recovery> {
    const recovery = { recovered: 0, notRecovered: 0 }
    // Where messages are no lines, an answer may not name its command: one at a time.
    const atOnce = this.#port.dialect.lines ? COMMANDS_JOINED_MAX : 1
    for (let from = 0; from < channels.length; from += atOnce) {
      const group = channels.slice(from, from + atOnce).map(channel => this.#subscriptionOf(channel))
      const answers = await this.#ask(group, how, (id, { name, epoch, offset }) =>
        this.#port.dialect.subscribe(
          id,
          name,
          how === 'recover' && epoch !== undefined ? { epoch, offset } : undefined,
        ),
      )
      for (const answer of answers) {
        if (answer.recovered === true) recovery.recovered++
        else recovery.notRecovered++
      }
    }
    return recovery
  }

  /** Of its own will: nothing that comes from now on is owed. */
  async unsubscribe(channel: number): Promise<void> {
    const { dialect } = this.#port
    const subscription = this.#subscriptionOf(channel)
    this.#leave(subscription)
    if (dialect.unsubscribe === undefined) throw new ConnectError('there is no unsubscribing here')
    await this.#ask([subscription], undefined, (id, { name }) => dialect.unsubscribe!(id, name))
  }

  pause(): void {
    if (this.#state.kind === 'live') this.#state.socket.pause()
  }

  resume(): void {
    if (this.#state.kind === 'live') this.#state.socket.resume()
  }

  /** Loses its connection, and means to come back. False: it had none. */
  cut(): boolean {
    if (this.#state.kind === 'down') return false
    const wasLive = this.#state.kind === 'live'
    this.#drop(nowUs())
    return wasLive
  }

  /** Goes of its own will. */
  leave(): void {
    for (const subscription of this.subscriptions.values()) this.#leave(subscription)
    if (this.#state.kind === 'live') this.#state.socket.end()
    this.#forgetConnection('the connection was cut')
    this.#state = { kind: 'down', sinceUs: nowUs() }
  }

  /** It will not come back to these channels, though it would have liked to: it knows that it misses what comes. */
  giveUp(channels: Iterable<number> = this.subscriptions.keys()): void {
    for (const channel of channels) {
      const subscription = this.#subscriptionOf(channel)
      subscription.ledger.tell()
      this.#discount(subscription)
    }
  }

  #createReader(): Reader {
    const { dialect, tally } = this.#port
    return new Reader(dialect, tally, {
      subscriptionOf: channel => this.subscriptions.get(channel),
      onMessage: message => this.#onMessage(message),
    })
  }

  #subscriptionOf(channel: number): Subscription {
    const known = this.subscriptions.get(channel)
    if (known !== undefined) return known
    const subscription: Subscription = {
      channel,
      name: `${this.#port.endpoint.channelPrefix}${channel}`,
      aside: this.plan.aside,
      ledger: new SubscriptionLedger(),
      epoch: undefined,
      offset: 0,
      counted: false,
    }
    this.subscriptions.set(channel, subscription)
    return subscription
  }

  /** Sends a command for each, and waits for all answers. */
  async #ask(
    subscriptions: readonly Subscription[],
    how: How | undefined,
    commandOf: (id: number, subscription: Subscription) => ReturnType<Dialect['subscribe']>,
  ): Promise<readonly Extract<Answer, { state: 'ok' }>[]> {
    if (this.#state.kind !== 'live') throw new ConnectError('not connected')
    const { socket } = this.#state
    const answers = subscriptions.map(
      subscription =>
        new Promise<Extract<Answer, { state: 'ok' }>>((answered, failed) => {
          this.#awaited.set(this.#nextId++, { how, subscription, answered, failed })
        }),
    )
    this.#reader!.attentive = true
    const firstId = this.#nextId - subscriptions.length
    const commands = subscriptions.map((subscription, index) => commandOf(firstId + index, subscription))
    if (commands.length === 1) socket.send(commands[0]!)
    else socket.send(commands.join('\n'))
    const deadline = setTimeout(() => {
      this.#failAwaited(new ConnectError('no answer to a subscription'))
    }, CONNECT_TIMEOUT_MS)
    try {
      return await Promise.all(answers)
    } finally {
      clearTimeout(deadline)
    }
  }

  /** Whether the message's publications are recovered ones. */
  #onMessage(message: Buffer): boolean {
    const { dialect, onUnsubscribed } = this.#port
    const pong = dialect.pong?.(message)
    if (pong !== undefined && this.#state.kind === 'live') this.#state.socket.sendPong(pong)
    for (const [id, awaited] of this.#awaited) {
      const answer =
        awaited.how === undefined
          ? answerToUnsubscribe(dialect, message, id)
          : dialect.subscribed(message, id)
      if (answer.state === 'none') continue
      this.#settle(id, awaited, answer)
      return answer.state === 'ok' && answer.recovered === true
    }
    const ended = dialect.ended?.(message)
    if (ended === undefined) return false
    const { channel, code } = ended
    if (channel === undefined) this.#goodbye = code
    const subscription = [...this.subscriptions.values()].find(({ name }) => name === channel)
    if (subscription === undefined) return false
    subscription.ledger.tell()
    onUnsubscribed(this, subscription, code)
    return false
  }

  #settle(id: number, awaited: Awaited, answer: Exclude<Answer, { state: 'none' }>): void {
    const { how, subscription } = awaited
    this.#awaited.delete(id)
    if (this.#awaited.size === 0) this.#reader!.attentive = false
    if (answer.state === 'error') return awaited.failed(new ConnectError(answer.reason))
    if (how !== undefined) this.#begin(subscription, how, answer)
    awaited.answered(answer)
  }

  /** Delivery begins behind this answer. */
  #begin(
    subscription: Subscription,
    how: How,
    { recovered, position }: Extract<Answer, { state: 'ok' }>,
  ): void {
    const { ledger } = subscription
    if (how === 'recover') {
      if (recovered === true) ledger.assure()
      else ledger.tell()
    } else if (how === 'anew' || (position?.offset ?? 0) > 0) ledger.rejoin()
    if (position !== undefined) {
      subscription.epoch = position.epoch
      subscription.offset = position.offset
    }
    if (subscription.aside || subscription.counted) return
    subscription.counted = true
    this.#port.tally.recipients.join(subscription.channel)
  }

  #leave(subscription: Subscription): void {
    subscription.ledger.leave()
    this.#discount(subscription)
  }

  #discount(subscription: Subscription): void {
    if (!subscription.counted) return
    subscription.counted = false
    this.#port.tally.recipients.leave(subscription.channel)
  }

  #onEnd(connection: number, ending: Ending): void {
    if (connection !== this.#connection || this.#state.kind !== 'live') return
    const code = this.#goodbye ?? ending.code
    this.#forgetConnection(`the connection ended with code ${code}`)
    this.#state = { kind: 'down', sinceUs: nowUs() }
    // The end of a connection tells its client that it may miss something.
    for (const { ledger } of this.subscriptions.values()) ledger.tell()
    this.#port.onEnded(this, code)
  }

  #drop(sinceUs: number): void {
    if (this.#state.kind === 'live') this.#state.socket.cut()
    this.#forgetConnection('the connection was cut')
    this.#state = { kind: 'down', sinceUs }
    for (const { ledger } of this.subscriptions.values()) ledger.tell()
  }

  #forgetConnection(reason: string): void {
    this.#connection++
    this.#reader = undefined
    this.#failAwaited(new ConnectError(reason))
  }

  #failAwaited(error: ConnectError): void {
    const awaited = [...this.#awaited.values()]
    this.#awaited.clear()
    for (const { failed } of awaited) failed(error)
  }
}

function answerToUnsubscribe(dialect: Dialect, message: Buffer, id: number): Answer {
  let answer: Answer = { state: 'none' }
  dialect.answers?.(message, (answered, error) => {
    if (answered !== id) return
    answer = error === undefined ? { state: 'ok' } : { state: 'error', reason: error }
  })
  return answer
}
