// Carries out what durable calls cause: publications, subscriptions, ended logins. The messenger's thread.
// Invariants: publications of a channel go out in the order in which they were stored, but for those that a home refused
// for the moment and that come behind; who joins or leaves has done so before what is stored later goes out. Clients see
// by `rev` what they did not get, so when too much waits the oldest may go.

import { reasonOf } from '../base/errors.ts'
import { Sampler } from '../base/guard.ts'
import type { Log } from '../base/log.ts'
import { slots } from '../metrics/slots.ts'
import { conversationChannel, userChannel } from './channels.ts'
import { Coalesced } from './coalesced.ts'
import type { Effect } from './effects.ts'
import { Lane } from './lane.ts'
import type { ConversationEvent } from './model.ts'
import type { Relay } from './ports.ts'

/** Characters of all publications that wait: a share of memory, for minutes without a home. */
const WAITING_CHARACTERS_MAX = 64 * 1_024 * 1_024
/** A stop waits so long for homes to take what is left. */
const CLOSE_MS = 2_000

export class Delivery {
  readonly #relay: Relay
  readonly #row: Float64Array
  readonly #log: Log
  /** Of channels with something that waits or is under way. */
  readonly #lanes = new Map<string, Lane>()
  readonly #coalesced: Coalesced
  readonly #sampler = new Sampler()
  #waiting = 0
  #waitingCharacters = 0
  #whenEmpty: (() => void) | undefined

  constructor(world: Readonly<{ relay: Relay; row: Float64Array; log: Log; nowMs: () => number }>) {
    this.#relay = world.relay
    this.#row = world.row
    this.#log = world.log
    this.#coalesced = new Coalesced(world.nowMs, effect => this.#carryOutOne(effect))
  }

  carryOut(effects: readonly Effect[]): void {
    for (const effect of effects) if (!this.#coalesced.takes(effect)) this.#carryOutOne(effect)
  }

  /** Publications that wait or are under way. */
  get undelivered(): number {
    return this.#waiting
  }

  /** Sends out what can be sent in a moment, and forgets the rest. */
  async close(): Promise<void> {
    this.#coalesced.close()
    if (this.#lanes.size > 0) {
      await new Promise<void>(resolve => {
        this.#whenEmpty = resolve
        setTimeout(resolve, CLOSE_MS).unref()
      })
    }
    for (const lane of this.#lanes.values()) lane.close()
    this.#lanes.clear()
  }

  #carryOutOne(effect: Effect): void {
    switch (effect.kind) {
      case 'publish':
        return this.#publish(conversationChannel(effect.conversation), effect.event)
      case 'tell':
        return this.#enqueue(userChannel(effect.user), JSON.stringify(effect.event))
      case 'join':
      case 'leave':
        return this.#order(effect)
      case 'end': {
        const { user, session, except, disconnect } = effect
        const whom = { user: String(user), client: '', session, except }
        return this.#relay.order({ kind: 'disconnect', ...whom, ...disconnect, keep: [] }, () => {})
      }
      case 'notice':
        return this.#relay.notice(effect.topic, effect.text)
    }
  }

  #publish(channel: string, event: ConversationEvent): void {
    if (event.type === 'message') this.#row[slots.messengerMessages]! += 1
    // The first to go: who waits for messages has no use for it.
    if (event.type === 'typing' && this.#lanes.has(channel)) return
    this.#enqueue(channel, JSON.stringify(event))
  }

  #enqueue(channel: string, data: string): void {
    this.#count(1, data.length)
    const lane = this.#laneOf(channel)
    lane.publish(data)
    if (this.#waitingCharacters > WAITING_CHARACTERS_MAX) lane.dropOldest()
  }

  #order(effect: Extract<Effect, { kind: 'join' | 'leave' }>): void {
    const channel = conversationChannel(effect.conversation)
    const whom = { user: String(effect.user), client: '', channel }
    const lane = this.#laneOf(channel)
    const isDone = lane.hold()
    if (effect.kind === 'leave') return this.#relay.order({ kind: 'unsubscribe', ...whom }, isDone)
    const plain = { info: undefined, data: undefined, expireAt: 0, override: undefined, since: undefined }
    this.#relay.order({ kind: 'subscribe', ...whom, ...plain }, isDone)
  }

  #laneOf(channel: string): Lane {
    let lane = this.#lanes.get(channel)
    if (lane === undefined) {
      lane = new Lane({
        publish: (data, done) => this.#relay.publish(channel, data, done),
        onGone: data => this.#count(-1, -data.length),
        onDropped: reason => this.#dropped(channel, reason),
        onEmpty: () => this.#forget(channel),
      })
      this.#lanes.set(channel, lane)
    }
    return lane
  }

  #count(publications: number, characters: number): void {
    this.#waiting += publications
    this.#waitingCharacters += characters
    this.#row[slots.messengerUndelivered] = this.#waiting
  }

  #dropped(channel: string, reason: unknown): void {
    const text = reasonOf(reason)
    const times = this.#sampler.count(text)
    if (times > 0) this.#log.warn({ channel, reason: text, times }, 'a publication was dropped')
  }

  #forget(channel: string): void {
    this.#lanes.delete(channel)
    if (this.#lanes.size === 0) this.#whenEmpty?.()
  }
}
