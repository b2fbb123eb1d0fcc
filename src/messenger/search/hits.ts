// Where the terms of a query stand in a text, how well it answers them, and the piece of it that is shown. Any thread; pure.

import { fold, trace, type Word, words } from './fold.ts'
import type { Term } from './query.ts'

/** UTF-16 units. */
export type Range = Readonly<{ start: number; end: number }>

/** Okapi BM25, with its usual constants. */
const K1 = 1.2
const B = 0.75
/** Words of a usual message; what is longer weighs each of its hits less. */
const USUAL_WORDS = 12
/** A word that only begins like the term. */
const PREFIX_WEIGHT = 0.7
/** A new message is worth as much as another hit; half of it a month later. */
const RECENCY_WEIGHT = 1
const RECENCY_HALF_MS = 30 * 24 * 3_600_000
/** Of longer texts only the beginning counts for the rank, so that ranking is bounded work. */
const RANKED_LENGTH_MAX = 2_000

/**
 * How well a text answers. All terms are in each text that is ranked, so how rare they are makes no difference between
 * any two, and is left out.
 */
export function score(text: string, terms: readonly Term[], ageMs: number): number {
  const all = words(text.slice(0, RANKED_LENGTH_MAX))
  const norm = K1 * (1 - B + (B * all.length) / USUAL_WORDS)
  let sum = RECENCY_WEIGHT * 2 ** (-Math.max(0, ageMs) / RECENCY_HALF_MS)
  for (const term of terms) {
    let hits = 0
    for (const { isWhole } of occurrences(all, term)) hits += isWhole ? 1 : PREFIX_WEIGHT
    sum += (hits * (K1 + 1)) / (hits + norm)
  }
  return sum
}

/** Ascending, without overlaps. `parts`: also inside of words. */
export function ranges(text: string, terms: readonly Term[], parts: boolean): Range[] {
  const all = words(text)
  const found = terms.flatMap(term => occurrences(all, term).map(({ start, end }) => ({ start, end })))
  if (parts) found.push(...partsOf(text, terms))
  found.sort((a, b) => a.start - b.start || b.end - a.end)
  const merged: Range[] = []
  for (const range of found) {
    const last = merged.at(-1)
    if (last === undefined || range.start >= last.end) merged.push(range)
    else if (range.end > last.end) merged[merged.length - 1] = { start: last.start, end: range.end }
  }
  return merged
}

/** Whether all terms stand in a text, be it inside of words. */
export function containsAll(text: string, terms: readonly Term[]): boolean {
  const folded = fold(text)
  return terms.every(term => folded.includes(fold(term.text)))
}

type Occurrence = Range & Readonly<{ isWhole: boolean }>

function occurrences(all: readonly Word[], { words: wanted, isPrefix }: Term): Occurrence[] {
  const found: Occurrence[] = []
  if (wanted.length === 0) return found
  const last = wanted.length - 1
  for (let at = 0; at + last < all.length; at++) {
    const matches = wanted.every((word, index) => {
      const { folded } = all[at + index]!
      return folded === word || (isPrefix && index === last && folded.startsWith(word))
    })
    if (!matches) continue
    const end = all[at + last]!
    found.push({ start: all[at]!.start, end: end.end, isWhole: end.folded === wanted[last] })
  }
  return found
}

function partsOf(text: string, terms: readonly Term[]): Range[] {
  const { folded, starts } = trace(text)
  const found: Range[] = []
  for (const term of terms) {
    const wanted = fold(term.text)
    if (wanted === '') continue
    for (let at = folded.indexOf(wanted); at >= 0; at = folded.indexOf(wanted, at + wanted.length)) {
      found.push({ start: starts[at]!, end: starts[at + wanted.length]! })
    }
  }
  return found
}
