import { describe, expect, test } from 'vitest'
import type { RunResult } from '../../load/model.ts'
import { runLoad } from '../../load/run-load.ts'
import type { Scenario } from '../../load/scenario.ts'
import { scenarios } from '../../load/scenarios/list.ts'

/** Each in its smoke size, against a real relay. */
function runSmoke(scenario: Scenario): Promise<RunResult> {
  return runLoad(
    {
      scenario,
      load: { ...scenario.defaults, ...scenario.smoke },
      target: { kind: 'own', shards: 2 },
      prefix: undefined,
      command: 'test',
    },
    { watch: () => {} },
  )
}

// Together: they wait for most of their time.
describe.concurrent.each(scenarios.map(scenario => [scenario.name, scenario] as const))(
  '%s',
  (_, scenario) => {
    test('keeps its promise in its smoke size, and every figure is a number', {
      timeout: 90_000,
    }, async () => {
      const result = await runSmoke(scenario)
      const { ledger, verdict, series, phases, findings, load } = result
      expect(verdict.faults).toEqual([])
      // The machine may be too slow for valid latencies, but nothing gets lost by that.
      expect([0, 3]).toContain(verdict.exitCode)
      expect(ledger).toMatchObject({ lost: 0, outOfOrder: 0, duplicated: 0, unreadable: 0, overflowed: 0 })
      if (scenario.promises === 'complete') expect(ledger.delivered).toBe(ledger.expected)
      if (load.rate > 0) expect(ledger.expected).toBeGreaterThan(0)
      expect(ledger.sent).toBe(ledger.acknowledged + ledger.refused + ledger.unknown)

      expect(phases.filter(({ measured }) => measured).length).toBeGreaterThan(0)
      expect(series.length).toBeGreaterThan(1)
      expect(Math.max(...series.map(({ connections }) => connections))).toBe(load.subscribers)
      expect(series.map(({ atS }) => atS)).toEqual(series.map(({ atS }) => atS).sort((a, b) => a - b))
      expect(result.generator.threads.map(({ name }) => name)).toContain('receiver 0')
      expect(notFinite(result)).toEqual([])
      expect(new Set(findings.map(({ key }) => key)).size).toBe(findings.length)
    })
  },
)

/** Paths of numbers that JSON would write as null. */
function notFinite(value: unknown, path = 'result'): string[] {
  if (typeof value === 'number') return Number.isFinite(value) ? [] : [`${path}: ${value}`]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, part]) => notFinite(part, `${path}.${key}`))
}

test('each scenario has a name, a question and a smoke size of its own', () => {
  expect(new Set(scenarios.map(({ name }) => name)).size).toBe(scenarios.length)
  for (const { name, question, defaults, smoke } of scenarios) {
    expect(name).toMatch(/^[a-z]+$/)
    expect(question).toMatch(/\?$/)
    expect({ ...defaults, ...smoke }.subscribers, name).toBeLessThanOrEqual(1000)
  }
})
