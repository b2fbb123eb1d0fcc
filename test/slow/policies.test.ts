// What a slow client gets where there is no history, by the policy of the namespace; and the limits past which it is
// ended whatever the policy.

import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { RawClient, type Transport } from '../support/raw-client.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { expectServing, sumOf, TRANSPORTS, until } from '../support/serving.ts'
import { MESSAGES, numbersOf, publish, upTo } from './publishing.ts'

const KIB = 1024
const HISTORY = { ...OPEN_CHANNELS, force_recovery: true, history_ttl: '5m', history_size: 20_000 }
let relay: TestRelay

afterEach(async () => {
  await expectServing(relay)
  expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
})

const configOf = (client: object, tcp: object) => ({
  client,
  tcp,
  channel: {
    without_namespace: OPEN_CHANNELS,
    namespaces: [
      { name: 'kept', ...HISTORY },
      { name: 'none', ...OPEN_CHANNELS, slow_client: 'catch_up' },
      { name: 'oldest', ...OPEN_CHANNELS, slow_client: 'drop_oldest' },
      { name: 'latest', ...OPEN_CHANNELS, slow_client: 'latest_only' },
      { name: 'cut', ...OPEN_CHANNELS, slow_client: 'disconnect' },
    ],
  },
})

async function start(client: object, tcp = {}): Promise<void> {
  const started = await startTestRelay(configOf(client, tcp))
  relay = started
  onTestFinished(async () => {
    expect(await started.stop()).toBe(0)
  })
}

const drops = async (reason: string) => (await relay.metric(`fanwire_drops_total{reason="${reason}"}`))!
const endedAsSlow = async () => (await relay.metric('fanwire_disconnects_total{code="3008"}')) ?? 0
const lagging = () => sumOf(relay, 'fanwire_lagging_connections')

/** A subscriber that does not read, and somebody to publish. */
async function stopped(transport: Transport, channel: string) {
  const slow = await RawClient.connect(relay, transport)
  const publisher = await RawClient.connect(relay, 'tcp')
  publisher.answersPings = true
  await slow.subscribe(2, channel)
  slow.pause()
  return { slow, publisher }
}

/** A subscriber that does not read while others publish. */
async function slowOne(transport: Transport, channel: string) {
  const { slow, publisher } = await stopped(transport, channel)
  await publish(publisher, channel, 0, MESSAGES)
  return { slow, publisher }
}

/** The same, until it is ended for it. It reads on at once: some seconds after its end the library waits no longer. */
async function endedOne(transport: Transport, channel: string) {
  const { slow, publisher } = await stopped(transport, channel)
  const before = await endedAsSlow()
  const published = publish(publisher, channel, 0, MESSAGES)
  await until(async () => (await endedAsSlow()) === before + 1)
  slow.resume()
  const end = await slow.ended
  await published
  return { slow, end }
}

describe.each(TRANSPORTS)('without history on %s', transport => {
  beforeAll(async () => {
    relay = await startTestRelay(configOf({}, {}))
  })
  afterAll(async () => {
    expect(await relay.stop()).toBe(0)
  })

  test.each([
    ['drop_oldest', 'oldest:a', 'drop_oldest'],
    ['catch_up, which is then drop_oldest,', 'none:a', 'drop_oldest'],
    ['latest_only', 'latest:a', 'latest_only'],
  ] as const)(
    '%s drops some, counts each of them, and keeps order and the newest',
    async (_name, channel, reason) => {
      const before = await drops(reason)
      const { slow, publisher } = await slowOne(transport, channel)
      expect(await lagging()).toBe(1)
      slow.resume()
      await slow.next(({ push }) => push?.pub?.data.number === MESSAGES - 1)
      await until(async () => (await lagging()) === 0)
      await publish(publisher, channel, MESSAGES, 1)
      await slow.next(({ push }) => push?.pub?.data.number === MESSAGES)

      const got = numbersOf(slow, channel)
      expect(got).toEqual([...new Set(got)].sort((one, other) => one - other))
      expect((await drops(reason)) - before).toBe(MESSAGES + 1 - got.length)
      expect(got.length).toBeLessThan(MESSAGES)
      for (const client of [slow, publisher]) client.close()
    },
  )

  test('disconnect ends the connection with 3008', async () => {
    const before = await drops('slow_disconnected')
    const { slow, end } = await endedOne(transport, 'cut:a')
    expect(end).toMatchObject({ code: 3008, reason: 'slow' })
    expect(await drops('slow_disconnected')).toBeGreaterThan(before)
    const got = numbersOf(slow, 'cut:a')
    expect(got).toEqual(upTo(got.length))
  })
})

describe.each(TRANSPORTS)('limits on %s', transport => {
  test('past the hard limit the connection is ended with 3008', async () => {
    await start({ queue_soft_size: 64 * KIB - 1, queue_max_size: 64 * KIB })
    const { end } = await endedOne(transport, 'kept:a')
    expect(end).toMatchObject({ code: 3008, reason: 'slow' })
  })

  test('who lags longer than slow_timeout is ended with 3008', async () => {
    await start({ slow_timeout: '1s' })
    const { slow } = await slowOne(transport, 'kept:a')
    await until(async () => (await endedAsSlow()) === 1)
    expect(await lagging()).toBe(0)
    slow.resume()
    expect((await slow.ended).code).toBe(3008)
  })

  test('with the smallest soft limit a client still catches up', async () => {
    await start({ queue_soft_size: 4 * KIB })
    const { slow } = await slowOne(transport, 'kept:a')
    expect(await lagging()).toBe(1)
    slow.resume()
    await slow.next(({ push }) => push?.pub?.data.number === MESSAGES - 1)
    expect(numbersOf(slow, 'kept:a')).toEqual(upTo(MESSAGES))
  })
})

// Both at the same time: most of it is waiting.
test('a ping that waits behind what was not read is no reason to end the connection', async () => {
  // Time enough for a pong of a client that reads, on a machine that has other work too.
  await start({ ping_interval: '2s', pong_timeout: '1900ms' }, { require_pong: true })
  await Promise.all(TRANSPORTS.map(expectPatience))
})

async function expectPatience(transport: Transport): Promise<void> {
  const channel = `kept:${transport}`
  const { slow, publisher } = await slowOne(transport, channel)
  publisher.close()
  const lively = await RawClient.connect(relay, transport)
  lively.answersPings = true
  // Its third comes after the end of the time that the slow one has for its first.
  await until(() => lively.pings >= 3)
  slow.answersPings = true
  slow.resume()
  await slow.next(({ push }) => push?.pub?.data.number === MESSAGES - 1)
  expect(numbersOf(slow, channel)).toEqual(upTo(MESSAGES))
  const pingsBefore = slow.pings
  await until(() => slow.pings > pingsBefore)
  expect(await slow.call({ id: 3, ping: {} })).toEqual({ id: 3, ping: {} })
}
