// What speaks against reading a comparison as the difference of two targets. Pure.
// Invariant: nothing that differs between the sides, other than the target, is passed over.

import type { Load, RunResult } from '../model.ts'

type Runs = readonly RunResult[]

/** Most important first. */
export function noticesOf(a: Runs, b: Runs, runsMin: number): string[] {
  return [
    ...differences('scenarios', a, b, ({ scenario }) => ({ scenario })),
    ...differences('options', a, b, ({ load }) => comparable(load)),
    ...differences('machines', a, b, ({ machine }) => machine),
    ...differences('kinds of target', a, b, ({ target: { kind } }) => ({ kind })),
    ...[tooFew('A', a, runsMin), tooFew('B', b, runsMin)],
    ...[invalid('A', a), invalid('B', b)],
    ...[faulty('A', a), faulty('B', b)],
    apartInTime(a, b),
  ].filter(notice => notice !== undefined)
}

/** The seed is meant to differ between runs. */
function comparable({ seed: _, ...load }: Load): object {
  return load
}

/** One notice for each side that is not of one kind in itself, else one for what differs between the sides. */
function differences(what: string, a: Runs, b: Runs, of: (result: RunResult) => object): string[] {
  const mixed = (name: string, runs: Runs) =>
    new Set(runs.map(run => JSON.stringify(of(run)))).size > 1
      ? [`The runs of ${name} have different ${what}.`]
      : []
  const within = [...mixed('A', a), ...mixed('B', b)]
  if (within.length > 0) return within
  const [ofA, ofB] = [new Map(Object.entries(of(a[0]!))), new Map(Object.entries(of(b[0]!)))]
  const parts = [...new Set([...ofA.keys(), ...ofB.keys()])]
    .map(key => [key, shown(ofA.get(key)), shown(ofB.get(key))] as const)
    .filter(([, left, right]) => left !== right)
    .map(([key, left, right]) => `${key} ${left} in A, ${right} in B`)
  return parts.length === 0 ? [] : [`The ${what} differ: ${parts.join('; ')}.`]
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'none')
}

function tooFew(name: string, runs: Runs, runsMin: number): string | undefined {
  if (runs.length >= runsMin) return undefined
  const count = `${runs.length} ${runs.length === 1 ? 'run' : 'runs'}`
  return `${name} has ${count}: too few to tell; ${runsMin} are needed on each side (--repeat ${runsMin}).`
}

function invalid(name: string, runs: Runs): string | undefined {
  const count = runs.filter(({ verdict }) => !verdict.latencyValid).length
  if (count === 0) return undefined
  return `The latencies of ${count} of the ${runs.length} runs of ${name} are left out: the generator was the limit.`
}

function faulty(name: string, runs: Runs): string | undefined {
  const count = runs.filter(({ verdict }) => verdict.exitCode === 1).length
  return count === 0
    ? undefined
    : `${count} of ${runs.length} runs of ${name} ended with faults (exit code 1).`
}

/** Runs that took turns share whatever the machine did meanwhile. */
function apartInTime(a: Runs, b: Runs): string | undefined {
  const [startsA, startsB] = [a, b].map(runs => runs.map(({ startedAt }) => Date.parse(startedAt)))
  const follows = (first: number[], second: number[]) => Math.max(...first) < Math.min(...second)
  if (!follows(startsA!, startsB!) && !follows(startsB!, startsA!)) return undefined
  return 'One side was run after the other: what else changed on the machine meanwhile looks like a difference, too. Runs in turns (--against) have no such doubt.'
}
