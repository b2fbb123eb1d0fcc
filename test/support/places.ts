// Where in a relay something is: which shard a channel is at home on, which shard a connection came to.

import type { TestRelay } from './relay.ts'

/** The value of a gauge with the label `shard`, for each shard. `labels`: those before it. */
async function perShard(relay: TestRelay, name: string, labels: string, shards: number): Promise<number[]> {
  const reads = Array.from({ length: shards }, (_, shard) =>
    relay.metric(`${name}{${labels}shard="${shard}"}`),
  )
  return (await Promise.all(reads)).map(value => value ?? 0)
}

async function risen(read: () => Promise<number[]>, act: () => Promise<unknown>): Promise<number> {
  const before = await read()
  await act()
  const after = await read()
  return after.findIndex((value, shard) => value > before[shard]!)
}

/** The home of a channel that has history and was not used before; nobody else may open channels meanwhile. */
export function homeOf(relay: TestRelay, channel: string, shards = 2): Promise<number> {
  return risen(
    () => perShard(relay, 'fanwire_channels', '', shards),
    // Without a place in the history it opens the channel and leaves no trace in it.
    () => relay.api('publish', { channel, data: 0, skip_history: true }),
  )
}

/** The shard of the one connection that `connect` opens. */
export function shardOf(
  relay: TestRelay,
  connect: () => Promise<unknown>,
  transport: 'websocket' | 'tcp' = 'websocket',
  shards = 2,
): Promise<number> {
  return risen(() => perShard(relay, 'fanwire_connections', `transport="${transport}",`, shards), connect)
}
