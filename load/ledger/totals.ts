// Sums of closed ledgers: over the subscriptions of a receiver, and over the receivers of a run. Pure.
// Invariant: expected − lost − toldLost is what came of that which was owed; `delivered` has what came beyond it too.

import type { PublisherProgress } from '../generator/requests.ts'
import type { DeliveryCounts, LedgerTotals } from '../model.ts'
import type { ClosedLedger } from './subscription.ts'

export type LedgerSum = { -readonly [key in keyof DeliveryCounts]: number }

export function createLedgerSum(): LedgerSum {
  return {
    expected: 0,
    delivered: 0,
    lost: 0,
    toldLost: 0,
    duplicated: 0,
    outOfOrder: 0,
    recovered: 0,
    overflowed: 0,
    unreadable: 0,
  }
}

/** What was never sent can only be misread or of another run: unreadable. */
export function addClosed(sum: LedgerSum, { foreign, ...closed }: ClosedLedger): void {
  for (const [key, count] of Object.entries(closed)) sum[key as keyof typeof closed] += count
  sum.unreadable += foreign
}

type Published = Pick<PublisherProgress, 'sentTotal' | 'acknowledgedTotal' | 'refusedTotal' | 'unknownTotal'>

export function ledgerTotals(receivers: readonly Readonly<LedgerSum>[], published: Published): LedgerTotals {
  const sum = createLedgerSum()
  for (const receiver of receivers) {
    for (const key of Object.keys(sum) as (keyof LedgerSum)[]) sum[key] += receiver[key]
  }
  return {
    sent: published.sentTotal,
    acknowledged: published.acknowledgedTotal,
    refused: published.refusedTotal,
    unknown: published.unknownTotal,
    ...sum,
  }
}
