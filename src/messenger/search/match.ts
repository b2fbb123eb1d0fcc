// What is asked of the full-text indexes, as text of FTS5. Any thread; pure. Invariant: whatever a user typed stands
// inside of quotes, with its own quotes doubled: it can be looked for, and can't change what is asked.

import { partTag, type Tag, wordTag } from '../store/search-index.ts'
import type { Term } from './query.ts'

/** The index of pieces knows nothing shorter. */
const PART_LENGTH_MIN = 3

/** Where to look: one of each list. An empty list means nowhere. */
export type Scope = readonly (readonly Tag[])[]

/** Undefined: nothing can be found by words. */
export function matchWords(scope: Scope, terms: readonly Term[]): string | undefined {
  if (isNowhere(scope) || terms.some(({ words }) => words.length === 0)) return undefined
  const asked = terms.map(({ text, isPrefix }) => `{text names} : ${quoted(text)}${isPrefix ? ' *' : ''}`)
  return all([...scope.map(tags => `tags : (${tags.map(wordTag).join(' OR ')})`), ...asked])
}

/** Undefined: all terms are too short to be looked for in parts of words. */
export function matchParts(scope: Scope, terms: readonly Term[]): string | undefined {
  return matchPieces('{text names}', scope, terms)
}

/** For names of files. Undefined: all terms are too short. */
export function matchNames(scope: Scope, terms: readonly Term[]): string | undefined {
  return matchPieces('name', scope, terms)
}

function matchPieces(columns: string, scope: Scope, terms: readonly Term[]): string | undefined {
  const long = terms.filter(isPart)
  if (isNowhere(scope) || long.length === 0) return undefined
  const asked = long.map(({ text }) => `${columns} : ${quoted(text)}`)
  return all([
    ...scope.map(tags => `tags : (${tags.map(tag => quoted(partTag(tag))).join(' OR ')})`),
    ...asked,
  ])
}

export function isPart({ text }: Term): boolean {
  return [...text].length >= PART_LENGTH_MIN
}

function isNowhere(scope: Scope): boolean {
  return scope.some(tags => tags.length === 0)
}

function all(conditions: readonly string[]): string {
  return conditions.map(condition => `(${condition})`).join(' AND ')
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}
