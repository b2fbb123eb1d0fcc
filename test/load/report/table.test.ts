import { describe, expect, test } from 'vitest'
import type { RunResult } from '../../../load/model.ts'
import { renderFiles, renderRuns, renderTable } from '../../../load/report/table.ts'
import { sampleResult } from '../sample-results.ts'

const plain = (result: RunResult) => renderTable(result, { color: false })
const ESCAPE = '\x1b['

describe('the table of a run', () => {
  test('begins with the verdict, and fits 100 columns', () => {
    const result = sampleResult()
    const text = plain(result)
    expect(text.split('\n')[0]).toContain(result.verdict.headline.slice(0, 40))
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(100)
    expect(text).not.toContain('NaN')
    expect(text).not.toContain('undefined')
    expect(text).not.toContain(ESCAPE)
  })

  test('has colours only where they are wanted', () => {
    expect(renderTable(sampleResult(), { color: true })).toContain(ESCAPE)
  })

  test('marks latencies that are not valid, and says why', () => {
    const text = plain(
      sampleResult({
        verdict: {
          exitCode: 3,
          headline: 'The generator was the limit: receiver 0 was busy. Latency figures are not valid.',
          generatorLimits: ['receiver 0 was busy', 'publications left late'],
          latencyValid: false,
        },
      }),
    )
    expect(text).toContain('NOT VALID')
    expect(text).toContain('  - publications left late')
    expect(text.match(/receiver 0 was busy/g)).toHaveLength(1)
  })

  test('says on top that a run was interrupted', () => {
    expect(plain({ ...sampleResult(), interrupted: true })).toMatch(/^INTERRUPTED/)
  })

  test('breaks long words of others without breaking its own lines', () => {
    const result = sampleResult()
    const remarks = [`one ${'long '.repeat(60)}remark`]
    const text = plain({ ...result, verdict: { ...result.verdict, remarks } })
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  })

  test('leaves out what there is not', () => {
    const { server: _, ...rest } = sampleResult()
    const text = plain({ ...rest, findings: [] })
    expect(text).not.toContain('Server (')
    expect(text).not.toContain('Findings')
  })
})

test('several runs have a line each, the one shown above has a mark', () => {
  const runs = [sampleResult({ seed: 1 }), sampleResult({ seed: 2 })]
  const lines = renderRuns(runs, runs[1]!).split('\n')
  expect(lines[0]).toContain('2 runs')
  expect(lines[3]).toContain('2 *')
  expect(renderFiles(runs, ['a.json'])).toContain('Written: a.json')
})
