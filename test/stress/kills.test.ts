// The short form of the run with kills.

import { expect, test } from 'vitest'
import { runKills } from './kills.ts'

test('nothing acknowledged is lost when the relay is killed 20 times', { timeout: 240_000 }, async () => {
  const seed = 4_711
  const { violations, summary } = await runKills({
    seed,
    kills: 20,
    shards: 1,
    senders: 4,
    lifeMsMax: 250,
    report: () => {},
  })
  expect(violations, `seed ${seed}`).toEqual([])
  expect(summary.acknowledged).toBeGreaterThan(0)
  expect(summary.repeated).toBeGreaterThan(0)
})
