// A client that comes back to many channels of its token at once: what all of them have to replay is one reply.

import { expect, onTestFinished, test } from 'vitest'
import { OPEN_CHANNELS, startTestRelay } from '../support/relay.ts'
import { signToken } from '../support/sdk.ts'
import { TcpClient } from '../support/tcp-client.ts'

const SECRET = 'a secret of this test'
const QUEUE_MAX_BYTES = 256 << 10
const CHANNELS = Array.from({ length: 16 }, (_, i) => `kept:${i}`)
const PUBLICATIONS = 4
const DATA = 'z'.repeat(10_000)

test('the reply replays as much as half of what may wait for a connection; the rest is told that it is not recovered', async () => {
  const relay = await startTestRelay({
    client: {
      token: { hmac_secret_key: SECRET },
      queue_max_size: QUEUE_MAX_BYTES,
      queue_soft_size: 16 << 10,
    },
    channel: {
      namespaces: [
        { name: 'kept', ...OPEN_CHANNELS, force_recovery: true, history_size: 10, history_ttl: '1h' },
      ],
    },
  })
  onTestFinished(async () => {
    expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
    expect(await relay.stop()).toBe(0)
  })
  for (let n = 0; n < PUBLICATIONS; n++) await relay.api('broadcast', { channels: CHANNELS, data: DATA })
  const subs: Record<string, object> = {}
  for (const channel of CHANNELS) {
    const { epoch } = (await relay.api('history', { channel })).body.result
    subs[channel] = { recover: true, epoch, offset: 0 }
  }
  const client = await TcpClient.open(relay.ports.tcp)
  onTestFinished(() => client.close())
  const token = await signToken({ sub: 'u', channels: CHANNELS }, SECRET)
  const reply = await client.call({ id: 1, connect: { token, subs } })
  expect(JSON.stringify(reply).length).toBeLessThan(QUEUE_MAX_BYTES)
  const results = CHANNELS.map(channel => reply.connect.subs[channel])
  for (const { recovered = false, publications = [], was_recovering = false, offset, epoch } of results) {
    expect(publications).toHaveLength(recovered ? PUBLICATIONS : 0)
    // Who is not recovered is told where the channel stands, to begin there.
    expect(offset).toBe(PUBLICATIONS)
    expect(epoch).toHaveLength(8)
    expect(was_recovering).toBe(true)
  }
  // Channel after channel until half of the limit is reached.
  const bytesEach = PUBLICATIONS * DATA.length
  const recoveredCount = Math.ceil(QUEUE_MAX_BYTES / 2 / bytesEach)
  expect(results.map(({ recovered = false }) => recovered)).toEqual(
    CHANNELS.map((_, i) => i < recoveredCount),
  )
  // It lives, and hears what comes.
  await relay.api('publish', { channel: CHANNELS.at(-1), data: 'more' })
  expect((await client.next(({ push }) => push?.pub !== undefined)).push.pub).toEqual({
    data: 'more',
    offset: PUBLICATIONS + 1,
  })
})
