// What the threads of the load used while it counted: the evidence of whether they were the limit. Main thread.

import type { Use } from '../generator/requests.ts'
import { createHistogram, type Histogram } from '../ledger/histogram.ts'
import type { ThreadUse } from '../model.ts'

/** A part of a second tells nothing about the busiest second. */
const SECOND_US_MIN = 500_000

type Sum = {
  busyUs: number
  elapsedUs: number
  utilizationMax: number
  waitedUs: number | undefined
  readonly delay: Histogram
}

export class Uses {
  readonly #sums = new Map<string, Sum>()

  add(thread: string, use: Use): void {
    const sum = this.#sums.get(thread) ?? {
      busyUs: 0,
      elapsedUs: 0,
      utilizationMax: 0,
      waitedUs: 0,
      delay: createHistogram(),
    }
    this.#sums.set(thread, sum)
    sum.busyUs += use.utilization * use.elapsedUs
    sum.elapsedUs += use.elapsedUs
    if (use.elapsedUs >= SECOND_US_MIN) sum.utilizationMax = Math.max(sum.utilizationMax, use.utilization)
    sum.waitedUs =
      sum.waitedUs === undefined || use.waitedForCoreUs === undefined
        ? undefined
        : sum.waitedUs + use.waitedForCoreUs
    sum.delay.addBytes(use.delay)
  }

  threads(): readonly ThreadUse[] {
    return [...this.#sums].map(([name, { busyUs, elapsedUs, utilizationMax, waitedUs, delay }]) => ({
      name,
      utilization: elapsedUs > 0 ? busyUs / elapsedUs : 0,
      utilizationMax: Math.max(utilizationMax, elapsedUs > 0 ? busyUs / elapsedUs : 0),
      delayP99Us: delay.percentile(99),
      delayMaxUs: delay.maxUs(),
      ...(waitedUs === undefined || elapsedUs === 0 ? {} : { waitedForCore: waitedUs / elapsedUs }),
    }))
  }
}
