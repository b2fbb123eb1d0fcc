// Entry of `npm run load:peers`: the same load on fanwire and on other servers, side by side. Main thread.

import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { LoadError, OptionError, reasonOf } from './errors.ts'
import { peers } from './peers/list.ts'
import { parsePeersOptions, peersHelp } from './peers/options.ts'
import type { PeersResult } from './peers/result.ts'
import { compareSideBySide } from './peers/side-by-side.ts'
import { renderMarkdown, renderText } from './peers/table.ts'
import { timeName } from './report/files.ts'

const INTERRUPTED = 130

process.exitCode = await main(process.argv.slice(2))

async function main(argv: readonly string[]): Promise<number> {
  const interrupted = new AbortController()
  const onSignal = () => {
    // The servers are on leashes: they end with this process.
    if (interrupted.signal.aborted) process.exit(INTERRUPTED)
    interrupted.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  try {
    const options = parsePeersOptions(argv, peers)
    if (options === 'help') {
      process.stdout.write(peersHelp(peers))
      return 0
    }
    const say = (line: string) => void process.stderr.write(`${line}\n`)
    const result = await compareSideBySide(options, { say, signal: interrupted.signal })
    say(`written: ${await write(options.folder, result)}`)
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`)
    else process.stdout.write(`\n${options.markdown ? renderMarkdown(result) : renderText(result)}\n`)
    return 0
  } catch (error) {
    if (interrupted.signal.aborted) return INTERRUPTED
    const isKnown = error instanceof OptionError || error instanceof LoadError
    process.stderr.write(
      `load:peers: ${isKnown || !(error instanceof Error) ? reasonOf(error) : error.stack}\n`,
    )
    return isKnown ? error.exitCode : new LoadError().exitCode
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

/** @returns its path, as one would type it */
async function write(folder: string, result: PeersResult): Promise<string> {
  await mkdir(folder, { recursive: true })
  const file = join(folder, `${timeName(new Date(result.startedAt))}-peers.json`)
  await writeFile(file, `${JSON.stringify(result)}\n`)
  return relative('', file)
}
