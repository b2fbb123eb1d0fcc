// Sides that run one after another, again and again. Main thread.
// Invariant: a run that was interrupted ends the turns and counts for no side, and no other is begun.

import type { RunResult } from './model.ts'

type Side = () => Promise<RunResult>

/**
 * Each round runs every side once; every other round goes the other way round, so that neither a machine that grows
 * slower nor what a run leaves behind favours one side.
 */
export async function takeTurns(
  sides: readonly Side[],
  rounds: number,
  signal: AbortSignal,
): Promise<readonly (readonly RunResult[])[]> {
  const runs = sides.map((): RunResult[] => [])
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? [...sides.keys()] : [...sides.keys()].reverse()
    for (const side of order) {
      if (signal.aborted) return runs
      const result = await sides[side]!()
      if (!result.interrupted) runs[side]!.push(result)
    }
  }
  return runs
}
