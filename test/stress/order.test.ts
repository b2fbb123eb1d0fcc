// The short form of the run; the long one is `npm run stress -- --seconds 300`.

import { expect, test } from 'vitest'
import { runOrder } from './order.ts'

test('under drops, pauses and failing shards everybody sees each channel in order and whole, or is told', {
  timeout: 180_000,
}, async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const { violations, summary } = await runOrder({
    seed,
    seconds: 8,
    shards: 4,
    subscribers: 200,
    clientPublishers: 25,
    apiPublishers: 25,
    quarantineEveryMs: 2500,
    report: line => process.stdout.write(`${line}\n`),
  })
  expect(violations, `seed ${seed} ${JSON.stringify(summary)}`).toEqual([])
})
