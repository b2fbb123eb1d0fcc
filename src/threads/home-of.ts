// Which shard is the home of a channel. Any thread of a relay; all agree.

import { hashInto } from '../shared/hash.ts'

/** The home is the channel's keyed hash modulo the number of shards. */
export function createHomeOf(hashKey: Uint32Array, shards: number): (channel: string) => number {
  const hash = new Uint32Array(2)
  return channel => {
    if (shards === 1) return 0
    hashInto(hashKey, channel, hash)
    return hash[0]! % shards
  }
}
