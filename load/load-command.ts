// `npm run load` without a command: runs once, or several times in turn, tells what came out and keeps it. Main thread.

import type { ExitCode, RepeatedRuns, RunResult } from './model.ts'
import { RESULT_SCHEMA } from './model.ts'
import type { Options } from './options.ts'
import { writeResult } from './report/files.ts'
import { createProgress, type Screen } from './report/progress.ts'
import { renderFiles, renderRuns, renderTable } from './report/table.ts'
import { runLoad } from './run-load.ts'
import { INTERRUPTED_CODE } from './terminal.ts'

/** Where a command writes to, and what ends it early. */
export type CommandIo = Readonly<{
  out: Screen
  /** Progress; and everything but the result where that goes to `out` as JSON. */
  err: Screen
  signal: AbortSignal
  env: Readonly<Record<string, string | undefined>>
}>

/** @returns the exit code; @throws LoadError, OptionError */
export async function loadCommand(options: Options, io: CommandIo): Promise<number> {
  const { json, folder, report } = options.out
  const runs = await makeRuns(options, io)
  const shown = middleOf(runs)
  const result: RunResult | RepeatedRuns = options.repeat === 1 ? shown : { schema: RESULT_SCHEMA, runs }
  const screen = json ? io.err : io.out
  // Shown first: a disk that is full takes nothing away from it.
  if (json) io.out.write(`${JSON.stringify(result)}\n`)
  screen.write(`\n${renderTable(shown, { color: hasColor(screen, io.env) })}\n`)
  if (runs.length > 1) screen.write(`${renderRuns(runs, shown)}\n`)
  const code = worstOf(runs)
  if (runs.length > 1 && code !== shown.verdict.exitCode)
    screen.write(`Exit code ${code}: that of the worst run, which is not the one shown.\n`)
  screen.write(renderFiles(runs, await writeResult(folder, result, shown, report)))
  return runs.some(({ interrupted }) => interrupted) ? INTERRUPTED_CODE : code
}

async function makeRuns(options: Options, { err, signal }: CommandIo): Promise<readonly RunResult[]> {
  const progress = createProgress(err)
  const watch = options.out.quiet ? () => {} : progress.show
  const runs: RunResult[] = []
  try {
    while (runs.length < options.repeat && !(signal.aborted && runs.length > 0)) {
      if (options.repeat > 1 && !options.out.quiet)
        progress.say(`run ${runs.length + 1} of ${options.repeat}`)
      runs.push(await runLoad(options, { watch, signal }))
    }
    return runs
  } finally {
    progress.end()
  }
}

/** The one in the middle by its p99 to every recipient, of those whose latency is valid if there are any. */
export function middleOf(runs: readonly RunResult[]): RunResult {
  const valid = runs.filter(({ verdict, interrupted }) => verdict.latencyValid && interrupted !== true)
  const ascending = [...(valid.length > 0 ? valid : runs)].sort(
    (a, b) => a.latency.all.p99Us - b.latency.all.p99Us,
  )
  return ascending[Math.floor((ascending.length - 1) / 2)]!
}

/** Lost messages go before figures that are not valid. */
function worstOf(runs: readonly RunResult[]): ExitCode {
  const codes = runs.map(({ verdict }) => verdict.exitCode)
  return codes.find(code => code === 1) ?? codes.find(code => code === 3) ?? 0
}

export function hasColor(screen: Screen, env: CommandIo['env']): boolean {
  return screen.isTTY === true && (env.NO_COLOR ?? '') === ''
}
