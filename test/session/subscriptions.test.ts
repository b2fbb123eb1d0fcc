// A subscription whose home is on another shard, when the way back is blocked.

import { expect, onTestFinished, test } from 'vitest'
import { OPEN_CHANNELS } from '../support/relay.ts'
import { blockWay, connectSession, createShardPair } from './shard-pair.ts'

const PATIENTLY = { timeout: 10_000, interval: 5 }
/** The smallest rings there may be. */
const CONFIG = {
  mesh: { ring_size: 65_536, backlog_max_size: 65_536 },
  client: { message_size_limit: 8192, allow_anonymous_connect_without_token: true },
  channel: { without_namespace: OPEN_CHANNELS },
}

test('who got no answer is no member, though the home had taken it for one', async () => {
  const pair = createShardPair(CONFIG)
  onTestFinished(() => pair.close())
  const [here, there] = pair.shards
  const { send, lines } = connectSession(here)
  const channel = pair.channelAtHomeOnSecond('c')

  const members = () => {
    const outcome = there.relay.home.presenceStats({ channel })
    return outcome.ok ? outcome.value.clients : -1
  }
  send({ id: 2, subscribe: { channel } })
  blockWay(there, 0)
  there.links.drain()
  expect(members()).toBe(1)
  await expect.poll(() => lines().find(({ id }) => id === 2)?.error?.code, PATIENTLY).toBe(100)
  await expect.poll(members, PATIENTLY).toBe(0)

  send({ id: 3, subscribe: { channel } })
  await expect.poll(() => lines().find(({ id }) => id === 3)?.subscribe, PATIENTLY).toBeDefined()
  expect(members()).toBe(1)
  expect(pair.errors).toEqual([])
})
