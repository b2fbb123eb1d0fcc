// The language of searches: words, "phrases", prefix*, and filters like from:ada. Any thread; pure. Invariant: what comes
// out is bounded, and no character of it has a meaning of its own any more; match.ts quotes it.

import { CallError } from '../failures.ts'
import { HAS_KINDS, type Has } from '../store/search-index.ts'
import { words } from './fold.ts'

export const QUERY_LENGTH_MAX = 256
const TERMS_MAX = 12

/** All words of a text, next to each other; with `isPrefix` the last one may go on. */
export type Term = Readonly<{
  text: string
  /** Folded; empty when an index of words has nothing to say about it (an emoji, say). */
  words: readonly string[]
  isPrefix: boolean
}>

export type Query = Readonly<{
  terms: readonly Term[]
  /** Nicknames or 'me'; undefined: everybody. */
  from: string | undefined
  /** Name or id of a conversation, or @nickname. */
  in: string | undefined
  /** Milliseconds: since the first, before the second. */
  afterMs: number | undefined
  beforeMs: number | undefined
  has: readonly Has[]
}>

/** A quoted text, a filter with its value, or what stands between spaces. A quote that is not closed ends at the end. */
const PIECE = /(?:(from|in|before|after|has):(?:"([^"]*)(?:"|$)|(\S*)))|"([^"]*)(?:"|$)(\*?)|([^\s"]+)/giu

/** Throws `bad_request` and says what is wrong. `utcOffsetMin`: minutes that the asker's clock is ahead of UTC. */
export function parseQuery(text: string, utcOffsetMin = 0): Query {
  const plain = text
    .normalize('NFC')
    .replace(/\p{Cc}/gu, ' ')
    .replace(/[“”„«»]/gu, '"')
  const terms: Term[] = []
  const filters = new Map<string, string>()
  const has = new Set<Has>()
  for (const [, key, quotedValue, value, phrase, phraseStar, word] of plain.matchAll(PIECE)) {
    if (key !== undefined) {
      const name = key.toLowerCase()
      const given = (quotedValue ?? value ?? '').trim()
      if (given === '') throw new CallError('bad_request', `query: ${name}: is followed by nothing`)
      if (name === 'has') has.add(readHas(given))
      else if (filters.has(name)) throw new CallError('bad_request', `query: ${name}: is there twice`)
      else filters.set(name, given)
    } else if (phrase !== undefined) addTerm(terms, phrase, phraseStar === '*')
    else addTerm(terms, word!.replace(/\*+$/u, ''), word!.endsWith('*'))
  }
  if (terms.length > TERMS_MAX) {
    throw new CallError('bad_request', `query: ${terms.length} terms; at most ${TERMS_MAX} are allowed`)
  }
  const timeOf = (key: string) => {
    const given = filters.get(key)
    return given === undefined ? undefined : readTime(key, given, utcOffsetMin)
  }
  return {
    terms,
    from: filters.get('from'),
    in: filters.get('in'),
    afterMs: timeOf('after'),
    beforeMs: timeOf('before'),
    has: [...has],
  }
}

/** Without a letter, a digit or a sign it is nothing that could be looked for. */
function addTerm(terms: Term[], given: string, isPrefix: boolean): void {
  const text = given.trim()
  const found = words(text).map(({ folded }) => folded)
  if (found.length === 0 && !/[\p{S}\p{Emoji_Presentation}]/u.test(text)) return
  terms.push({ text, words: found, isPrefix })
}

function readHas(given: string): Has {
  const kind = HAS_KINDS.find(one => one === given.toLowerCase())
  if (kind !== undefined) return kind
  throw new CallError('bad_request', `query: has:${given}; ${HAS_KINDS.join(', ')} are allowed`)
}

const DATE = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/
const MINUTE_MS = 60_000

/** A year, month or day means its beginning on the asker's clock; a time with its zone means itself. */
function readTime(key: string, given: string, utcOffsetMin: number): number {
  const [, year, month = '01', day = '01'] = DATE.exec(given) ?? []
  const isTime = year === undefined && /^\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:\d{2})$/.test(given)
  const ms = isTime ? Date.parse(given) : Date.parse(`${year}-${month}-${day}T00:00:00Z`)
  // 2024-02-31 is read as a day of March, where it is read at all.
  const isReal = isTime || (Number.isFinite(ms) && new Date(ms).getUTCDate() === Number(day))
  if (!Number.isFinite(ms) || !isReal) {
    throw new CallError('bad_request', `query: ${key}:${given}; a date is written 2024-05-31`)
  }
  return isTime ? ms : ms - utcOffsetMin * MINUTE_MS
}
