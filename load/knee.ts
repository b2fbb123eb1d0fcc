// `npm run load -- --find-knee`: raises the load until a run is not clean, and tells the highest clean point. Main thread.
// Invariant: each step is a run of its own on a relay of its own; the result is that of the run which confirmed the point.

import { LoadError, OptionError } from './errors.ts'
import { type Found, findHighest, type Probed } from './knee/search.ts'
import { findingsOf, judgeStep, lineOfKnee, lineOfStep, type Step } from './knee/steps.ts'
import { type CommandIo, hasColor } from './load-command.ts'
import type { Load, RunResult } from './model.ts'
import type { KneeOptions, Options } from './options.ts'
import { writeResult } from './report/files.ts'
import { createProgress } from './report/progress.ts'
import { renderTable } from './report/table.ts'
import { runLoad } from './run-load.ts'
import { INTERRUPTED_CODE } from './terminal.ts'

/** Seconds that are measured in a step; the run that confirms has all of the load's duration. */
const STEP_S = 3
const PRECISION = 1.1
const STEP_FACTOR = 2
/** The search goes down from where it begins to that part, and up to what nobody needs to try. */
const LOWEST_PART = 1 / 16
const HIGHEST = { rate: 5_000_000, subscribers: 1_000_000 } as const

/**
 * @param options with `knee`
 * @returns the exit code: that of the run at the knee, or of the last one where nothing was clean
 * @throws LoadError, OptionError
 */
export async function kneeCommand(options: Options, io: CommandIo): Promise<number> {
  const { json, folder, report, quiet } = options.out
  const knee = options.knee!
  const progress = createProgress(io.err)
  const watch = quiet ? () => {} : progress.show
  const run = async (load: Load) => {
    const result = await runLoad({ ...options, load }, { watch, signal: io.signal })
    // What there was until then is no step.
    io.signal.throwIfAborted()
    return result
  }
  const say = (step: Step) => {
    if (!quiet) progress.say(lineOfStep(step, knee.by))
  }
  const found = await findKnee(options, { run, say })
    .catch(error => {
      if (io.signal.aborted) return undefined
      throw error
    })
    .finally(progress.end)
  if (found === undefined) return INTERRUPTED_CODE
  const result = resultOf(found.steps, found, knee)
  const screen = json ? io.err : io.out
  if (json) io.out.write(`${JSON.stringify(result)}\n`)
  screen.write(`\n${renderTable(result, { color: hasColor(screen, io.env) })}\n`)
  screen.write(`${lineOfKnee(found, knee)}\n`)
  const files = await writeResult(folder, result, result, report, '-knee')
  screen.write(files.map(file => `Written: ${file}\n`).join(''))
  return result.verdict.exitCode
}

/** @returns what was found, with all steps that led there, in order */
export async function findKnee(
  { load, knee }: Pick<Options, 'load' | 'knee'>,
  { run, say }: Readonly<{ run: (load: Load) => Promise<RunResult>; say: (step: Step) => void }>,
): Promise<Found & Readonly<{ steps: readonly Step[] }>> {
  const { by, p99Ms } = knee!
  const steps: Step[] = []
  const probe = async (value: number, confirms: boolean): Promise<Probed> => {
    const outcome = await runStep(loadOf(load, by, value, confirms), run, value > load[by])
    const probed = 'state' in outcome ? outcome : judgeStep(outcome, p99Ms)
    const step = { value, confirms, ...probed, ...('state' in outcome ? {} : { result: outcome }) }
    steps.push(step)
    say(step)
    return probed
  }
  const from = load[by]
  const min = Math.max(1, Math.round(from * LOWEST_PART))
  const range = { from, step: STEP_FACTOR, min, max: HIGHEST[by], precision: PRECISION, confirm: true }
  return { ...(await findHighest(probe, range)), steps }
}

function loadOf(load: Load, by: KneeOptions['by'], value: number, confirms: boolean): Load {
  return { ...load, [by]: value, durationS: confirms ? load.durationS : Math.min(STEP_S, load.durationS) }
}

/** What can't be run any more above the first step is an answer, too. */
async function runStep(
  load: Load,
  run: (load: Load) => Promise<RunResult>,
  isAbove: boolean,
): Promise<RunResult | Probed> {
  try {
    return await run(load)
  } catch (error) {
    if (!isAbove) throw error
    // Files or ports of this machine.
    if (error instanceof OptionError) return { state: 'generator', why: error.message }
    if (error instanceof LoadError) return { state: 'full', why: error.message.split('\n', 1)[0]! }
    throw error
  }
}

/** That of the run which confirmed the knee, or of the last one where nothing was clean. */
export function resultOf(steps: readonly Step[], found: Found, knee: KneeOptions): RunResult {
  const confirmed = steps.findLast(
    ({ confirms, state, value }) => confirms && state === 'clean' && value === found.highest,
  )
  const result = (confirmed ?? steps.findLast(step => step.result !== undefined))!.result!
  return { ...result, findings: [...result.findings, ...findingsOf(steps, found, result, knee)] }
}
