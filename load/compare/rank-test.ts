// The Mann–Whitney test: how likely ranks as unequal as these are, if both sides came from the same source.
// Pure. Exact (by counting all divisions of the ranks, ties included) for as many values as repeated runs have.

/** Up to so many values all divisions are counted; beyond, the normal distribution is close enough. */
export const EXACT_VALUES_MAX = 60

/** Two-sided p value, 0–1; 1 when a side is empty. It asks nothing of how the values are distributed. */
export function rankTest(a: readonly number[], b: readonly number[]): number {
  if (a.length === 0 || b.length === 0) return 1
  const ranks = doubledRanks([...a, ...b])
  const sum = total(ranks.slice(0, a.length))
  const mean = (total(ranks) * a.length) / ranks.length
  const distance = Math.abs(sum - mean)
  return ranks.length <= EXACT_VALUES_MAX
    ? exactShare(ranks, a.length, mean, distance)
    : normalShare(ranks, a.length, distance)
}

/** Twice the rank of each value, so that the mean rank of equal values stays a whole number. */
function doubledRanks(values: readonly number[]): number[] {
  const sorted = [...values].sort((x, y) => x - y)
  return values.map(value => sorted.indexOf(value) + sorted.lastIndexOf(value) + 2)
}

/** Of all ways to choose `count` of the ranks, the share whose sum is at least as far from the mean. */
function exactShare(ranks: readonly number[], count: number, mean: number, distance: number): number {
  const sums = total(ranks) + 1
  // ways[n][s]: how many choices of n ranks have the sum s.
  const ways = Array.from({ length: count + 1 }, () => new Float64Array(sums))
  ways[0]![0] = 1
  for (const rank of ranks) {
    for (let chosen = count; chosen > 0; chosen--) {
      const fewer = ways[chosen - 1]!
      const these = ways[chosen]!
      for (let sum = sums - 1; sum >= rank; sum--) these[sum]! += fewer[sum - rank]!
    }
  }
  const found = ways[count]!
  // The mean may be a fraction that is not exact; sums are whole, so a small tolerance takes nothing wrong in.
  const far = found.reduce(
    (sum, number, at) => sum + (Math.abs(at - mean) >= distance - 1e-6 ? number : 0),
    0,
  )
  return Math.min(1, far / total([...found]))
}

/** With the variance of the ranks as they are (ties make it smaller), and a correction for whole steps. */
function normalShare(ranks: readonly number[], count: number, distance: number): number {
  const size = ranks.length
  const mean = total(ranks) / size
  const variance = total(ranks.map(rank => (rank - mean) ** 2)) / (size - 1)
  const deviation = Math.sqrt((variance * count * (size - count)) / size)
  if (deviation === 0) return 1
  return tails(Math.max(0, distance - 1) / deviation)
}

/** Both tails of the normal distribution beyond z: Abramowitz and Stegun 7.1.26, error below 2e-7. */
function tails(z: number): number {
  const x = z / Math.SQRT2
  const t = 1 / (1 + 0.3275911 * x)
  const factors = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592]
  return Math.min(1, factors.reduce((sum, factor) => sum * t + factor, 0) * t * Math.exp(-x * x))
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}
