// What a client that comes back to many conversations is replayed, and what it costs.

import { expect, test } from 'vitest'
import { admitted, logIn, PATIENTLY, setUp } from './account-world.ts'

const CONVERSATIONS = 40
/** In each: nearly what the home replays at once. */
const PUBLICATIONS = 60
const TEXT = 'x'.repeat(7_000)

test('no more is replayed at connect than an outbox bears, and what is left out is said', async () => {
  const { pair, there, messenger, open } = setUp()
  const channels: string[] = []
  for (let n = 1; channels.length < CONVERSATIONS; n++) {
    const channel = pair.channelAtHomeOnSecond(`im:c:${n}x`)
    if (!channels.includes(channel)) channels.push(channel)
  }
  const subs: Record<string, object> = {}
  for (const channel of channels) {
    const publish = (data: string) => {
      const ask = { channel, data, info: '', tags: '', skipHistory: false, idempotencyKey: '' }
      const outcome = there.relay.home.publish(ask)
      if (!outcome.ok) throw new Error(outcome.error.message)
      return outcome.value
    }
    const { epoch, offset } = publish('{}')
    for (let n = 0; n < PUBLICATIONS; n++) publish(JSON.stringify(TEXT))
    subs[channel] = { recover: true, epoch, offset }
  }
  const client = open()
  const { done } = await logIn(client, messenger, undefined, subs)
  done(admitted(...channels))
  await client.reply(2).toMatchObject({ connect: {} })
  const line = client.wire.lines.find(text => text.startsWith('{"id":2,'))!
  expect(line.length).toBeLessThan(1_048_576)
  const results: any[] = Object.values(JSON.parse(line).connect.subs)
  expect(results).toHaveLength(CONVERSATIONS)
  const recovered = results.filter(result => result.recovered)
  expect(recovered.length).toBeGreaterThan(0)
  for (const result of results) {
    expect(result.was_recovering).toBe(true)
    expect(result.publications?.length ?? 0).toBe(result.recovered ? PUBLICATIONS : 0)
  }
  await expect.poll(() => client.channels(), PATIENTLY).toEqual([...channels].sort())
})
