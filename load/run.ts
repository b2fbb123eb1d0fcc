// Entry of `npm run load`: reads the command line, runs what it asks for, prints, and ends with an exit code. Main thread.

import { LoadError, OptionError, reasonOf } from './errors.ts'
import { helpText } from './help.ts'
import type { RunResult } from './model.ts'
import { type Options, parseOptions } from './options.ts'
import { writeResult } from './report/files.ts'
import { createProgress } from './report/progress.ts'
import { renderFiles, renderTable } from './report/table.ts'
import { runLoad } from './run-load.ts'
import { scenarios } from './scenarios/list.ts'

const INTERRUPTED = 130

process.exitCode = await main(process.argv.slice(2))

async function main(argv: readonly string[]): Promise<number> {
  try {
    if (argv.includes('--help') || argv.includes('-h')) {
      process.stdout.write(helpText(scenarios))
      return 0
    }
    return await loadAndTell(parseOptions(argv, process.env, scenarios))
  } catch (error) {
    const isKnown = error instanceof OptionError || error instanceof LoadError
    process.stderr.write(`load: ${isKnown || !(error instanceof Error) ? reasonOf(error) : error.stack}\n`)
    return isKnown ? error.exitCode : new LoadError().exitCode
  }
}

async function loadAndTell(options: Options): Promise<number> {
  const { json, folder, report, quiet } = options.out
  const result = await runOnce(options, quiet)
  const files = await writeResult(folder, result, result, report)
  const screen = json ? process.stderr : process.stdout
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`)
  screen.write(`\n${renderTable(result, { color: hasColor(screen) })}\n`)
  screen.write(renderFiles(result.tookS, files))
  return result.interrupted ? INTERRUPTED : result.verdict.exitCode
}

async function runOnce(options: Options, quiet: boolean): Promise<RunResult> {
  const progress = createProgress(process.stderr)
  const interrupted = new AbortController()
  const onSignal = () => {
    // The relay is on a leash: it ends with this process.
    if (interrupted.signal.aborted) process.exit(INTERRUPTED)
    interrupted.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  try {
    return await runLoad(options, {
      watch: quiet ? () => {} : progress.show,
      signal: interrupted.signal,
    })
  } finally {
    progress.end()
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

function hasColor(screen: NodeJS.WriteStream): boolean {
  return screen.isTTY === true && (process.env.NO_COLOR ?? '') === ''
}
