// Finding files by parts of their names. Any thread; only reads. Invariant: it knows nothing of permissions: the caller
// leaves out what the asker may not see, and asks on.

import { CallError } from '../failures.ts'
import type { Database } from '../store/database.ts'
import { matchingFiles, newestFiles } from '../store/search.ts'
import { containsAll } from './hits.ts'
import { isPart, matchNames } from './match.ts'
import { parseQuery } from './query.ts'

/** Names that are looked through for what is too short for the index. */
const LOOKED_THROUGH_MAX = 5_000

/** `after`: ask on with it as `before`; 0: there is nothing more. */
export type FoundFiles = Readonly<{ ids: number[]; after: number }>

/**
 * Ids (files.id) of the newest files below `before` whose names have all words of the query in them. Of the query language
 * words and phrases count; filters are refused, throws `bad_request`. `owner`: only that user's.
 */
export function findFiles(
  db: Database,
  query: string,
  { before = Number.MAX_SAFE_INTEGER, limit, owner }: { before?: number; limit: number; owner?: number },
): FoundFiles {
  const { terms, ...filters } = parseQuery(query)
  if (
    Object.values(filters)
      .flat()
      .some(value => value !== undefined)
  ) {
    throw new CallError('bad_request', 'query: filters like from: are for messages')
  }
  if (terms.length === 0) return { ids: [], after: 0 }
  const match = matchNames(owner === undefined ? [] : [[{ kind: 'owner', id: owner }]], terms)
  const isExact = match !== undefined && terms.every(isPart)
  const max = isExact ? limit : LOOKED_THROUGH_MAX
  const rows = match === undefined ? newestFiles(db, before, max) : matchingFiles(db, match, before, max)
  const fitting = isExact ? rows : rows.filter(({ name }) => containsAll(name, terms))
  const ids = fitting.slice(0, limit).map(({ id }) => id)
  const isAll = rows.length < max && ids.length === fitting.length
  const last = ids.length < limit ? rows.at(-1) : undefined
  return { ids, after: isAll ? 0 : (last?.id ?? ids.at(-1) ?? 0) }
}
