// A slow client catches up in place (channels with history): what it did not read it gets later, in order, on the
// same connection; where the history no longer reaches back it is told; and nobody else waits for it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RawClient } from '../support/raw-client.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { signToken } from '../support/sdk.ts'
import { expectServing, sumOf, TRANSPORTS, until } from '../support/serving.ts'
import { MESSAGES, numbersOf, publish, upTo } from './publishing.ts'

const SECRET = 'a secret of this test'
const HISTORY = { ...OPEN_CHANNELS, force_recovery: true, history_ttl: '5m' }
let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({
    client: { token: { hmac_secret_key: SECRET } },
    channel: {
      namespaces: [
        { name: 'long', ...HISTORY, history_size: 20_000 },
        { name: 'short', ...HISTORY, history_size: 10 },
      ],
    },
  })
})

afterAll(async () => {
  expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
  expect(await relay.stop()).toBe(0)
})

const lagging = () => sumOf(relay, 'fanwire_lagging_connections')
const catchUps = async (outcome: string) =>
  (await relay.metric(`fanwire_catch_ups_total{outcome="${outcome}"}`))!

describe.each(TRANSPORTS)('on %s', transport => {
  test('who reads on after a pause gets all it missed, in order, on the same connection', async () => {
    const channel = `long:all-${transport}`
    const [slow, fast, publisher] = await Promise.all(
      [transport, transport, 'tcp' as const].map(kind => RawClient.connect(relay, kind)),
    )
    await slow!.subscribe(2, channel)
    await fast!.subscribe(2, channel)
    const before = await catchUps('complete')

    slow!.pause()
    await publish(publisher!, channel, 0, MESSAGES)
    await fast!.next(({ push }) => push?.pub?.data.number === MESSAGES - 1)
    expect(numbersOf(fast!, channel)).toEqual(upTo(MESSAGES))
    expect(await lagging()).toBe(1)
    slow!.resume()
    await slow!.next(({ push }) => push?.pub?.data.number === MESSAGES - 1)

    expect(numbersOf(slow!, channel)).toEqual(upTo(MESSAGES))
    expect(slow!.publications(channel).map(({ offset }) => offset)).toEqual(upTo(MESSAGES).map(n => n + 1))
    await until(async () => (await lagging()) === 0)
    expect(await catchUps('complete')).toBeGreaterThan(before)
    // And it goes on as before.
    await publish(publisher!, channel, MESSAGES, 1)
    await slow!.next(({ push }) => push?.pub?.data.number === MESSAGES)
    expect(slow!.lines.some(({ push }) => push?.unsubscribe !== undefined)).toBe(false)
    for (const client of [slow!, fast!, publisher!]) client.close()
  })

  test('publications that come while it catches up follow in order', async () => {
    const channel = `long:meanwhile-${transport}`
    const slow = await RawClient.connect(relay, transport)
    const publisher = await RawClient.connect(relay, 'tcp')
    await slow.subscribe(2, channel)
    slow.pause()
    await publish(publisher, channel, 0, MESSAGES)
    slow.resume()
    await publish(publisher, channel, MESSAGES, 500)
    await slow.next(({ push }) => push?.pub?.data.number === MESSAGES + 499)
    expect(numbersOf(slow, channel)).toEqual(upTo(MESSAGES + 500))
    for (const client of [slow, publisher]) client.close()
  })

  test('several channels of one connection catch up, each in its own order', async () => {
    const channels = [0, 1, 2, 3].map(n => `long:many-${transport}-${n}`)
    const slow = await RawClient.connect(relay, transport)
    const publishers = await Promise.all(channels.map(() => RawClient.connect(relay, 'tcp')))
    for (const [i, channel] of channels.entries()) await slow.subscribe(2 + i, channel)
    slow.pause()
    await Promise.all(publishers.map((publisher, i) => publish(publisher, channels[i]!, 0, MESSAGES / 2)))
    expect(await lagging()).toBe(1)
    slow.resume()
    for (const channel of channels) {
      await slow.next(({ push }) => push?.channel === channel && push.pub.data.number === MESSAGES / 2 - 1)
      expect(numbersOf(slow, channel)).toEqual(upTo(MESSAGES / 2))
    }
    for (const client of [slow, ...publishers]) client.close()
  })

  test('where history no longer reaches back it is unsubscribed with 2500 and learns recovered: false', async () => {
    const channel = `short:lost-${transport}`
    const slow = await RawClient.connect(relay, transport)
    const publisher = await RawClient.connect(relay, 'tcp')
    const { subscribe } = await slow.subscribe(2, channel)
    const before = await catchUps('insufficient')

    slow.pause()
    await publish(publisher, channel, 0, MESSAGES)
    slow.resume()
    const { push } = await slow.next(line => line.push?.unsubscribe !== undefined)

    expect(push).toEqual({ channel, unsubscribe: { code: 2500, reason: 'insufficient state' } })
    expect(await catchUps('insufficient')).toBe(before + 1)
    const got = numbersOf(slow, channel)
    expect(got).toEqual(upTo(got.length))
    const again = await slow.subscribe(3, channel, {
      recover: true,
      epoch: subscribe.epoch,
      offset: got.length,
    })
    expect(again.subscribe).toMatchObject({ was_recovering: true, epoch: subscribe.epoch, offset: MESSAGES })
    expect(again.subscribe.recovered).toBeUndefined()
    await publish(publisher, channel, MESSAGES, 1)
    await slow.next(line => line.push?.pub?.data.number === MESSAGES)
    for (const client of [slow, publisher]) client.close()
  })

  test('where the server had subscribed it, it is disconnected with 3010 instead', async () => {
    const channel = `short:server-${transport}`
    const token = await signToken({ sub: `slow-${transport}`, channels: [channel] }, SECRET)
    const slow = await RawClient.connect(relay, transport, { token })
    const publisher = await RawClient.connect(relay, 'tcp')
    slow.pause()
    await publish(publisher, channel, 0, MESSAGES)
    slow.resume()
    expect(await slow.ended).toMatchObject({ code: 3010, reason: 'insufficient state' })
    publisher.close()
  })

  test('commands of a lagging client wait until it reads, and are answered in order', async () => {
    const channel = `long:commands-${transport}`
    const slow = await RawClient.connect(relay, transport)
    const publisher = await RawClient.connect(relay, 'tcp')
    await slow.subscribe(2, channel)
    slow.pause()
    await publish(publisher, channel, 0, MESSAGES)
    const commands = (await relay.metric('fanwire_commands_total{command="publish",outcome="ok"}'))!
    slow.send(...upTo(100).map(n => ({ id: 100 + n, publish: { channel: 'elsewhere', data: n } })))
    await expectServing(relay)
    // One more of these is of the serving clients.
    expect(await relay.metric('fanwire_commands_total{command="publish",outcome="ok"}')).toBe(commands + 1)
    slow.resume()
    await slow.next(({ id }) => id === 199)
    expect(slow.lines.filter(({ id }) => id >= 100).map(({ id }) => id)).toEqual(upTo(100).map(n => 100 + n))
    for (const client of [slow, publisher]) client.close()
  })

  test('a client that unsubscribes while it lags is not sent what it missed', async () => {
    const channel = `long:left-${transport}`
    const slow = await RawClient.connect(relay, transport)
    const publisher = await RawClient.connect(relay, 'tcp')
    await slow.subscribe(2, channel)
    slow.pause()
    await publish(publisher, channel, 0, MESSAGES)
    slow.send({ id: 3, unsubscribe: { channel } })
    slow.resume()
    await slow.next(({ id }) => id === 3)
    const got = numbersOf(slow, channel)
    expect(got).toEqual(upTo(got.length))
    expect(await slow.call({ id: 4, ping: {} })).toEqual({ id: 4, ping: {} })
    expect(numbersOf(slow, channel)).toHaveLength(got.length)
    for (const client of [slow, publisher]) client.close()
  })
})

test('all counts are back at zero when all have left', async () => {
  for (const gauge of ['fanwire_sessions', 'fanwire_subscriptions', 'fanwire_lagging_connections']) {
    await until(async () => (await sumOf(relay, gauge)) === 0)
  }
})
