// The verdict, rule by rule: what makes a run faulty, what makes its latencies invalid, and what is worth a remark.

import { describe, expect, test } from 'vitest'
import { type Evidence, isClean, judge } from '../../../load/ledger/verdict.ts'
import type { ThreadUse } from '../../../load/model.ts'

const LATENCY = {
  count: 10_000,
  minUs: 100,
  p50Us: 400,
  p90Us: 900,
  p99Us: 4_000,
  p999Us: 9_000,
  maxUs: 12_000,
}

const RECEIVER: ThreadUse = {
  name: 'receiver 0',
  utilization: 0.3,
  utilizationMax: 0.4,
  delayP99Us: 1_200,
  delayMaxUs: 5_000,
  waitedForCore: 0.05,
}
const PUBLISHER: ThreadUse = { ...RECEIVER, name: 'publisher' }

/** A clean run. */
const GOOD: Evidence = {
  promises: 'complete',
  ledger: {
    sent: 1000,
    acknowledged: 1000,
    refused: 0,
    unknown: 0,
    expected: 10_000,
    delivered: 10_000,
    lost: 0,
    toldLost: 0,
    duplicated: 0,
    outOfOrder: 0,
    recovered: 0,
    overflowed: 0,
    unreadable: 0,
  },
  latency: { ...LATENCY, distribution: [] },
  negativeLatencies: 0,
  sent: 1000,
  complete: 1000,
  offered: {
    wantedPerSecond: 100,
    sentPerSecond: 100,
    latenessP99Us: 900,
    latenessMaxUs: 3_000,
    acknowledgement: { ...LATENCY, distribution: [] },
  },
  waitingMax: 0,
  threads: [RECEIVER, PUBLISHER, { ...RECEIVER, name: 'main' }],
  faults: [],
  remarks: [],
}

const ledger = (changes: Partial<Evidence['ledger']>): Evidence => ({
  ...GOOD,
  ledger: { ...GOOD.ledger, ...changes },
})
const offered = (changes: Partial<Evidence['offered']>, more: Partial<Evidence> = {}): Evidence => ({
  ...GOOD,
  ...more,
  offered: { ...GOOD.offered, ...changes },
})
const receiver = (changes: Partial<ThreadUse>, more: Partial<Evidence> = {}): Evidence => ({
  ...GOOD,
  ...more,
  threads: [PUBLISHER, { ...RECEIVER, ...changes }],
})
const latency = (changes: Partial<typeof LATENCY>): Pick<Evidence, 'latency'> => ({
  latency: { ...GOOD.latency, ...changes },
})

test('a clean run is said to be clean, in numbers', () => {
  expect(judge(GOOD)).toEqual({
    exitCode: 0,
    headline: 'Clean: 10,000 of 10,000 deliveries, none lost, none out of order.',
    faults: [],
    generatorLimits: [],
    latencyValid: true,
    remarks: [],
  })
})

describe('a fault, and exit code 1, is', () => {
  test.each<[string, Evidence, string]>([
    ['a loss', ledger({ lost: 12, delivered: 9_988 }), 'LOST 12 of 10,000 deliveries'],
    ['a told loss where none is promised', ledger({ toldLost: 3 }), 'NOT DELIVERED 3 of 10,000 deliveries'],
    ['disorder', ledger({ outOfOrder: 2 }), 'OUT OF ORDER 2 of 10,000 deliveries'],
    ['a repeat', ledger({ duplicated: 1 }), 'DELIVERED TWICE 1 of 10,000 deliveries'],
    ['bytes that can not be read', ledger({ unreadable: 1 }), 'UNREADABLE 1 publication'],
    [
      'that nothing was accepted',
      ledger({ acknowledged: 0, refused: 1000, expected: 0 }),
      'NOTHING ACCEPTED',
    ],
    ['what the scenario says', { ...GOOD, faults: ['memory grew'] }, 'memory grew'],
  ])('%s', (_, evidence, text) => {
    const verdict = judge(evidence)
    expect(verdict.exitCode).toBe(1)
    expect(verdict.faults).toHaveLength(1)
    expect(verdict.faults[0]).toContain(text)
    expect(verdict.headline).toContain(text)
    expect(verdict.latencyValid).toBe(true)
  })

  test('everything that is wrong, the worst first', () => {
    const { faults, headline } = judge(ledger({ lost: 1, outOfOrder: 2, duplicated: 3, unreadable: 4 }))
    expect(faults.map(fault => fault.split(' ')[0])).toEqual(['LOST', 'OUT', 'DELIVERED', 'UNREADABLE'])
    expect(headline).toMatch(/^LOST .*OUT OF ORDER .*DELIVERED TWICE [^;]*$/)
  })
})

describe('the generator was the limit, and exit code is 3, when', () => {
  test.each<[string, Evidence, string]>([
    ['a thread had no room', receiver({ utilization: 0.91 }), 'receiver 0 was busy for 91.0 % of the time'],
    ['a loop was as late as the latencies', receiver({ delayP99Us: 10_001 }), 'receiver 0 came 10.0 ms late'],
    [
      'half of a long latency is its own',
      receiver({ delayP99Us: 51_000 }, latency({ p99Us: 100_000 })),
      'receiver 0 came 51.0 ms late',
    ],
    ['it had no core', receiver({ waitedForCore: 0.21 }), 'receiver 0 waited for a core for 21.0 %'],
    ['publications left late', offered({ latenessP99Us: 10_001 }), 'publications left 10.0 ms late'],
    [
      'it sent less than the rate',
      offered({ sentPerSecond: 98.9 }),
      'it sent only 98.9 of 100 publications/s',
    ],
    [
      'the publisher had no room',
      { ...GOOD, threads: [{ ...PUBLISHER, utilization: 0.99 }] },
      'publisher was busy',
    ],
    ['clocks disagree', { ...GOOD, negativeLatencies: 11 }, '11 publications came before they were sent'],
  ])('%s', (_, evidence, text) => {
    const verdict = judge(evidence)
    expect(verdict.exitCode).toBe(3)
    expect(verdict.generatorLimits).toHaveLength(1)
    expect(verdict.generatorLimits[0]).toContain(text)
    expect(verdict.headline).toMatch(/^The generator was the limit: .*Latency figures are not valid\.$/)
    expect(verdict.latencyValid).toBe(false)
  })

  test('but a loss goes first, and both are said', () => {
    const verdict = judge({ ...receiver({ utilization: 0.99 }), ledger: { ...GOOD.ledger, lost: 1 } })
    expect(verdict.exitCode).toBe(1)
    expect(verdict.latencyValid).toBe(false)
    expect(verdict.headline).toMatch(/^LOST 1 of 10,000 deliveries\. .*not valid\.$/)
    expect(verdict.generatorLimits).toHaveLength(1)
  })
})

describe('no limit of the generator is', () => {
  test.each<[string, Evidence]>([
    ['a thread that just has room', receiver({ utilization: 0.9, waitedForCore: 0.2, delayP99Us: 10_000 })],
    ['a system that does not tell of waits for cores', { ...GOOD, threads: [withoutWait(RECEIVER)] }],
    [
      'a delay that is small beside the latency',
      receiver({ delayP99Us: 50_000 }, latency({ p99Us: 100_000 })),
    ],
    ['lateness that is small beside it', offered({ latenessP99Us: 50_000 }, latency({ p99Us: 100_000 }))],
    [
      'a publisher that waits for a core but is in time',
      { ...GOOD, threads: [{ ...PUBLISHER, waitedForCore: 0.5 }] },
    ],
    ['a busy main thread', { ...GOOD, threads: [{ ...RECEIVER, name: 'main', utilization: 1 }] }],
    ['a rate within the rounding of windows', offered({ sentPerSecond: 99.1 })],
    ['anything, where there is no latency', receiver({ utilization: 1 }, latency({ count: 0 }))],
  ])('%s', (_, evidence) => {
    expect(judge(evidence)).toMatchObject({ exitCode: 0, generatorLimits: [], latencyValid: true })
  })
})

describe('a remark is', () => {
  test.each<[string, Evidence, string]>([
    [
      'a server that takes less',
      offered({ sentPerSecond: 80 }, { waitingMax: 200 }),
      'Only 80.0 of 100 publications/s could be sent: up to 200 waited',
    ],
    ['a refusal', ledger({ refused: 1 }), 'refused 1 publication;'],
    ['a fate unknown', ledger({ unknown: 2 }), '2 publications had no answer'],
    [
      'a told loss where that is promised',
      { ...ledger({ toldLost: 2 }), promises: 'told' },
      '2 deliveries did not come, and the subscribers were told',
    ],
    ['a ledger that was full', ledger({ overflowed: 1 }), '1 subscription missed more pieces'],
    [
      'a delay of more than half of a short latency',
      receiver({ delayP99Us: 2_100 }),
      '99th percentile of 4.00 ms is partly the generator',
    ],
    [
      'a pause as long as half of the greatest latency',
      receiver({ delayMaxUs: 11_000 }),
      'it paused for up to 11.0 ms',
    ],
    ['a busy second', receiver({ utilizationMax: 0.99 }), 'busy for 99.0 % of its busiest second'],
    [
      'that the last recipients are not known',
      { ...GOOD, complete: 900 },
      'known of 900 of 1,000 publications',
    ],
    ['what the scenario says', { ...GOOD, remarks: ['by the way'] }, 'by the way'],
  ])('%s', (_, evidence, text) => {
    const { exitCode, remarks, faults } = judge(evidence)
    expect([exitCode, faults]).toEqual([0, []])
    expect(remarks).toHaveLength(1)
    expect(remarks[0]).toContain(text)
  })
})

describe('the headline says also', () => {
  test.each<[string, Evidence, RegExp]>([
    [
      'that nothing was published',
      ledger({ sent: 0, acknowledged: 0, expected: 0 }),
      /nothing was published/,
    ],
    [
      'what the server took',
      offered({ sentPerSecond: 80 }, { waitingMax: 9 }),
      /^Clean: .* took only 80.0 of 100/,
    ],
    [
      'what subscribers were told',
      { ...ledger({ toldLost: 10 }), promises: 'told' },
      /^Clean: 9,990 of 10,000 .* told/,
    ],
  ])('%s', (_, evidence, text) => {
    expect(judge(evidence).headline).toMatch(text)
  })
})

describe('for a search for the highest rate a run is clean', () => {
  const clean = (evidence: Evidence) => isClean({ ...evidence, verdict: judge(evidence) })

  test('when the server did all that was asked, and the figures are valid', () => {
    expect(clean(GOOD)).toBe(true)
    expect(clean({ ...GOOD, remarks: ['by the way'] })).toBe(true)
  })

  test.each<[string, Evidence]>([
    ['something was lost', ledger({ lost: 1 })],
    ['something was refused', ledger({ refused: 1 })],
    ['something had no answer', ledger({ unknown: 1 })],
    ['a loss was told', { ...ledger({ toldLost: 1 }), promises: 'told' }],
    ['the server did not take the rate', offered({ sentPerSecond: 80 }, { waitingMax: 9 })],
    ['the generator was the limit', receiver({ utilization: 0.99 })],
  ])('but not when %s', (_, evidence) => {
    expect(clean(evidence)).toBe(false)
  })
})

function withoutWait({ waitedForCore: _, ...use }: ThreadUse): ThreadUse {
  return use
}
