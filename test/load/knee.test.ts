// The way to a knee: what a step means, which runs are made, and what is told of them. The runs are made up.

import { expect, test } from 'vitest'
import { LoadError, OptionError } from '../../load/errors.ts'
import { judgeStep, lineOfKnee, lineOfStep, type Step } from '../../load/knee/steps.ts'
import { findKnee, resultOf } from '../../load/knee.ts'
import type { Load, RunResult } from '../../load/model.ts'
import { parseOptions } from '../../load/options.ts'
import { scenarios } from '../../load/scenarios/list.ts'
import { sampleResult } from './sample-results.ts'

const P99_MS = 100

function optionsFor(...argv: string[]) {
  return parseOptions(['--find-knee', ...argv], {}, scenarios)
}

/** As a run gives it: all was taken, and p99 is so high. */
function clean(load: Load, p99Us = 5000): RunResult {
  const result = sampleResult()
  return {
    ...result,
    load,
    ledger: { ...result.ledger, refused: 0, unknown: 0, toldLost: 0 },
    offered: { ...result.offered, wantedPerSecond: load.rate, sentPerSecond: load.rate },
    latency: { ...result.latency, all: { ...result.latency.all, p99Us } },
  }
}

function find(argv: readonly string[], run: (load: Load) => RunResult) {
  const runs: Load[] = []
  const said: Step[] = []
  const options = optionsFor(...argv)
  const found = findKnee(options, {
    run: async load => {
      runs.push(load)
      return run(load)
    },
    say: step => said.push(step),
  })
  return { found, runs, said, options }
}

test('short runs up to the limit of p99, then a whole one at the highest clean rate', async () => {
  const { found, runs, said, options } = find(['--rate', '1000', '--duration', '30s'], load =>
    clean(load, load.rate > 5000 ? 150_000 : 9000),
  )
  const { steps, ...knee } = await found
  expect(knee.limit).toBe('server')
  expect(knee.why).toBe('p99 was 150 ms')
  expect(knee.highest).toBeLessThanOrEqual(5000)
  expect(knee.highest).toBeGreaterThan(5000 / 1.1)
  expect(runs.slice(0, 3).map(({ rate, durationS }) => [rate, durationS])).toEqual([
    [1000, 3],
    [2000, 3],
    [4000, 3],
  ])
  expect(runs.at(-1)).toMatchObject({ rate: knee.highest, durationS: 30, subscribers: 1000 })
  expect(said).toEqual(steps)

  const result = resultOf(steps, knee, options.knee!)
  expect(result.load).toEqual(runs.at(-1))
  expect(result.findings).toContainEqual(expect.objectContaining({ key: 'knee_rate', value: knee.highest }))
  const keys = result.findings.map(({ key }) => key)
  expect(new Set(keys).size).toBe(keys.length)
  expect(keys.filter(key => key.startsWith('knee_step_'))).toHaveLength(runs.length)
})

test('subscribers are raised where that is asked for; what the machine does not bear limits the generator', async () => {
  const argv = ['--knee-by', 'subscribers', '--subscribers', '500']
  const { found, runs, options } = find(argv, load => {
    if (load.subscribers > 3000) throw new OptionError('a process may open 4,000 files')
    return clean(load)
  })
  const knee = await found
  expect(knee).toMatchObject({ limit: 'generator', why: 'a process may open 4,000 files' })
  expect(knee.highest).toBeGreaterThan(3000 / 1.1)
  expect(new Set(runs.map(({ rate }) => rate))).toEqual(new Set([options.load.rate]))
})

test('a relay that ends under the load has found its limit', async () => {
  const { found } = find(['--rate', '100'], load => {
    if (load.rate > 1000) throw new LoadError('the relay ended in the middle\nand said why')
    return clean(load)
  })
  expect(await found).toMatchObject({ limit: 'server', why: 'the relay ended in the middle' })
})

test('a run that could not even be begun is an error', async () => {
  const { found } = find([], () => {
    throw new LoadError('the relay did not start')
  })
  await expect(found).rejects.toThrow('the relay did not start')
})

test('where nothing is clean the last run is the result', async () => {
  const { found, options } = find(['--rate', '16'], load => clean(load, 500_000))
  const { steps, ...knee } = await found
  expect(knee.highest).toBe(0)
  expect(resultOf(steps, knee, options.knee!).load.rate).toBe(1)
  expect(lineOfKnee(knee, options.knee!)).toBe(
    'Knee: nothing that was tried was clean, with p99 up to 100 ms: p99 was 500 ms',
  )
})

test('a step is full by a fault, by p99, or by what the server did not take', () => {
  const { load } = sampleResult()
  expect(judgeStep(clean(load), P99_MS)).toEqual({ state: 'clean', why: '' })
  expect(judgeStep(clean(load, 101_000), P99_MS)).toMatchObject({ state: 'full', why: 'p99 was 101 ms' })
  const lost = clean(load)
  expect(
    judgeStep({ ...lost, verdict: { ...lost.verdict, exitCode: 1, faults: ['LOST 1'] } }, P99_MS),
  ).toEqual({ state: 'full', why: 'LOST 1' })
  expect(judgeStep({ ...lost, ledger: { ...lost.ledger, refused: 1 } }, P99_MS)).toMatchObject({
    state: 'full',
  })
  const limited = { ...lost.verdict, exitCode: 3, latencyValid: false, generatorLimits: ['busy'] } as const
  expect(judgeStep({ ...clean(load, 900_000), verdict: limited }, P99_MS)).toEqual({
    state: 'generator',
    why: 'busy',
  })
})

test('a step is one line', () => {
  const { load } = sampleResult()
  const line = lineOfStep(
    { value: 800, confirms: false, state: 'clean', why: '', result: clean(load) },
    'rate',
  )
  expect(line).toMatch(/^step 800\/s {2}[\d,]+ deliveries\/s {2}p50 .* {2}p99 5\.00 ms {2}.*clean$/)
  expect(lineOfStep({ value: 800, confirms: true, state: 'full', why: 'it ended' }, 'subscribers')).toBe(
    'confirm 800 subscribers  NOT CLEAN: it ended',
  )
})

test('scenarios without a steady load have no knee', () => {
  expect(() => optionsFor('--scenario', 'storm')).toThrow(/the scenario storm has not/)
  expect(() => optionsFor('--repeat', '5')).toThrow('--find-knee and --repeat do not go together')
})
