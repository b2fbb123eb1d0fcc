// Official clients as an application makes them, and ways to wait for what they get.

import { Centrifuge, type Options, type Subscription } from 'centrifuge'
import { SignJWT } from 'jose'
import { onTestFinished } from 'vitest'
import { type ClientOptions, WebSocket } from 'ws'

type Emitter = {
  on(event: any, listener: (context: any) => void): unknown
  off(event: any, listener: (context: any) => void): unknown
}

/**
 * The socket for the official client on Node. The client puts replies in order by promises, and that holds only when
 * each frame has a turn of the loop to itself, as in browsers. Node's own WebSocket, and `ws` unless told otherwise,
 * hand over several frames of one packet in the same turn, and then the client mixes them up.
 */
export function socketFor(options: ClientOptions = {}): unknown {
  return class extends WebSocket {
    constructor(address: string, protocols?: string | string[]) {
      super(address, protocols, { ...options, allowSynchronousEvents: false })
    }
  }
}

/** A client of this test, not connected yet; it comes back at once after a cut, so that tests don't wait. */
export function newClient(url: string, options: Partial<Options> = {}): Centrifuge {
  const client = new Centrifuge(url, {
    websocket: socketFor(),
    minReconnectDelay: 10,
    maxReconnectDelay: 50,
    ...options,
  })
  onTestFinished(() => client.disconnect())
  return client
}

export async function connectedClient(url: string, options: Partial<Options> = {}): Promise<Centrifuge> {
  const client = newClient(url, options)
  client.connect()
  await client.ready()
  return client
}

/** Subscribes and waits until the relay has agreed. */
export async function subscribe(
  client: Centrifuge,
  channel: string,
  options: Parameters<Centrifuge['newSubscription']>[1] = {},
): Promise<Subscription> {
  const subscription = client.newSubscription(channel, {
    minResubscribeDelay: 10,
    maxResubscribeDelay: 50,
    ...options,
  })
  subscription.subscribe()
  await subscription.ready()
  return subscription
}

/** The next event of this name that the test accepts. Ask for it before the thing happens. */
export function nextEvent(
  emitter: Emitter,
  event: string,
  accepts: (context: any) => boolean = () => true,
): Promise<any> {
  return new Promise(resolve => {
    const listener = (context: any) => {
      if (!accepts(context)) return
      emitter.off(event, listener)
      resolve(context)
    }
    emitter.on(event, listener)
  })
}

export type Recording = Readonly<{
  all: readonly any[]
  /** Resolves with all that came, once there are so many. */
  until(count: number): Promise<readonly any[]>
}>

/** Keeps all events of this name from now on. */
export function record(emitter: Emitter, event: string): Recording {
  const all: any[] = []
  const waiting = new Set<() => void>()
  emitter.on(event, context => {
    all.push(context)
    for (const check of waiting) check()
  })
  return {
    all,
    until: count =>
      new Promise(resolve => {
        const check = () => {
          if (all.length < count) return
          waiting.delete(check)
          resolve(all)
        }
        waiting.add(check)
        check()
      }),
  }
}

/** A token signed with HS256. */
export function signToken(claims: Record<string, unknown>, secret: string): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(new TextEncoder().encode(secret))
}

/** Unix time, so many seconds from now. */
export function inSeconds(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds
}

/** Expires while the test looks on, and yet not before the token was used. */
export function soon(): number {
  return inSeconds(2)
}

/** For expect.poll, where no event tells: the usual second is short on a busy machine. */
export const PATIENTLY = { timeout: 20_000, interval: 20 }

/** The code with which a call was refused. */
export function codeOf(call: Promise<unknown>): Promise<number> {
  return call.then(
    () => {
      throw new Error('the call was not refused')
    },
    error => error.code,
  )
}
