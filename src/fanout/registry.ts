// The channels that have subscribers on this shard, and the shard's counts in the route table. Runs on the shard.
// Invariant: the count in the route table is raised before anybody asks the home for a position, and lowered after
// the last subscriber is gone: so no publication can pass between the two.

import { assert } from '../base/assert.ts'
import type { ResolvedOptions } from '../config/namespaces.ts'
import { slots } from '../metrics/slots.ts'
import { type CountTable, NONE, PIN_HOLDER } from '../shared/count-table.ts'
import { createLocalChannel, type LocalChannel } from './audience.ts'

export class Registry {
  readonly #shard: number
  readonly #routes: CountTable
  readonly #row: Float64Array
  readonly #homeOf: (channel: string) => number
  readonly #makeRoom: () => void
  readonly #channels = new Map<string, LocalChannel>()

  /** `makeRoom`: the route table is full; what is not needed may be given back. */
  constructor(
    shard: number,
    routes: CountTable,
    row: Float64Array,
    homeOf: (channel: string) => number,
    makeRoom: () => void = () => {},
  ) {
    this.#makeRoom = makeRoom
    this.#shard = shard
    this.#routes = routes
    this.#row = row
    this.#homeOf = homeOf
  }

  find(name: string): LocalChannel | undefined {
    return this.#channels.get(name)
  }

  /** Counts one more subscriber; undefined: the route table is full. */
  join(name: string, options: ResolvedOptions): LocalChannel | undefined {
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      const route = this.#acquire(name)
      if (route === NONE) {
        this.#row[slots.tableRefusals.route]! += 1
        return undefined
      }
      channel = createLocalChannel({ name, options, route, home: this.#homeOf(name) })
      this.#channels.set(name, channel)
    }
    channel.count++
    this.#routes.add(channel.route, this.#shard, 1)
    this.#row[slots.subscriptions]! += 1
    return channel
  }

  #acquire(name: string): number {
    const route = this.#routes.acquire(name, this.#shard, PIN_HOLDER)
    if (route !== NONE) return route
    this.#makeRoom()
    return this.#routes.acquire(name, this.#shard, PIN_HOLDER)
  }

  leave(channel: LocalChannel): void {
    assert(channel.count > 0, 'a channel that is left was joined')
    channel.count--
    this.#row[slots.subscriptions]! -= 1
    this.#routes.add(channel.route, this.#shard, -1)
    if (channel.count > 0) return
    this.#routes.release(channel.route, this.#shard, PIN_HOLDER)
    this.#channels.delete(channel.name)
  }

  /** Channels whose home is that shard. */
  *atHomeOn(shard: number): Iterable<LocalChannel> {
    for (const channel of this.#channels.values()) if (channel.home === shard) yield channel
  }
}
