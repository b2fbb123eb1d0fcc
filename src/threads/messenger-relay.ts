// The relay as the messenger sees it: publications to homes, orders and notices to all shards. The messenger's thread.
// Invariant: what is for one shard goes out in the order in which it was given, and before it answers what came later; an
// order is done when each shard has carried it out or is lost.

import { Sampler } from '../base/guard.ts'
import type { Log } from '../base/log.ts'
import type { Asks } from '../channel/asks.ts'
import type { Relay } from '../messenger/ports.ts'
import { slots } from '../metrics/slots.ts'
import { disconnects, type ErrorCode } from '../protocol/codes.ts'
import { encodeTell } from '../protocol/envelope.ts'
import type { Order } from '../session/orders.ts'
import type { CountTable } from '../shared/count-table.ts'
import type { Mesh } from '../shared/mesh.ts'

/** What waits for a shard whose ring is full. A shard that is so far behind is stuck, and the relay unhealthy. */
const OWED_MAX = 10_000
/** Room for the head of a frame: numbers, and the name of a topic. */
const HEAD_BYTES_MAX = 256

type Owed = Readonly<{ bytes: number; send: () => void; drop: () => void }>

export type MessengerRelay = Relay &
  Readonly<{
    /** Now and then: tries again what found a ring full. */
    payOff: () => void
    /** The shard is lost, with all of its sessions. */
    loseShard: (shard: number) => void
    /** Orders and notices that are still to be sent. */
    owed: () => number
  }>

export function createMessengerRelay(options: {
  shards: number
  asks: Asks
  mesh: Mesh
  presence: CountTable
  homeOf: (channel: string) => number
  row: Float64Array
  log: Log
}): MessengerRelay {
  const { shards, asks, mesh, presence, homeOf, row, log } = options
  const owed: Owed[][] = Array.from({ length: shards }, () => [])
  const counts = new Int32Array(shards)
  const sampler = new Sampler()

  function payOff(shard: number): void {
    const waiting = owed[shard]!
    const link = mesh.link(shard)
    while (waiting.length > 0 && link?.accepts(waiting[0]!.bytes + HEAD_BYTES_MAX)) waiting.shift()!.send()
  }

  function send(shard: number, one: Owed): void {
    const waiting = owed[shard]!
    if (waiting.length >= OWED_MAX) {
      log.error({ shard }, 'a shard takes no orders of the messenger: one is lost')
      return one.drop()
    }
    waiting.push(one)
    payOff(shard)
  }

  function sendOrder(shard: number, order: Order, done: () => void): void {
    const text = JSON.stringify(order)
    send(shard, {
      bytes: Buffer.byteLength(text),
      drop: done,
      send: () =>
        asks.ask(shard, 'sessions', { order: text }, outcome => {
          if (!outcome.ok) onRefused(shard, order, outcome.error)
          done()
        }),
    })
  }

  function onRefused(shard: number, order: Order, error: ErrorCode): void {
    // A shard that was lost has no sessions any more.
    if (mesh.link(shard) === undefined) return
    const times = sampler.count(error.message)
    if (times > 0) log.warn({ shard, order: order.kind, error, times }, 'an order could not be carried out')
    if (order.kind !== 'subscribe') return
    // Not tried again, for the user may have left meanwhile: who comes anew is subscribed to what is right then.
    const { user } = order
    sendOrder(
      shard,
      { kind: 'disconnect', user, client: '', keep: [], ...disconnects.forceReconnect },
      () => {},
    )
  }

  return {
    publish(channel, data, done) {
      const ask = { channel, data, info: '', tags: '', skipHistory: false, idempotencyKey: '' }
      asks.ask(homeOf(channel), 'publish', ask, outcome => {
        if (outcome.ok) row[slots.publications.messenger]! += 1
        done(outcome.ok ? { ok: true } : outcome)
      })
    },
    order(order, done) {
      const linked = [...owed.keys()].filter(shard => mesh.link(shard) !== undefined)
      let open = linked.length
      if (open === 0) return done()
      for (const shard of linked)
        sendOrder(shard, order, () => {
          open--
          if (open === 0) done()
        })
    },
    notice(topic, text) {
      const head = encodeTell('notice', { topic })
      for (const shard of owed.keys()) {
        if (mesh.link(shard) === undefined) continue
        const drop = () => {}
        send(shard, {
          bytes: Buffer.byteLength(text),
          drop,
          send: () => void mesh.link(shard)?.send(head, text),
        })
      }
    },
    connections: user => presence.readCounts(user, counts),
    payOff() {
      for (const shard of owed.keys()) payOff(shard)
    },
    loseShard(shard) {
      for (const { drop } of owed[shard]!.splice(0)) drop()
    },
    owed: () => owed.reduce((sum, waiting) => sum + waiting.length, 0),
  }
}
