// Entry of `npm run load:peers`: the same load on fanwire and on other servers, side by side. Main thread.

import { join, relative } from 'node:path'
import { LoadError, OptionError, reasonOf } from './errors.ts'
import { peers } from './peers/list.ts'
import { parsePeersOptions, peersHelp } from './peers/options.ts'
import { compareSideBySide } from './peers/side-by-side.ts'
import { renderMarkdown, renderText } from './peers/table.ts'
import { prepareFolder, timeName, writeUnderFreeName } from './report/files.ts'
import { INTERRUPTED_CODE, outliveReaders, whenInterrupted } from './terminal.ts'

outliveReaders()
process.exitCode = await main(process.argv.slice(2))

async function main(argv: readonly string[]): Promise<number> {
  // The servers are on leashes: they end with this process.
  const signal = whenInterrupted()
  try {
    const options = parsePeersOptions(argv, peers)
    if (options === 'help') {
      process.stdout.write(peersHelp(peers))
      return 0
    }
    await prepareFolder(options.folder)
    const say = (line: string) => void process.stderr.write(`${line}\n`)
    const result = await compareSideBySide(options, { say, signal })
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`)
    else process.stdout.write(`\n${options.markdown ? renderMarkdown(result) : renderText(result)}\n`)
    const name = join(options.folder, `${timeName(new Date(result.startedAt))}-peers`)
    const stem = await writeUnderFreeName(name, `${JSON.stringify(result)}\n`)
    say(`Written: ${relative('', stem)}.json`)
    return 0
  } catch (error) {
    if (signal.aborted) return INTERRUPTED_CODE
    const isKnown = error instanceof OptionError || error instanceof LoadError
    process.stderr.write(
      `load:peers: ${isKnown || !(error instanceof Error) ? reasonOf(error) : error.stack}\n`,
    )
    return isKnown ? error.exitCode : new LoadError().exitCode
  }
}
