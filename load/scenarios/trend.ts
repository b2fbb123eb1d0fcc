// How fast something grows, and how sure that is. Pure.
// Invariant: what is called significant would come out of noise alone in one of forty runs.

export type Point = Readonly<{ atS: number; value: number }>

export type Trend = Readonly<{
  perSecond: number
  /** The slope is within ± this, at 95 %. */
  uncertainty: number
  /** Grows, beyond the uncertainty. */
  isGrowth: boolean
}>

/**
 * Neighbouring seconds are no independent samples (memory rises to a collection of garbage and falls): the line is laid
 * through the means of so many pieces of equal length.
 */
const PIECES = 20
/** Student's t for 18 degrees of freedom, 95 %, two-sided. */
const T_95 = 2.101

/** Least squares; undefined where there are too few points to tell anything. */
export function trendOf(points: readonly Point[]): Trend | undefined {
  if (points.length < PIECES) return undefined
  const pieces = Array.from({ length: PIECES }, (_, index) => {
    const from = Math.floor((index * points.length) / PIECES)
    const to = Math.floor(((index + 1) * points.length) / PIECES)
    const piece = points.slice(from, to)
    return { atS: meanOf(piece, point => point.atS), value: meanOf(piece, point => point.value) }
  })
  const middleS = meanOf(pieces, piece => piece.atS)
  const middle = meanOf(pieces, piece => piece.value)
  const spread = sumOf(pieces, ({ atS }) => (atS - middleS) ** 2)
  if (spread === 0) return undefined
  const perSecond = sumOf(pieces, ({ atS, value }) => (atS - middleS) * (value - middle)) / spread
  const residual = sumOf(pieces, ({ atS, value }) => (value - middle - perSecond * (atS - middleS)) ** 2)
  const uncertainty = T_95 * Math.sqrt(residual / (PIECES - 2) / spread)
  return { perSecond, uncertainty, isGrowth: perSecond > uncertainty }
}

function sumOf<T>(all: readonly T[], figure: (one: T) => number): number {
  return all.reduce((sum, one) => sum + figure(one), 0)
}

function meanOf<T>(all: readonly T[], figure: (one: T) => number): number {
  return sumOf(all, figure) / all.length
}
