// Figures that several scenarios have. Pure.
// Invariant: what is not known stays undefined; nothing is made up for it.

import type { Finding, Interval } from '../model.ts'
import { formatCount } from '../report/units.ts'
import type { Reconnected } from '../scenario.ts'

/** Of the end of a phase, when V8 has given back what came before it. */
export const SETTLED_S = 5

/** Means of the last seconds of the last phase. */
export function settled(
  series: readonly Interval[],
): Readonly<{ bytes: number | undefined; cores: number | undefined }> {
  const last = series.at(-1)
  const rows = series.filter(row => row.phase === last?.phase && row.atS > last.atS - SETTLED_S)
  return { bytes: mean(rows.map(row => row.serverBytes)), cores: mean(rows.map(row => row.serverCores)) }
}

export function rowsOf(series: readonly Interval[], phase: string): readonly Interval[] {
  return series.filter(row => row.phase === phase)
}

/** Of those that are known. */
export function mean(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter(value => value !== undefined)
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0) / known.length
}

export function max(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter(value => value !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}

export function recoveredOf({ recovered, notRecovered }: Reconnected): Finding {
  return {
    key: 'recovered_subscriptions',
    label: 'Subscriptions that recovered',
    value: recovered,
    unit: 'count',
    better: 'higher',
    note: `of ${formatCount(recovered + notRecovered)}`,
  }
}
