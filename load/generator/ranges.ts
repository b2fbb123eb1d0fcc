// Sequence numbers as ranges [from, to], ascending and apart. Runs on the publisher's thread.
// Invariant: they come nearly in order, for answers come nearly in order; so the search begins at the end.

export type Range = [from: number, to: number]

/** So many ranges are kept of a channel: some megabytes, and more than a run with any sense has. */
const RANGES_MAX = 65_536

/** Adds a number that is not in there. False: there was no room, and the last range was stretched over others. */
export function addToRanges(ranges: Range[], sequence: number): boolean {
  let at = ranges.length
  while (at > 0 && ranges[at - 1]![0] > sequence) at--
  const before = ranges[at - 1]
  const after = ranges[at]
  const touchesBefore = before !== undefined && before[1] === sequence - 1
  const touchesAfter = after !== undefined && after[0] === sequence + 1
  if (touchesBefore && touchesAfter) {
    before[1] = after[1]
    ranges.splice(at, 1)
  } else if (touchesBefore) {
    before[1] = sequence
  } else if (touchesAfter) {
    after[0] = sequence
  } else if (ranges.length < RANGES_MAX) {
    ranges.splice(at, 0, [sequence, sequence])
  } else {
    stretch(ranges, at, sequence)
    return false
  }
  return true
}

function stretch(ranges: Range[], at: number, sequence: number): void {
  if (at === 0) ranges[0]![0] = sequence
  else ranges[at - 1]![1] = Math.max(ranges[at - 1]![1], sequence)
}
