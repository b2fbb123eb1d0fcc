// `npm run load -- --against REF`: the relay of another revision (A) and this checkout's (B) take turns under the same
// load and the same harness, so that what differs is the relay. Main thread.
// Invariant: the worktree is gone in the end, and so is every relay.

import { compareResults } from './compare/comparison.ts'
import { renderComparison } from './compare/table.ts'
import type { CommandIo } from './load-command.ts'
import { RESULT_SCHEMA, type RunResult } from './model.ts'
import type { Options } from './options.ts'
import { writeResult } from './report/files.ts'
import { createProgress } from './report/progress.ts'
import { runLoad } from './run-load.ts'
import { OWN_ROOT } from './target/relay.ts'
import { openWorktree, type Worktree } from './target/worktree.ts'
import { INTERRUPTED_CODE } from './terminal.ts'
import { takeTurns } from './turns.ts'

/**
 * @param options `against` is given, the target is the own relay, and `repeat` says how many runs each side makes
 * @param repository the checkout that is this side
 * @returns the exit code: 1 when a run of either side lost or reordered messages; a difference is no failure
 * @throws OptionError, LoadError
 */
export async function againstCommand(
  options: Options,
  io: CommandIo,
  repository: URL = OWN_ROOT,
): Promise<number> {
  const ref = options.against!
  const worktree = await openWorktree(repository, ref, io.signal).catch(error => {
    if (!io.signal.aborted) throw error
    return undefined
  })
  if (worktree === undefined) return INTERRUPTED_CODE
  try {
    const sides = await runBoth(options, io, worktree, repository)
    const [reference, own] = sides
    if (reference.length === 0 || own.length === 0) return INTERRUPTED_CODE
    await tell(options, io, ref, { reference, own })
    if (io.signal.aborted) return INTERRUPTED_CODE
    return [...reference, ...own].some(({ verdict }) => verdict.exitCode === 1) ? 1 : 0
  } finally {
    worktree.remove()
  }
}

type Runs = readonly RunResult[]

async function runBoth(
  options: Options,
  { err, signal }: CommandIo,
  worktree: Worktree,
  repository: URL,
): Promise<readonly [reference: Runs, own: Runs]> {
  const { repeat, out } = options
  const shards = options.target.kind === 'own' ? options.target.shards : 0
  const progress = createProgress(err)
  const side = (name: string, root: URL) => {
    let count = 0
    return () => {
      if (!out.quiet) progress.say(`run ${++count} of ${repeat}: ${name}`)
      const watch = out.quiet ? () => {} : progress.show
      return runLoad({ ...options, target: { kind: 'own', shards, root } }, { watch, signal })
    }
  }
  try {
    const [reference = [], own = []] = await takeTurns(
      [side(`A, ${worktree.revision}`, worktree.root), side('B, this checkout', repository)],
      repeat,
      signal,
    )
    return [reference, own]
  } finally {
    progress.end()
  }
}

async function tell(
  { out: { json, folder } }: Options,
  io: CommandIo,
  ref: string,
  { reference, own }: Readonly<{ reference: Runs; own: Runs }>,
): Promise<void> {
  const comparison = compareResults(reference, own, { a: ref, b: 'this checkout' })
  const screen = json ? io.err : io.out
  if (json) io.out.write(`${JSON.stringify(comparison)}\n`)
  screen.write(`\n${renderComparison(comparison)}\n`)
  const keep = (runs: Runs, label: string) =>
    writeResult(folder, { schema: RESULT_SCHEMA, runs }, runs[0]!, false, label)
  const files = [...(await keep(reference, '-reference')), ...(await keep(own, '-own'))]
  screen.write(`${files.map(file => `Written: ${file}`).join('\n')}\n`)
}
