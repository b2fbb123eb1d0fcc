// Half as many rows for a run that goes on for hours or days. Pure.
// Invariant: rows follow each other without a gap as before, and none has two phases in it.

import type { Interval } from '../model.ts'

/** Each two neighbours of a phase become one. */
export function thinned(rows: readonly Interval[]): Interval[] {
  const joined: Interval[] = []
  let fromS = 0
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index]!
    const next = rows[index + 1]
    if (next?.phase === row.phase) {
      joined.push(join(row, next, fromS))
      index++
    } else {
      joined.push(row)
    }
    fromS = joined.at(-1)!.atS
  }
  return joined
}

/**
 * Rates and uses are exact. Of latencies only percentiles are left: the median becomes the mean of the two by their
 * deliveries, and p99 the higher one, which that of both together never exceeds.
 */
function join(one: Interval, other: Interval, fromS: number): Interval {
  const seconds = [one.atS - fromS, other.atS - one.atS] as const
  const bySeconds = (figure: (row: Interval) => number) => mean(figure(one), figure(other), seconds)
  const deliveries = [one.deliveriesPerSecond * seconds[0], other.deliveriesPerSecond * seconds[1]] as const
  const serverCores =
    one.serverCores === undefined || other.serverCores === undefined
      ? undefined
      : mean(one.serverCores, other.serverCores, seconds)
  return {
    atS: other.atS,
    phase: one.phase,
    connections: other.connections,
    publishesPerSecond: bySeconds(row => row.publishesPerSecond),
    deliveriesPerSecond: bySeconds(row => row.deliveriesPerSecond),
    p50Us: mean(one.p50Us, other.p50Us, deliveries),
    p99Us: Math.max(one.p99Us, other.p99Us),
    maxUs: Math.max(one.maxUs, other.maxUs),
    ...(serverCores === undefined ? {} : { serverCores }),
    ...(other.serverBytes === undefined ? {} : { serverBytes: other.serverBytes }),
    generatorCores: bySeconds(row => row.generatorCores),
    generatorBytes: other.generatorBytes,
  }
}

function mean(one: number, other: number, [ofOne, ofOther]: readonly [number, number]): number {
  const weight = ofOne + ofOther
  return weight === 0 ? 0 : (one * ofOne + other * ofOther) / weight
}
