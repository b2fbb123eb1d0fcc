// A comparison as text for a terminal, at most 100 columns wide. Pure.
// Invariant: what speaks against the figures stands above them, and the rule behind the words below.

import { formatChange, formatValue, NOTHING } from '../report/units.ts'
import {
  type Compared,
  type Comparison,
  RUNS_MIN,
  SIGNIFICANT,
  type Side,
  type Spread,
} from './comparison.ts'

const LABEL_WIDTH = 25
const SIDE_WIDTH = 22
const CHANGE_WIDTH = 9
const LINE_WIDTH = 100

export function renderComparison(comparison: Comparison): string {
  const { a, b, notices, figures } = comparison
  return [
    sideLine('A', a),
    sideLine('B', b),
    '',
    ...notices.flatMap(notice => wrapped(notice, '! ')),
    ...(notices.length > 0 ? [''] : []),
    [
      'figure'.padEnd(LABEL_WIDTH),
      'A'.padEnd(SIDE_WIDTH),
      'B'.padEnd(SIDE_WIDTH),
      'B to A'.padStart(CHANGE_WIDTH),
      '',
    ].join(' '),
    ...figures.flatMap(figure => linesOf(figure, a.runs, b.runs)),
    '',
    ...wrapped(
      'Each: median ± median absolute deviation, below it the lowest – the highest run (of those that have the ' +
        'figure). “better” and “worse”: the ranks of the runs differ so much that chance alone does it in less than ' +
        `1 of ${1 / SIGNIFICANT} cases (Mann–Whitney test, two-sided, p < ${SIGNIFICANT}; with ${RUNS_MIN} runs a ` +
        `side each run of one must be beyond all of the other). It needs ${RUNS_MIN} runs a side.`,
      '',
    ),
  ]
    .map(line => line.trimEnd())
    .join('\n')
    .concat('\n')
}

function sideLine(letter: string, { name, runs, target }: Side): string {
  return `${letter}  ${name}: ${runs} ${runs === 1 ? 'run' : 'runs'} of ${target}`
}

function linesOf({ label, unit, a, b, change, p, word }: Compared, runsA: number, runsB: number): string[] {
  const format = (value: number) => formatValue(value, unit)
  const middle = (spread: Spread | undefined) => {
    if (spread === undefined) return NOTHING
    return spread.runs === 1
      ? format(spread.median)
      : pair(format(spread.median), '±', format(spread.deviation))
  }
  const ends = (spread: Spread | undefined, runs: number) => {
    if (spread === undefined) return ''
    if (spread.runs === 1) return runs === 1 ? '' : 'only 1 run'
    const range = pair(format(spread.min), '–', format(spread.max))
    return spread.runs === runs ? range : `${range} of ${spread.runs}`
  }
  const columns = (first: string, ofA: string, ofB: string, ofChange: string, last: string) =>
    [
      first.padEnd(LABEL_WIDTH),
      ofA.padEnd(SIDE_WIDTH),
      ofB.padEnd(SIDE_WIDTH),
      ofChange.padStart(CHANGE_WIDTH),
      ` ${last}`,
    ].join(' ')
  const [first = '', second = '', ...rest] = wrapped(label, '', LABEL_WIDTH)
  const chance = p === undefined ? '' : `p = ${p < 0.001 ? p.toExponential(0) : p.toFixed(3)}`
  return [
    columns(first, middle(a), middle(b), change === undefined ? NOTHING : formatChange(change), word),
    columns(second, ends(a, runsA), ends(b, runsB), '', chance),
    ...rest,
  ]
}

/** Two values; a unit that both have is written once. */
function pair(left: string, sign: string, right: string): string {
  const unit = /[^\d]*$/.exec(right)![0]
  return `${unit !== '' && left.endsWith(unit) ? left.slice(0, -unit.length) : left} ${sign} ${right}`
}

/** Broken between words; the lines after the first stand under the first one's text. */
function wrapped(text: string, mark: string, width = LINE_WIDTH): string[] {
  const lines: string[] = []
  let line = mark
  for (const word of text.split(' ')) {
    if (line.length > mark.length && line.length + word.length > width) {
      lines.push(line)
      line = ' '.repeat(mark.length)
    }
    line += `${word} `
  }
  return [...lines, line].map(each => each.trimEnd())
}
