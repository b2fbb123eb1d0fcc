// What a thread says of itself: a pause of its loop is seen for as long as it was, and each answer begins anew.

import { expect, test } from 'vitest'
import { nowUs } from '../../../load/generator/clock.ts'
import { measureUse } from '../../../load/generator/self.ts'
import { histogramFrom } from '../../../load/ledger/histogram.ts'
import { until } from '../../support/serving.ts'

const PAUSE_MS = 300

test('who comes at a random moment of a pause would have waited for what is left of it', async () => {
  const use = measureUse()
  const beganUs = nowUs()
  // Blocks the thread: nothing of it runs meanwhile.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)
  await until(() => true)
  let looks = histogramFrom(use().delay)
  expect(nowUs() - beganUs).toBeGreaterThanOrEqual(PAUSE_MS * 1e3)
  await until(() => {
    const { delay, elapsedUs, utilization, waitedForCoreUs } = use()
    expect(elapsedUs).toBeGreaterThan(0)
    expect(utilization).toBeGreaterThanOrEqual(0)
    if (process.platform === 'linux') expect(waitedForCoreUs).toBeGreaterThanOrEqual(0)
    if (looks.maxUs() < PAUSE_MS * 500) looks = histogramFrom(delay)
    return looks.maxUs() >= PAUSE_MS * 500
  })
  // Ten milliseconds apart, so half of them waited for longer than half the pause.
  expect(looks.count()).toBeGreaterThanOrEqual(PAUSE_MS / 10 - 2)
  expect(looks.percentile(80)).toBeGreaterThan(PAUSE_MS * 500)
  expect(histogramFrom(use().delay).count()).toBeLessThan(looks.count())
})

test('the clock does not go back, and is that of the machine', () => {
  let beforeUs = nowUs()
  for (let i = 0; i < 1000; i++) {
    const us = nowUs()
    expect(us).toBeGreaterThanOrEqual(beforeUs)
    beforeUs = us
  }
  const hrtimeUs = Number(process.hrtime.bigint() / 1000n)
  expect(nowUs()).toBeGreaterThanOrEqual(hrtimeUs - 100)
  expect(beforeUs).toBeLessThanOrEqual(hrtimeUs + 100)
})
