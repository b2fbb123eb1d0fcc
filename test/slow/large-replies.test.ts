// Many commands of one frame with large answers: a client that comes back and recovers all its channels at once, or
// reads all their histories, gets them one by one as it reads, wherever the channels are at home.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RawClient } from '../support/raw-client.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { expectServing, TRANSPORTS } from '../support/serving.ts'
import { upTo } from './publishing.ts'

/** Together 30 MB: more than the kernel's buffers and the hard limit of an outbox by far. */
const CHANNELS = upTo(100).map(i => `long:${i}`)
const PUBLICATIONS = 100
const DATA = 'x'.repeat(3_000)
let relay: TestRelay
const epochs = new Map<string, string>()

beforeAll(async () => {
  relay = await startTestRelay({
    channel: {
      namespaces: [
        { name: 'long', ...OPEN_CHANNELS, force_recovery: true, history_size: 300, history_ttl: '5m' },
      ],
    },
  })
  for (const channel of CHANNELS) {
    const commands = upTo(PUBLICATIONS).map(() => ({ publish: { channel, data: DATA } }))
    const { body } = await relay.api('batch', { commands })
    epochs.set(channel, body.replies.at(-1).publish.epoch)
  }
})

afterAll(async () => {
  expect(await relay.metric('fanwire_disconnects_total{code="3008"}')).toBe(0)
  expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
  expect(await relay.stop()).toBe(0)
})

describe.each(TRANSPORTS)('on %s', transport => {
  test.each([
    [
      'recoveries',
      (channel: string) => ({
        subscribe: { channel, recover: true, epoch: epochs.get(channel), offset: 0 },
      }),
      (reply: any) => reply.subscribe,
    ],
    ['histories', (channel: string) => ({ history: { channel, limit: -1 } }), (reply: any) => reply.history],
  ])(
    'a hundred %s in one frame all come, in order, when the client reads',
    async (_name, commandOf, resultOf) => {
      const client = await RawClient.connect(relay, transport)
      client.pause()
      client.send(...CHANNELS.map((channel, i) => ({ id: 2 + i, ...commandOf(channel) })))
      await expectServing(relay)
      client.resume()
      await client.next(({ id }) => id === 1 + CHANNELS.length)
      const replies = client.lines.filter(({ id }) => id >= 2)
      expect(replies.map(({ id }) => id)).toEqual(CHANNELS.map((_, i) => 2 + i))
      expect(replies.map(reply => resultOf(reply)?.publications.length)).toEqual(
        CHANNELS.map(() => PUBLICATIONS),
      )
      client.close()
    },
  )
})
