// One subscriber of the stress run: subscribes, leaves, is dropped, pauses and comes back with its positions.
// Test process. Invariant: what a connection brings is judged by the views; after `drop` nothing of it counts.

import type { Position, View } from './ledger.ts'
import { type LineClient, openLineClient, type Transport } from './line-client.ts'
import { pick, type Stage } from './stage.ts'

export type Traits = Readonly<{
  name: string
  transport: Transport
  /** Asks for join and leave events, and so stands in the other audience of its channels. */
  watches: boolean
  channels: readonly string[]
}>

type Wish = { view: View; wanted: boolean; state: 'none' | 'asking' | 'live' | 'leaving' }

/** Errors of the relay that say "try again": a home that is being replaced, a full ring. */
const TEMPORARY_CODES = [100, 111]
/** Goodbyes that a good client may get: shutdown, a failed shard, slow. 0: none, the connection was just gone. */
const CODES_EXPECTED = [0, 3001, 3004, 3008]
const RETRY_MS_MAX = 200
const PAUSE_MS_MAX = 1500

export class Subscriber {
  readonly traits: Traits
  /** The code of the last goodbye; undefined while connected. */
  closedWith: number | undefined
  readonly #stage: Stage
  readonly #wishes = new Map<string, Wish>()
  readonly #awaited = new Map<number, (reply: any) => void>()
  #client: LineClient | undefined
  #live = false
  #paused = false
  #over = false
  #id = 0

  constructor(stage: Stage, traits: Traits) {
    this.#stage = stage
    this.traits = traits
    for (const channel of traits.channels) {
      const view = stage.ledger.view(traits.name, channel)
      this.#wishes.set(channel, { view, wanted: stage.random(4) > 0, state: 'none' })
    }
  }

  connect(): void {
    const client: LineClient = openLineClient(this.traits.transport, this.#stage.relay.ports, {
      onOpen: () => {
        if (this.#client === client) this.#call({ connect: {} }, reply => this.#onConnected(reply))
      },
      onMessage: message => {
        if (this.#client === client) this.#onMessage(message)
      },
      onClose: code => {
        if (this.#client === client) this.#onClosed(code)
      },
    })
    this.#client = client
    this.closedWith = undefined
  }

  /** One random thing. */
  act(): void {
    const chance = this.#stage.random(100)
    if (!this.#live) return
    if (chance < 10) this.drop()
    else if (chance < 20) setTimeout(this.hold(), this.#stage.random(PAUSE_MS_MAX))
    else this.#churn()
  }

  /** The network is gone: no goodbye, and what was under way is lost. */
  drop(): void {
    this.#stage.count('dropped by the subscriber')
    const client = this.#client
    this.#onClosed(0)
    client?.destroy()
  }

  /** Stops reading; the returned function goes on with it. */
  hold(): () => void {
    const client = this.#client
    if (client === undefined || this.#paused || !this.#live) return () => {}
    this.#paused = true
    this.#stage.count('paused')
    client.pause()
    return () => {
      if (this.#client !== client || !this.#paused) return
      this.#paused = false
      client.resume()
    }
  }

  #churn(): void {
    const [channel, wish] = pick(this.#stage, [...this.#wishes])
    wish.wanted = !wish.wanted
    if (wish.wanted && this.#stage.random(5) === 0) {
      // As a new client would: without a position.
      if (wish.state === 'none') wish.view.forget()
    }
    this.#pursue(channel, wish)
  }

  /** From now on it only follows what comes; everything wanted is brought about. */
  calm(): void {
    this.#over = true
    this.#paused = false
    this.#client?.resume()
    if (this.#client === undefined) this.connect()
  }

  /** Undefined: it has all that it wants, and stands at these offsets. Otherwise why not. */
  unsettled(tops: ReadonlyMap<string, Position>): string | undefined {
    const { name } = this.traits
    if (!this.#live) return `${name} is not connected`
    for (const [channel, { view, wanted, state }] of this.#wishes) {
      if (wanted !== (state === 'live') || (!wanted && state !== 'none'))
        return `${name} in ${channel}: ${state}`
      const top = tops.get(channel)
      if (!wanted || top === undefined) continue
      const { epoch, offset } = view.position!
      if (epoch !== top.epoch || offset !== top.offset)
        return `${name} in ${channel} stands at ${epoch}/${offset}, the channel at ${top.epoch}/${top.offset}`
    }
    return undefined
  }

  #call(command: object, onReply: (reply: any) => void): void {
    const id = ++this.#id
    this.#awaited.set(id, onReply)
    this.#client?.send([{ id, ...command }])
  }

  #onConnected(reply: any): void {
    if (reply.error !== undefined)
      return this.#stage.ledger.violate(`connect: ${JSON.stringify(reply.error)}`)
    this.#live = true
    this.#answersPings = reply.connect.pong === true
    for (const [channel, wish] of this.#wishes) this.#pursue(channel, wish)
  }

  #answersPings = false

  #onMessage(message: any): void {
    if (message.id > 0) {
      const onReply = this.#awaited.get(message.id)
      this.#awaited.delete(message.id)
      if (onReply === undefined) this.#stage.ledger.violate(`${this.traits.name}: a reply to nothing`)
      onReply?.(message)
    } else if (message.push === undefined) {
      if (this.#answersPings) this.#client?.send([{}])
    } else {
      this.#onPush(message.push)
    }
  }

  #onPush(push: any): void {
    if (push.disconnect !== undefined) return
    const wish = this.#wishes.get(push.channel)
    if (wish === undefined)
      return this.#stage.ledger.violate(`${this.traits.name}: a push of ${push.channel}`)
    if (push.pub !== undefined) wish.view.onPublication(push.pub)
    if (push.unsubscribe === undefined) return
    this.#stage.count(`unsubscribe ${push.unsubscribe.code}`)
    wish.view.onUnsubscribed(push.unsubscribe.code)
    // An unsubscribe of ours that is under way still gets its reply.
    if (wish.state === 'live') {
      wish.state = 'none'
      this.#pursue(push.channel, wish)
    }
  }

  /** Brings a channel one step nearer to what is wanted. */
  #pursue(channel: string, wish: Wish): void {
    if (!this.#live) return
    if (wish.wanted && wish.state === 'none') this.#subscribe(channel, wish)
    else if (!wish.wanted && wish.state === 'live') this.#unsubscribe(channel, wish)
  }

  #subscribe(channel: string, wish: Wish): void {
    const asked = wish.view.position
    wish.state = 'asking'
    const recovery = asked === undefined ? {} : { recover: true, ...asked }
    const request = { channel, ...recovery, ...(this.traits.watches ? { join_leave: true } : {}) }
    this.#call({ subscribe: request }, ({ subscribe, error }) => {
      if (error === undefined) {
        wish.state = 'live'
        wish.view.onSubscribed(subscribe, asked)
        this.#pursue(channel, wish)
        return
      }
      wish.state = 'none'
      this.#stage.count(`subscribe error ${error.code}`)
      if (!TEMPORARY_CODES.includes(error.code))
        this.#stage.ledger.violate(`${this.traits.name} in ${channel}: ${JSON.stringify(error)}`)
      setTimeout(() => this.#pursue(channel, wish), this.#stage.random(RETRY_MS_MAX))
    })
  }

  #unsubscribe(channel: string, wish: Wish): void {
    wish.state = 'leaving'
    this.#call({ unsubscribe: { channel } }, ({ error }) => {
      if (error !== undefined) this.#stage.ledger.violate(`unsubscribe: ${JSON.stringify(error)}`)
      wish.state = 'none'
      wish.view.onEnded()
      this.#pursue(channel, wish)
    })
  }

  #onClosed(code: number): void {
    this.#stage.count(`closed with ${code}`)
    if (!CODES_EXPECTED.includes(code))
      this.#stage.ledger.violate(`${this.traits.name} was disconnected with ${code}`)
    this.#client = undefined
    this.#live = false
    this.#paused = false
    this.closedWith = code
    this.#awaited.clear()
    for (const wish of this.#wishes.values()) {
      wish.state = 'none'
      wish.view.onEnded()
    }
    if (code === 3001 && this.#over) return
    setTimeout(() => {
      if (this.#client === undefined) this.connect()
    }, this.#stage.random(RETRY_MS_MAX))
  }
}
