// The piece of a text that is shown for a hit: text and ranges, never markup. Any thread; pure.

import type { Range } from './hits.ts'

export const SNIPPET_LENGTH_MAX = 200
/** What is shown before the first hit. */
const LEAD_LENGTH = 40
/** A cut moves so far at most to fall between words. */
const BOUNDARY_LENGTH_MAX = 20

export type Snippet = Readonly<{
  text: string
  /** What to highlight in `text`. */
  ranges: Range[]
  /** Whether something was cut off before it, and behind it. */
  cut_before: boolean
  cut_after: boolean
}>

export function snippet(text: string, found: Range[]): Snippet {
  if (text.length <= SNIPPET_LENGTH_MAX) return { text, ranges: found, cut_before: false, cut_after: false }
  const start = startOf(text, found)
  const end = endOf(text, start)
  const shown = found
    .filter(range => range.end > start && range.start < end)
    .map(range => ({ start: Math.max(range.start, start) - start, end: Math.min(range.end, end) - start }))
  return { text: text.slice(start, end), ranges: shown, cut_before: start > 0, cut_after: end < text.length }
}

/** Shortly before the place with the most hits. */
function startOf(text: string, found: readonly Range[]): number {
  let best = 0
  let most = 0
  for (let first = 0, last = 0; first < found.length; first++) {
    const reach = found[first]!.start + SNIPPET_LENGTH_MAX - LEAD_LENGTH
    while (last < found.length && found[last]!.end <= reach) last++
    if (last - first > most) {
      most = last - first
      best = first
    }
  }
  const hit = found[best]?.start ?? 0
  const wanted = Math.min(hit - LEAD_LENGTH, text.length - SNIPPET_LENGTH_MAX)
  if (wanted <= 0) return 0
  for (let at = wanted; at < Math.min(wanted + BOUNDARY_LENGTH_MAX, hit); at++) {
    if (/\s/.test(text[at]!)) return at + 1
  }
  return isInsidePair(text, wanted) ? wanted + 1 : wanted
}

function endOf(text: string, start: number): number {
  const wanted = start + SNIPPET_LENGTH_MAX
  if (wanted >= text.length) return text.length
  for (let at = wanted; at > wanted - BOUNDARY_LENGTH_MAX; at--) if (/\s/.test(text[at]!)) return at
  return isInsidePair(text, wanted) ? wanted - 1 : wanted
}

/** Between the two units of one character. */
function isInsidePair(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 0xdc00 && code <= 0xdfff
}
