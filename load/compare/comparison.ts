// Two sides of repeated runs, figure by figure, against the noise of their runs. Pure.
// Invariant: a figure is called better or worse only where the runs of the two sides can tell it, by a stated rule.

import type { Finding, RunResult } from '../model.ts'
import { figuresOf } from './figures.ts'
import { noticesOf } from './notices.ts'
import { rankTest } from './rank-test.ts'

/** With fewer on a side the test below can't reach SIGNIFICANT whatever the values are: 4 against 4 give p ≥ 0.028. */
export const RUNS_MIN = 5
/**
 * Strict, since a comparison asks about twenty figures at once: at 0.05 one of them would differ by chance each time.
 * With 5 runs a side it takes that every run of one side is beyond every run of the other (p = 2/252).
 */
export const SIGNIFICANT = 0.01

export type Spread = Readonly<{
  runs: number
  median: number
  min: number
  max: number
  /** Median absolute deviation from the median. */
  deviation: number
}>

export type Word = 'better' | 'worse' | 'different' | 'within the noise' | 'too few runs' | 'not comparable'

export type Compared = Readonly<{
  key: string
  label: string
  unit: Finding['unit']
  /** Undefined where no run of the side has the figure. */
  a: Spread | undefined
  b: Spread | undefined
  /** Of the medians, from A to B; undefined where A's is zero. */
  change: number | undefined
  /** Of the rank test; undefined with too few runs. */
  p: number | undefined
  word: Word
}>

export type Side = Readonly<{ name: string; runs: number; target: string }>

export type Comparison = Readonly<{
  a: Side
  b: Side
  /** What speaks against reading the figures as a difference of the two targets; most important first. */
  notices: readonly string[]
  figures: readonly Compared[]
}>

type Names = Readonly<{ a: string; b: string }>

/** Each side has at least one run. */
export function compareResults(
  a: readonly RunResult[],
  b: readonly RunResult[],
  names: Names = { a: 'A', b: 'B' },
): Comparison {
  const figures = figuresOf([...a, ...b])
  return {
    a: sideOf(names.a, a),
    b: sideOf(names.b, b),
    notices: noticesOf(a, b, RUNS_MIN),
    figures: figures
      .map(figure => {
        const [ofA, ofB] = [valuesOf(a, figure.of), valuesOf(b, figure.of)]
        const { key, label, unit } = figure
        return { key, label, unit, ...judge(ofA, ofB, figure.better) }
      })
      .filter(({ a: spreadA, b: spreadB }) => spreadA !== undefined || spreadB !== undefined),
  }
}

type Judged = Pick<Compared, 'a' | 'b' | 'change' | 'p' | 'word'>

function judge(a: readonly number[], b: readonly number[], better: 'lower' | 'higher' | undefined): Judged {
  const [spreadA, spreadB] = [spreadOf(a), spreadOf(b)]
  const known = { a: spreadA, b: spreadB, change: undefined, p: undefined }
  if (spreadA === undefined || spreadB === undefined) return { ...known, word: 'not comparable' }
  const change =
    spreadA.median === spreadB.median
      ? 0
      : spreadA.median === 0
        ? undefined
        : (spreadB.median - spreadA.median) / Math.abs(spreadA.median)
  if (a.length < RUNS_MIN || b.length < RUNS_MIN) return { ...known, change, word: 'too few runs' }
  const p = rankTest(a, b)
  return { ...known, change, p, word: wordOf(p, spreadB.median - spreadA.median, better) }
}

function wordOf(p: number, difference: number, better: 'lower' | 'higher' | undefined): Word {
  if (p >= SIGNIFICANT || difference === 0) return 'within the noise'
  if (better === undefined) return 'different'
  return difference < 0 === (better === 'lower') ? 'better' : 'worse'
}

function valuesOf(results: readonly RunResult[], of: (result: RunResult) => number | undefined): number[] {
  return results.map(of).filter(value => value !== undefined && Number.isFinite(value)) as number[]
}

/** Undefined for no values. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined
  const middle = median(values)
  return {
    runs: values.length,
    median: middle,
    min: Math.min(...values),
    max: Math.max(...values),
    deviation: median(values.map(value => Math.abs(value - middle))),
  }
}

/** Of at least one value; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function sideOf(name: string, runs: readonly RunResult[]): Side {
  const targets = runs.map(({ target: { name: of, version, revision } }) =>
    [of, version, revision === undefined ? undefined : `(${revision})`].filter(part => part !== undefined),
  )
  return { name, runs: runs.length, target: [...new Set(targets.map(parts => parts.join(' ')))].join(', ') }
}
