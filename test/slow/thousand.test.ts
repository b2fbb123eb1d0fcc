// The short size of the script beside it, so that it can't rot.

import { expect, test } from 'vitest'
import { runThousand } from './thousand.ts'

test('clients that stop reading all at once cost bounded memory and all catch up', {
  timeout: 60_000,
}, async () => {
  const result = await runThousand(50, 1_500)
  expect(result.lagging).toBe(50)
  expect(result.incomplete).toBe(0)
  expect(result.disconnects).toBe(0)
  expect(result.replayed).toBeGreaterThan(0)
  expect(result.grownBytes).toBeLessThan(result.boundBytes)
})
