// Searching messages: the index of words first, newest candidates ranked a block at a time, then what is found only inside
// of words. A thread of the pool; only reads. Invariants: a message outside of the asker's conversations is no candidate, and
// its text is never read; a page costs a bounded number of candidates, and where it goes on stands in its cursor.

import { z } from 'zod'
import { CallError } from '../failures.ts'
import type { Database } from '../store/database.ts'
import { type Candidate, candidates, type Index, idsWithin, matchingIds } from '../store/search.ts'
import type { Tag } from '../store/search-index.ts'
import { containsAll, type Range, ranges, score } from './hits.ts'
import { isPart, matchParts, matchWords, type Scope } from './match.ts'
import type { Term } from './query.ts'
import { type Snippet, snippet } from './snippet.ts'

/** Candidates that are ranked against each other. */
const BLOCK = 500
/** Blocks that one page looks at, in which a filter may leave nothing. */
const BLOCKS_MAX = 8
/** Begins no further block after this long; the page is then shorter than asked for, and has a cursor. */
const SEARCH_MS = 250

/** What is searched, and where. `top` and `bottom`: ids of messages, included. */
export type Search = Readonly<{
  terms: readonly Term[]
  conversations: readonly number[]
  author: number | undefined
  tags: readonly Tag[]
  afterMs: number
  beforeMs: number
  top: number
  bottom: number
  nowMs: number
}>

export type Hit = Readonly<{
  conversation: number
  seq: number
  author: number
  created_ms: number
  snippet: Snippet
  files: { name: string; ranges: Range[] }[]
}>

export type Found = Readonly<{ hits: Hit[]; cursor: string | undefined }>

/** `phase`: which index. `top`: the newest message of the block. `skip`: what of the block was on pages before. */
const cursorSchema = z.strictObject({
  phase: z.enum(['words', 'parts']),
  top: z.int().min(0),
  skip: z.int().min(0).max(BLOCK),
  /** The time that the age of messages was counted from, so that all pages have one order. */
  now: z.int().min(0),
  /** The newest message of all. */
  newest: z.int().min(0),
})
type Cursor = z.infer<typeof cursorSchema>

export const CURSOR_LENGTH_MAX = 300

/** Throws `bad_request` for a cursor that is none of ours. */
export function search(db: Database, asked: Search, limit: number, cursor: string | undefined): Found {
  const start: Cursor = { phase: 'words', top: asked.top, skip: 0, now: asked.nowMs, newest: asked.top }
  const request = { asked, own: new Set(asked.conversations) }
  const hits: Hit[] = []
  const startedMs = performance.now()
  let at: Cursor | undefined = cursor === undefined ? start : readCursor(cursor)
  for (let blocks = 0; at !== undefined && hits.length < limit; blocks++) {
    if (blocks >= BLOCKS_MAX || performance.now() - startedMs > SEARCH_MS) break
    const step: Step = at.phase === 'words' ? wordsBlock(db, request, at) : partsBlock(db, request, at)
    const taken = step.found.slice(0, limit - hits.length)
    hits.push(...taken.map(candidate => hitOf(candidate, asked.terms, at!.phase === 'parts')))
    at = taken.length < step.found.length ? { ...at, skip: at.skip + taken.length } : step.next
  }
  return { hits, cursor: at && writeCursor(at) }
}

type Request = Readonly<{ asked: Search; own: ReadonlySet<number> }>
/** What is left of a block, in order, and where to go on behind it. */
type Step = Readonly<{ found: readonly Candidate[]; next: Cursor | undefined }>

type Bounds = Readonly<{ top: number; bottom: number }>

/** Each tag of a search costs; who is in more conversations than these has most likely what is newest of all. */
const TAGGED_MAX = 32
/** Then so many of the newest are looked at, of whatever conversation, before the tags are asked. */
const SCAN = 1_000
const SCANS_MAX = 4

/** The newest messages within the asker's conversations that an index has for the terms; undefined: it has none of them. */
function newestIds(
  db: Database,
  index: Index,
  { asked, own }: Request,
  bounds: Bounds,
): number[] | undefined {
  const matchOf = index === 'words' ? matchWords : matchParts
  const others: Scope = [
    ...(asked.author === undefined ? [] : [[{ kind: 'author', id: asked.author } as const]]),
    ...asked.tags.map(tag => [tag]),
  ]
  const tagged = [...own].map(id => ({ kind: 'conversation', id }) as const)
  const match = matchOf([tagged, ...others], asked.terms)
  if (match === undefined) return undefined
  const isScanned = own.size > TAGGED_MAX && (asked.terms.length > 0 || others.length > 0)
  if (!isScanned) return matchingIds(db, index, match, bounds, BLOCK)
  const anywhere = matchOf(others, asked.terms)!
  const found: number[] = []
  let { top } = bounds
  for (let scans = 0; scans < SCANS_MAX; scans++) {
    const ids = matchingIds(db, index, anywhere, { ...bounds, top }, SCAN)
    found.push(...idsWithin(db, ids, own))
    if (ids.length < SCAN || found.length >= BLOCK) return found.slice(0, BLOCK)
    top = ids.at(-1)! - 1
  }
  return [...found, ...matchingIds(db, index, match, { ...bounds, top }, BLOCK - found.length)]
}

function wordsBlock(db: Database, request: Request, at: Cursor): Step {
  const { asked } = request
  const behind: Cursor = { ...at, phase: 'parts', top: at.newest, skip: 0 }
  const afterWords = asked.terms.length === 0 ? undefined : behind
  const ids = newestIds(db, 'words', request, { top: at.top, bottom: asked.bottom })
  if (ids === undefined) return { found: [], next: afterWords }
  const inTime = candidates(db, ids).filter(isInTime(asked))
  const found = asked.terms.length === 0 ? inTime : ranked(inTime, asked.terms, at.now)
  const next = ids.length < BLOCK ? afterWords : { ...at, top: ids.at(-1)! - 1, skip: 0 }
  return { found: found.slice(at.skip), next }
}

function ranked(found: readonly Candidate[], terms: readonly Term[], nowMs: number): Candidate[] {
  const scored = found.map(candidate => {
    const { created_ms } = candidate
    return { candidate, score: score(allText(candidate), terms, nowMs - created_ms) }
  })
  scored.sort((a, b) => b.score - a.score || b.candidate.id - a.candidate.id)
  return scored.map(({ candidate }) => candidate)
}

/** Newest first, without what the index of words has found. */
function partsBlock(db: Database, request: Request, at: Cursor): Step {
  const { asked } = request
  const ids = newestIds(db, 'parts', request, { top: at.top, bottom: asked.bottom })
  if (ids === undefined) return { found: [], next: undefined }
  const isLast = ids.length < BLOCK
  const next = isLast ? undefined : { ...at, top: ids.at(-1)! - 1, skip: 0 }
  if (ids.length === 0) return { found: [], next }
  // What contains a word contains its parts, so there are no more of them than of candidates.
  const known = new Set(newestIds(db, 'words', request, { top: ids[0]!, bottom: ids.at(-1)! }))
  const found = candidates(
    db,
    ids.filter(id => !known.has(id)),
  ).filter(isInTime(asked))
  // Terms that are too short for the index were not asked of it.
  const isExact = asked.terms.every(isPart)
  const fitting = isExact ? found : found.filter(candidate => containsAll(allText(candidate), asked.terms))
  return { found: fitting.slice(at.skip), next }
}

/** The bounds by id are only as good as the clock was. */
function isInTime({ afterMs, beforeMs }: Search): (candidate: Candidate) => boolean {
  return ({ created_ms }) => created_ms >= afterMs && created_ms < beforeMs
}

function allText({ text, names }: Candidate): string {
  return names.length === 0 ? text : [text, ...names].join('\n')
}

function hitOf(candidate: Candidate, terms: readonly Term[], parts: boolean): Hit {
  const { conversation, seq, author, created_ms, text, names } = candidate
  return {
    conversation,
    seq,
    author,
    created_ms,
    snippet: snippet(text, ranges(text, terms, parts)),
    files: names.map(name => ({ name, ranges: ranges(name, terms, parts) })),
  }
}

function writeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url')
}

function readCursor(text: string): Cursor {
  try {
    return cursorSchema.parse(JSON.parse(Buffer.from(text, 'base64url').toString()))
  } catch {
    throw new CallError('bad_request', `cursor: ${JSON.stringify(text)} is none that a search has given`)
  }
}
