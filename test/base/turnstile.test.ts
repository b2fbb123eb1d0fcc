// The turnstile against the plain rule: so many run, so many wait, first come, first served.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Turnstile } from '../../src/base/turnstile.ts'

test('at any moment so many run and so many wait, and places go to who waits longest', async () => {
  const steps = fc.array(fc.boolean(), { maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 3 }),
      steps,
      async (runningMax, waitingMax, all) => {
        const turnstile = new Turnstile({ runningMax, waitingMax })
        const entered: number[] = []
        let asked = 0
        let left = 0
        for (const comes of all) {
          if (comes) {
            expect(turnstile.isFull).toBe(asked - left === runningMax + waitingMax)
            if (turnstile.isFull) continue
            const place = asked++
            void turnstile.enter().then(() => entered.push(place))
          } else if (left < Math.min(asked, left + runningMax)) {
            left++
            turnstile.leave()
          }
          await Promise.resolve()
          const inside = asked - left
          expect(turnstile.running).toBe(Math.min(inside, runningMax))
          expect(turnstile.waiting).toBe(Math.max(0, inside - runningMax))
          expect(entered).toEqual(Array.from({ length: left + turnstile.running }, (_, place) => place))
        }
      },
    ),
  )
})
