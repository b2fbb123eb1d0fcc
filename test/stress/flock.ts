// Many official clients that come back by themselves, each subscribed to a few channels. Test process.

import { Centrifuge } from 'centrifuge'
import { WebSocket } from 'ws'

const CHANNELS_PER_CLIENT = 3
const TURBULENT_DELAYS = { minReconnectDelay: 10, maxReconnectDelay: 200 }
const RESUBSCRIBE_DELAYS = { minResubscribeDelay: 10, maxResubscribeDelay: 200 }

/** The official client wants each frame in a turn of the loop of its own, as browsers do it. */
class OrderlySocket extends WebSocket {
  constructor(address: string, protocols?: string | string[]) {
    super(address, protocols, { allowSynchronousEvents: false, perMessageDeflate: false })
  }
}

export class Flock {
  /** How often a client lost its connection. The caller sets it back. */
  cuts = 0
  readonly clients: number
  readonly subscriptions: number
  readonly #all: Centrifuge[]

  constructor(url: string, clients: number, channels: readonly string[]) {
    this.clients = clients
    this.subscriptions = clients * CHANNELS_PER_CLIENT
    this.#all = Array.from({ length: clients }, (_, i) => {
      const client = new Centrifuge(url, { websocket: OrderlySocket, ...TURBULENT_DELAYS })
      let wasConnected = false
      client.on('connected', () => {
        wasConnected = true
      })
      client.on('connecting', () => {
        if (wasConnected) this.cuts++
        wasConnected = false
      })
      for (let k = 0; k < CHANNELS_PER_CLIENT; k++) {
        client.newSubscription(channels[(i + k * 5) % channels.length]!, RESUBSCRIBE_DELAYS).subscribe()
      }
      client.connect()
      return client
    })
  }

  /** Undefined: all are connected and subscribed. */
  unsettled(): string | undefined {
    for (const [i, client] of this.#all.entries()) {
      if (client.state !== 'connected') return `client ${i} is ${client.state}`
      for (const [channel, { state }] of Object.entries(client.subscriptions())) {
        if (state !== 'subscribed') return `client ${i} is ${state} to ${channel}`
      }
    }
    return undefined
  }

  leave(): void {
    for (const client of this.#all) client.disconnect()
  }
}
