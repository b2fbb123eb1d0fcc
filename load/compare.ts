// `npm run load -- compare A.json B.json`: what differs between two result files, as text. Main thread.
// Invariant: it only reads; a difference is no failure.

import { compareResults } from './compare/comparison.ts'
import { readRuns } from './compare/read.ts'
import { renderComparison } from './compare/table.ts'
import { OptionError } from './errors.ts'
import type { RunResult } from './model.ts'

export type Output = Readonly<{ out: (text: string) => void }>

/**
 * @param argv what follows `compare`
 * @returns the exit code
 * @throws OptionError for arguments and files that can't be compared
 */
export async function compareCommand(argv: readonly string[], { out }: Output): Promise<number> {
  const flag = argv.find(word => word.startsWith('-'))
  if (flag !== undefined) throw new OptionError(`compare takes no flag, got ${flag}`)
  const [a, b] = argv
  if (a === undefined || b === undefined || argv.length > 2) {
    throw new OptionError(`compare takes two result files, got ${argv.length}: compare A.json B.json`)
  }
  const [runsA, runsB] = await Promise.all([readRuns(a), readRuns(b)])
  out(withoutControls(renderComparison(compareResults(wholeOf(runsA, a), wholeOf(runsB, b), { a, b }))))
  return 0
}

/** Runs that were stopped before their end are no runs of the same load. */
function wholeOf(runs: readonly RunResult[], path: string): readonly RunResult[] {
  const whole = runs.filter(({ interrupted }) => interrupted !== true)
  if (whole.length === 0) throw new OptionError(`${path} holds no run that went to its end`)
  return whole
}

/** Files may come from anywhere, and what they say must not tell the terminal anything. */
function withoutControls(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, '\ufffd')
}
