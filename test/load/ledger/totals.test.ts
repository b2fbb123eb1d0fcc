// Sums of closed ledgers.

import { expect, test } from 'vitest'
import { SubscriptionLedger } from '../../../load/ledger/subscription.ts'
import { addClosed, createLedgerSum, ledgerTotals } from '../../../load/ledger/totals.ts'

function sumOf(...subscriptions: readonly (readonly number[])[]) {
  const sum = createLedgerSum()
  for (const sequences of subscriptions) {
    const ledger = new SubscriptionLedger()
    for (const sequence of sequences) ledger.take(sequence)
    addClosed(sum, ledger.close({ last: 4, exceptions: [[4, 4]] }))
  }
  return sum
}

test('subscriptions and receivers add up; what was never sent counts as unreadable', () => {
  const receivers = [sumOf([1, 2, 3, 4], [1, 3, 3, 2]), sumOf([1, 3, 9])]
  receivers[0]!.unreadable++
  const published = { sentTotal: 4, acknowledgedTotal: 3, refusedTotal: 0, unknownTotal: 1 }
  expect(ledgerTotals(receivers, published)).toEqual({
    sent: 4,
    acknowledged: 3,
    refused: 0,
    unknown: 1,
    expected: 9,
    delivered: 9,
    lost: 1,
    toldLost: 0,
    duplicated: 1,
    outOfOrder: 1,
    recovered: 0,
    overflowed: 0,
    unreadable: 2,
  })
})
