// A shard is replaced under clients that never stop coming: who gets in is served, on whichever shard.

import { expect, onTestFinished, test } from 'vitest'
import { homeOf } from '../support/places.ts'
import { OPEN_CHANNELS, startTestRelay } from '../support/relay.ts'
import { TcpClient } from '../support/tcp-client.ts'

const ROUNDS = 4
const COMERS = 40

test('a shard that takes the place of a lost one reaches the others from its first connection on', {
  timeout: 60_000,
}, async () => {
  const relay = await startTestRelay({
    channel: { namespaces: [{ name: 'kept', ...OPEN_CHANNELS, history_size: 1, history_ttl: '1m' }] },
  })
  onTestFinished(async () => {
    expect(await relay.stop()).toBe(0)
  })
  // A channel at home on each of the two shards.
  const channels: string[] = []
  for (let n = 0; channels[0] === undefined || channels[1] === undefined; n++) {
    channels[await homeOf(relay, `kept:${n}`)] ??= `kept:${n}`
  }

  let served = 0
  const refused: unknown[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const lost = round % 2
    let isReplaced = false
    const replaced = relay.quarantine(lost).then(() => {
      isReplaced = true
    })
    // Once that is logged the old shard takes no connections any more: it is the other or the new one that does.
    const isLost = () => relay.log.filter(({ msg }) => msg === 'shard quarantined').length > round
    const come = async () => {
      while (!isReplaced) {
        const cameLater = isLost()
        const reply = await publishOnce(relay.ports.tcp, channels[1 - lost]!)
        if (!cameLater || reply === undefined) continue
        served++
        if (reply.error !== undefined) refused.push(reply.error)
      }
    }
    await Promise.all(Array.from({ length: COMERS }, come))
    await replaced
  }
  expect(served).toBeGreaterThan(0)
  expect(refused).toEqual([])
})

/** Undefined: it did not get in, or its shard was lost. */
async function publishOnce(port: number, channel: string): Promise<any> {
  const client = await TcpClient.open(port).catch(() => undefined)
  if (client === undefined) return undefined
  client.send({ id: 1, connect: {} })
  const reply = await client.call({ id: 2, publish: { channel, data: 1 } }).catch(() => undefined)
  client.close()
  return reply
}
