// Several receiver threads as one: who is whose, what they say together, and first and last recipients of all.

import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { nowUs } from '../../../load/generator/clock.ts'
import { createHistogram } from '../../../load/ledger/histogram.ts'
import type { Subscriber } from '../../../load/scenario.ts'
import { fanout } from '../../../load/scenarios/fanout.ts'
import { Fleet } from '../../../load/stage/fleet.ts'
import { startTestRelay, type TestRelay } from '../../support/relay.ts'
import { until } from '../../support/serving.ts'
import { endpointOf } from '../generator/publishing.ts'

let relay: TestRelay
beforeAll(async () => {
  relay = await startTestRelay()
})
afterAll(() => relay.stop())

let fleets = 0

function startFleet(receivers: number): Fleet {
  const endpoint = { ...endpointOf(relay), channelPrefix: `fleet-${fleets++}-` }
  const load = { ...fanout.defaults, ...fanout.smoke, receivers, subscribers: 7, rate: 200 }
  const fleet = new Fleet(endpoint, load, () => 0.5)
  onTestFinished(() => fleet.stop())
  return fleet
}

const inChannel = (channel: number, options: { aside?: boolean } = {}): Subscriber => ({
  transport: 'ws',
  channels: [channel],
  ...options,
})

test('each publication has one first and one last recipient, whichever threads these are in', async () => {
  const fleet = startFleet(3)
  // Channel 0 is in all threads; 1 is in the first, and in the last with one who does not count.
  const channels = [0, 0, 0, 1, 0, 1, 1]
  const aside = 5
  await fleet.connect(channels.map((channel, index) => inChannel(channel, { aside: index === aside })))
  expect(fleet.channels).toEqual([0, 1])
  expect([0, 1, 2].map(channel => fleet.subscribersOf(channel))).toEqual([4, 3, 0])
  const { first, last } = await fleet.announce({ id: 1, fromUs: nowUs() })
  const publisher = fleet.publisher!
  await publisher.ask({ kind: 'open' })
  await publisher.ask({ kind: 'start', startUs: nowUs(), rate: 300, channels: fleet.channels })
  const latency = createHistogram()
  let sent = 0
  const progress = async () => {
    const now = await fleet.progress()
    latency.add(now.latency)
    sent = now.published!.sentTotal
    return now
  }
  await until(async () => (await progress()).published!.sentTotal >= 90)
  await publisher.ask({ kind: 'stop' })
  const { channels: ends } = await publisher.ask({ kind: 'ends' })
  const lastOf = new Map(ends.map(end => [end.channel, end.last]))
  const owed = ends.reduce((sum, end) => sum + end.last * fleet.subscribersOf(end.channel), 0)
  await until(async () => (await progress()).deliveredTotal >= owed)
  expect(ends.reduce((sum, end) => sum + end.last, 0)).toBe(sent)
  expect(latency.count()).toBe(owed - lastOf.get(channels[aside]!)!)
  expect(first.count()).toBe(lastOf.get(0)! + lastOf.get(1)!)
  expect(last.count()).toBe(first.count())
  expect(last.maxUs()).toBe(latency.maxUs())
  expect(first.percentile(0)).toBe(latency.percentile(0))
})

test('churn goes on in those threads that have subscribers who churn, and ends there', async () => {
  const fleet = startFleet(3)
  await fleet.connect([0, 1, 2, 0].map(channel => inChannel(channel)))
  expect(fleet.choose({ from: 3, to: 9 })).toEqual([3])
  await fleet.churn([3], 100, 0)
  await until(async () => (await fleet.progress()).connections < 4)
  const churned = await fleet.stopChurn()
  expect(churned).toHaveLength(1)
  expect(churned[0]!.reconnects).toBeGreaterThan(0)
  expect((await fleet.progress()).connections).toBe(4)
  expect(await fleet.stopChurn()).toEqual([])
})

test('the rate of churn is that of all threads together', async () => {
  const fleet = startFleet(3)
  await fleet.connect(Array.from({ length: 9 }, () => inChannel(0)))
  const fromUs = nowUs()
  await fleet.churn(fleet.choose({ share: 1 }), 60, 0)
  await until(() => nowUs() - fromUs > 500_000)
  const churned = await fleet.stopChurn()
  const seconds = (nowUs() - fromUs) / 1e6
  expect(churned).toHaveLength(3)
  const reconnects = churned.reduce((sum, one) => sum + one.reconnects + one.failed, 0)
  // Each of the threads may have begun one more.
  expect(reconnects).toBeLessThanOrEqual(60 * seconds + 3)
})
