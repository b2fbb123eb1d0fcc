import { expect, test } from 'vitest'
import { createHistogram } from '../../../load/ledger/histogram.ts'
import { Uses } from '../../../load/stage/use.ts'

function delays(...us: number[]): Uint8Array {
  const histogram = createHistogram()
  for (const one of us) histogram.record(one)
  return histogram.toBytes()
}

test('what a thread used is weighed by time; a part of a second is no busiest second', () => {
  const uses = new Uses()
  uses.add('a', { utilization: 0.2, elapsedUs: 3e6, waitedForCoreUs: 3e5, delay: delays(100, 200) })
  uses.add('a', { utilization: 0.6, elapsedUs: 1e6, waitedForCoreUs: 1e5, delay: delays(900) })
  uses.add('a', { utilization: 1, elapsedUs: 1e5, waitedForCoreUs: 1e4, delay: delays() })
  uses.add('b', { utilization: 0.5, elapsedUs: 1e6, delay: delays(7) })
  const [a, b] = uses.threads()
  expect(a!.utilization).toBeCloseTo(1.3 / 4.1)
  expect(a).toMatchObject({ name: 'a', utilizationMax: 0.6, delayMaxUs: 900 })
  expect(a!.waitedForCore).toBeCloseTo(0.1)
  expect(b).toEqual({ name: 'b', utilization: 0.5, utilizationMax: 0.5, delayP99Us: 7, delayMaxUs: 7 })
})
