// Comparing repeated runs: what the words rest on, what is left out and what is said on top.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Comparison, compareResults, spreadOf } from '../../load/compare/comparison.ts'
import { EXACT_VALUES_MAX, rankTest } from '../../load/compare/rank-test.ts'
import { renderComparison } from '../../load/compare/table.ts'
import { compareCommand } from '../../load/compare.ts'
import { OptionError } from '../../load/errors.ts'
import type { RunResult } from '../../load/model.ts'
import { createRandom } from '../../load/random.ts'
import { type Sample, sampleResult } from './sample-results.ts'

/** Runs of one side; those of the sides take turns, as `--against` makes them. */
function runs(count: number, sample: Sample & { turn?: 0 | 1 } = {}): RunResult[] {
  const { turn = 0, seed = 1 } = sample
  return Array.from({ length: count }, (_, index) => ({
    ...sampleResult({ ...sample, seed: seed * 100 + index }),
    startedAt: new Date(Date.UTC(2026, 2, 14) + (2 * index + turn) * 60_000).toISOString(),
  }))
}

function wordOf(comparison: Comparison, key: string): string {
  return comparison.figures.find(figure => figure.key === key)!.word
}

describe('the rank test', () => {
  test('is exact: known values of small samples', () => {
    expect(rankTest([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])).toBeCloseTo(2 / 252, 12)
    expect(rankTest([1, 2, 3, 4], [5, 6, 7, 8])).toBeCloseTo(2 / 70, 12)
    expect(rankTest([1, 3, 5], [2, 4, 6])).toBeCloseTo(14 / 20, 12)
    expect(rankTest([1, 2, 3, 4, 6], [5, 7, 8, 9, 10])).toBeCloseTo(4 / 252, 12)
  })

  test('finds nothing in equal values, or in none', () => {
    expect(rankTest([7, 7, 7, 7, 7], [7, 7, 7, 7, 7])).toBe(1)
    expect(rankTest([], [1, 2])).toBe(1)
  })

  test('counts as many divisions as going through all of them does, ties included', () => {
    const values = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(values, values, (a, b) => {
        expect(rankTest(a, b)).toBeCloseTo(byAllDivisions(a, b), 10)
      }),
    )
  })

  test('does not care which side is first, nor how the values are scaled', () => {
    const values = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(values, values, (a, b) => {
        const p = rankTest(a, b)
        expect(rankTest(b, a)).toBeCloseTo(p, 9)
        expect(
          rankTest(
            a.map(value => value * 3),
            b.map(value => value * 3),
          ),
        ).toBe(p)
      }),
    )
  })

  test('goes on with an approximation that is close where both are known', () => {
    const random = createRandom(5)
    const half = EXACT_VALUES_MAX / 2
    for (const shift of [0, 0.1, 0.2]) {
      const a = Array.from({ length: half }, random)
      const b = Array.from({ length: half }, () => random() + shift)
      const exact = rankTest(a, b)
      // One more value, equal to the median, changes little but is over the limit.
      expect(Math.abs(rankTest([...a, 0.5], b) - exact)).toBeLessThan(0.08)
    }
  })

  test('with equal sources says "significant" no more often than it may', () => {
    const random = createRandom(9)
    const sample = () => Array.from({ length: 7 }, random)
    const hits = Array.from({ length: 2000 }, () => rankTest(sample(), sample())).filter(p => p < 0.01)
    expect(hits.length).toBeLessThan(2000 * 0.02)
  })

  function byAllDivisions(a: readonly number[], b: readonly number[]): number {
    const all = [...a, ...b]
    const rank = (value: number) =>
      all.filter(other => other < value).length + (all.filter(other => other === value).length + 1) / 2
    const ranks = all.map(rank)
    const sum = (chosen: readonly number[]) => chosen.reduce((total, value) => total + value, 0)
    const mean = (sum(ranks) * a.length) / all.length
    const distance = Math.abs(sum(ranks.slice(0, a.length)) - mean)
    const divisions = Array.from({ length: 2 ** all.length }, (_, bits) =>
      ranks.filter((_, index) => (bits >> index) & 1),
    ).filter(chosen => chosen.length === a.length)
    const far = divisions.filter(chosen => Math.abs(sum(chosen) - mean) >= distance - 1e-9)
    return far.length / divisions.length
  }
})

describe('a spread', () => {
  test('is median, ends and median absolute deviation', () => {
    expect(spreadOf([5, 1, 4, 2, 100])).toEqual({ runs: 5, median: 4, min: 1, max: 100, deviation: 2 })
    expect(spreadOf([1, 2])).toEqual({ runs: 2, median: 1.5, min: 1, max: 2, deviation: 0.5 })
    expect(spreadOf([])).toBeUndefined()
  })
})

describe('comparing', () => {
  test('runs of the same thing finds only noise', () => {
    const { notices, figures } = compareResults(runs(7), runs(7, { seed: 2, turn: 1 }))
    expect(notices).toEqual([])
    expect(figures.map(({ word }) => word)).toEqual(figures.map(() => 'within the noise'))
    expect(figures.length).toBeGreaterThan(14)
  })

  test('a slower target finds what is worse, and the other way round what is better', () => {
    const [fast, slow] = [runs(5), runs(5, { seed: 2, slower: 1.6, turn: 1 })]
    const worse = compareResults(fast, slow)
    const better = compareResults(slow, fast)
    for (const key of ['latency.all.p99', 'latency.last.p50', 'cpu', 'cores']) {
      expect([key, wordOf(worse, key)]).toEqual([key, 'worse'])
      expect([key, wordOf(better, key)]).toEqual([key, 'better'])
    }
    expect(worse.figures.find(({ key }) => key === 'cpu')!.change).toBeCloseTo(0.6, 1)
    expect(wordOf(worse, 'memory')).toBe('within the noise')
  })

  test('fewer than five runs does not tell', () => {
    const few = compareResults(runs(5), runs(4, { slower: 9, turn: 1 }))
    expect(new Set(few.figures.map(({ word }) => word))).toEqual(new Set(['too few runs']))
    expect(few.notices).toEqual(['B has 4 runs: too few to tell; 5 are needed on each side (--repeat 5).'])
    expect(few.figures.find(({ key }) => key === 'cpu')!.change).toBeGreaterThan(5)
  })

  test('leaves out the latencies of runs in which the generator was the limit, and says so', () => {
    const invalid = runs(3, { slower: 50, turn: 1, verdict: { exitCode: 3, latencyValid: false } })
    const comparison = compareResults(runs(8), [...runs(5, { seed: 2, turn: 1 }), ...invalid])
    const p99 = comparison.figures.find(({ key }) => key === 'latency.all.p99')!
    expect(p99.b!.runs).toBe(5)
    expect(p99.word).toBe('within the noise')
    expect(comparison.figures.find(({ key }) => key === 'memory')!.b!.runs).toBe(8)
    expect(comparison.figures.find(({ key }) => key === 'finding.spread')!.b!.runs).toBe(5)
    expect(comparison.notices).toEqual([
      'The latencies of 3 of the 8 runs of B are left out: the generator was the limit.',
    ])
    expect(renderComparison(comparison)).toMatch(/ms of 5 /)
    const none = compareResults(runs(5), invalid)
    expect(wordOf(none, 'latency.all.p99')).toBe('not comparable')
  })

  test('says on top which options and machines differ, and that a side was run after the other', () => {
    const other = runs(5).map(run => ({
      ...run,
      startedAt: '2026-04-01T00:00:00.000Z',
      load: { ...run.load, rate: 400, sources: ['127.0.0.2'] },
      machine: { ...run.machine, cores: 64 },
    }))
    const { notices } = compareResults(runs(5), other)
    expect(notices[0]).toBe(
      'The options differ: rate 200 in A, 400 in B; sources [] in A, ["127.0.0.2"] in B.',
    )
    expect(notices[1]).toBe('The machines differ: cores 4 in A, 64 in B.')
    expect(notices[2]).toMatch(/^One side was run after the other/)
    const mixed = compareResults([...runs(4), other[0]!], runs(5, { turn: 1 }))
    expect(mixed.notices).toContain('The runs of A have different options.')
  })

  test('names lost messages and figures that only one side has', () => {
    const faulty = runs(5, { lost: 12, turn: 1 }).map(({ server, findings, ...run }) => ({
      ...run,
      findings: findings.slice(1),
    }))
    const comparison = compareResults(runs(5), faulty)
    expect(comparison.notices).toContain('5 of 5 runs of B ended with faults (exit code 1).')
    expect(wordOf(comparison, 'lost')).toBe('worse')
    expect(comparison.figures.find(({ key }) => key === 'lost')!.change).toBeUndefined()
    expect(wordOf(comparison, 'cpu')).toBe('not comparable')
    expect(wordOf(comparison, 'finding.publishes-highest')).toBe('not comparable')
  })

  test('is written within 100 columns, with the rule', () => {
    const long = runs(5, { slower: 2e5, turn: 1 }).map(run => ({
      ...run,
      findings: run.findings.map(finding => ({
        ...finding,
        label: 'A finding with a label that is much longer than usual',
        value: 1_234_567.891,
      })),
    }))
    const text = renderComparison(compareResults(runs(5), long))
    expect(text).toContain('Mann–Whitney')
    expect(text).toMatch(/p99 to every recipient .* worse\n/)
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
    expect(text).not.toMatch(/NaN|undefined|Infinity/)
  })
})

describe('the command', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fanwire-compare-'))
  })

  afterEach(() => rm(folder, { recursive: true, force: true }))

  async function file(name: string, content: unknown): Promise<string> {
    const path = join(folder, name)
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    return path
  }

  async function refusal(...argv: string[]): Promise<string> {
    const error = await compareCommand(argv, { out: () => {} }).then(
      () => undefined,
      reason => reason,
    )
    expect(error).toBeInstanceOf(OptionError)
    return error.message
  }

  test('reads single and repeated runs, prints the table and ends with 0', async () => {
    const one = await file('one.json', runs(1)[0])
    const many = await file('many.json', { schema: 1, runs: runs(5) })
    let text = ''
    const code = await compareCommand([one, many], { out: part => (text += part) })
    expect(code).toBe(0)
    expect(text).toContain(`A  ${one}: 1 run of fanwire 0.1.0 (0123abcd)`)
    expect(text).toContain(`B  ${many}: 5 runs of`)
    expect(text).toContain('A has 1 run: too few to tell; 5 are needed')
  })

  test('says what is wrong with its arguments and files', async () => {
    const good = await file('good.json', runs(1)[0])
    expect(await refusal(good)).toContain('takes two result files, got 1')
    expect(await refusal(good, good, good)).toContain('got 3')
    expect(await refusal('--json', good)).toContain('takes no flag, got --json')
    expect(await refusal(good, join(folder, 'absent.json'))).toContain('absent.json can')
    expect(await refusal(good, await file('torn.json', '{"schema":1,"runs":[{'))).toContain('torn.json can')
    expect(await refusal(good, await file('old.json', { schema: 0 }))).toContain('its schema is 0')
    expect(await refusal(good, await file('empty.json', { schema: 1, runs: [] }))).toContain('holds no run')
    const { ledger: _, ...torn } = runs(1)[0]!
    expect(await refusal(good, await file('part.json', { schema: 1, runs: [runs(1)[0], torn] }))).toContain(
      'part.json, run 2 is no result of a load run: ledger: Invalid input',
    )
    const stopped = { schema: 1, runs: runs(2).map(run => ({ ...run, interrupted: true })) }
    expect(await refusal(good, await file('stopped.json', stopped))).toContain(
      'holds no run that went to its',
    )
  })

  test.each<[what: string, part: object, place: string]>([
    ['a finding that is none', { findings: [null] }, 'findings.0: '],
    [
      'a unit that it does not know',
      { findings: [{ key: 'k', label: 'l', value: 1, unit: 'mile' }] },
      '0.unit: ',
    ],
    ['text for a number', { latency: { all: { count: '1' }, last: {} } }, 'latency.all.count: '],
    ['no date', { startedAt: 'yesterday' }, 'startedAt: '],
    ['a target without a name', { target: { kind: 'own' } }, 'target.name: '],
    ['a server that is none', { server: 5 }, 'server: '],
  ])('refuses a file with %s', async (_, part, place) => {
    const good = await file('good.json', runs(1)[0])
    expect(await refusal(good, await file('bad.json', { ...runs(1)[0], ...part }))).toContain(place)
  })

  test('leaves out runs that were stopped before their end', async () => {
    const [first, ...others] = runs(6)
    const path = await file('runs.json', { schema: 1, runs: [{ ...first, interrupted: true }, ...others] })
    let text = ''
    await compareCommand([path, path], { out: part => (text += part) })
    expect(text).toContain(`A  ${path}: 5 runs of`)
  })

  test('prints no control characters of files', async () => {
    const [run] = runs(1)
    const name = 'x\u001b[31m\u009b2J\r\u0007'
    const path = await file('evil.json', { ...run, target: { ...run!.target, name } })
    let text = ''
    await compareCommand([path, path], { out: part => (text += part) })
    expect(text).toContain('1 run of x\ufffd[31m\ufffd2J\ufffd\ufffd 0.1.0')
    expect(text).not.toMatch(/[^\P{Cc}\n]/u)
  })
})
