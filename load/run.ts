// Entry of `npm run load`: finds out what is asked for, and ends with an exit code. Main thread.

import { againstCommand } from './against.ts'
import { compareCommand } from './compare.ts'
import { LoadError, OptionError, reasonOf } from './errors.ts'
import { helpText } from './help.ts'
import { kneeCommand } from './knee.ts'
import { loadCommand } from './load-command.ts'
import { type Options, parseOptions } from './options.ts'
import { prepareFolder } from './report/files.ts'
import { scenarios } from './scenarios/list.ts'
import { outliveReaders, whenInterrupted } from './terminal.ts'

// Node's own exit code for an error that nobody caught is 1, which here means lost messages.
process.on('uncaughtException', error => {
  process.stderr.write(`load: ${error.stack}\n`)
  process.exit(new LoadError().exitCode)
})
outliveReaders()
process.exitCode = await main(process.argv.slice(2))

async function main(argv: readonly string[]): Promise<number> {
  const out = process.stdout
  try {
    if (argv.includes('--help') || argv.includes('-h')) {
      out.write(helpText(scenarios))
      return 0
    }
    if (argv[0] === 'compare') return await compareCommand(argv.slice(1), { out: text => out.write(text) })
    const options = parseOptions(argv, process.env, scenarios)
    await prepareFolder(options.out.folder)
    const command = commandFor(options)
    return await command(options, { out, err: process.stderr, signal: whenInterrupted(), env: process.env })
  } catch (error) {
    const isKnown = error instanceof OptionError || error instanceof LoadError
    process.stderr.write(`load: ${isKnown || !(error instanceof Error) ? reasonOf(error) : error.stack}\n`)
    return isKnown ? error.exitCode : new LoadError().exitCode
  }
}

function commandFor({ against, knee }: Options) {
  if (against !== undefined) return againstCommand
  return knee === undefined ? loadCommand : kneeCommand
}
