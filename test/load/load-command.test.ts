// Which of several runs is shown.

import { expect, test } from 'vitest'
import { middleOf } from '../../load/load-command.ts'
import type { RunResult } from '../../load/model.ts'
import { sampleResult } from './sample-results.ts'

function runAt(p99Us: number, latencyValid: boolean): RunResult {
  const run = sampleResult({ seconds: 12, verdict: { exitCode: latencyValid ? 0 : 3, latencyValid } })
  return { ...run, latency: { ...run.latency, all: { ...run.latency.all, p99Us } } }
}

function shownP99(...runs: readonly RunResult[]): number {
  return middleOf(runs).latency.all.p99Us
}

test('the run in the middle by its p99 is shown', () => {
  expect(shownP99(runAt(30, true), runAt(10, true), runAt(20, true))).toBe(20)
  expect(shownP99(runAt(20, true), runAt(10, true))).toBe(10)
})

test('runs whose latency counts go before those whose latency does not', () => {
  expect(shownP99(runAt(1, false), runAt(2, false), runAt(3, false), runAt(90, true))).toBe(90)
  expect(shownP99(runAt(3, false), runAt(1, false), runAt(2, false))).toBe(2)
  expect(shownP99(runAt(7, true), { ...runAt(5, true), interrupted: true })).toBe(7)
})
