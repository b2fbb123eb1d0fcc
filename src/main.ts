#!/usr/bin/env node
// The process: checks its Node, then argv → one command of cli/ → the exit code. Main thread.
// Invariant: whatever goes wrong before a command runs is one line on stderr.

import { nodeVersionProblem } from './cli/node-version.ts'

const problem = nodeVersionProblem(process.versions.node)
if (problem === undefined) await main(process.argv.slice(2))
else fail(1, problem)

async function main(argv: readonly string[]): Promise<void> {
  // Loaded after the check, since the packages behind them may not even parse on an older Node.
  const { ConfigError, StartError } = await import('./base/errors.ts')
  const { chooseCommand } = await import('./cli/command.ts')
  try {
    const { command, rest } = await chooseCommand(argv)
    process.exitCode = await command(rest, text => process.stdout.write(text))
  } catch (error) {
    if (error instanceof ConfigError || error instanceof StartError) fail(error.exitCode, error.message)
    // A bug: its place matters more than one line.
    else fail(1, error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
}

function fail(exitCode: number, message: string): void {
  process.stderr.write(`fanwire: ${message}\n`)
  process.exitCode = exitCode
}
