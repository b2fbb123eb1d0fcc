// Searching what the caller may read. Threads of the pool.

import { z } from 'zod'
import { foldName } from '../accounts/names.ts'
import type { Caller } from '../caller.ts'
import { CallError } from '../failures.ts'
import { type Method, type ReadContext, reads } from '../method.ts'
import { id, seq, timeMs } from '../model.ts'
import { parseQuery, QUERY_LENGTH_MAX, type Query } from '../search/query.ts'
import { CURSOR_LENGTH_MAX, search } from '../search/search.ts'
import { conversationsOf, directKey } from '../store/conversations.ts'
import { EVERYONE } from '../store/schema.ts'
import {
  conversationByDirectKey,
  firstIdSince,
  lastIdBefore,
  namedConversations,
  newestId,
} from '../store/search.ts'
import { userByKey } from '../store/users.ts'

const LIMIT_MAX = 50
const LIMIT = 20
/** From UTC-14 to UTC+14. */
const OFFSET_MAX_MIN = 14 * 60

/** Units of UTF-16 in the text beside it. */
const range = z.object({ start: z.int().min(0), end: z.int().min(0) })

const messages = reads({
  name: 'search.messages',
  access: 'user',
  about:
    'Messages that have all words of the query in their text or in the names of their files; those that only have them inside of words come last. "a phrase", begin*, from:nickname (or from:me), in:name (or in:id, in:@nickname, in:everyone), after:2024-05-31 (that day or later), before:2024-06, has:image, has:file, has:link. Case and accents make no difference.',
  input: z.strictObject({
    query: z.string().max(QUERY_LENGTH_MAX),
    /** Only this conversation. */
    in: id.optional(),
    /** Only messages of this user. */
    from: id.optional(),
    /** How far the caller's clock is ahead of UTC: for dates. */
    utc_offset_min: z.int().min(-OFFSET_MAX_MIN).max(OFFSET_MAX_MIN).default(0),
    limit: z.int().min(1).max(LIMIT_MAX).default(LIMIT),
    cursor: z.string().max(CURSOR_LENGTH_MAX).optional(),
  }),
  output: z.object({
    hits: z.array(
      z.object({
        conversation: id,
        seq,
        author: id,
        created_ms: timeMs,
        snippet: z.object({
          text: z.string(),
          ranges: z.array(range),
          cut_before: z.boolean(),
          cut_after: z.boolean(),
        }),
        /** Names of attached files. */
        files: z.array(z.object({ name: z.string(), ranges: z.array(range) })),
      }),
    ),
    /** Given back, brings the next page. Missing: there is none. A page may be short and have one. */
    cursor: z.string().optional(),
  }),
  fails: ['not_found'],
  run: (context, caller, input) => {
    const { db, nowMs } = context
    const query = parseQuery(input.query, input.utc_offset_min)
    const author = authorOf(context, caller, query, input.from)
    const conversations = conversationsFor(context, caller, query, input.in)
    const { terms, has, afterMs = 0, beforeMs = Number.MAX_SAFE_INTEGER } = query
    const isNothing = terms.length === 0 && author === undefined && has.length === 0
    if (
      isNothing &&
      query.in === undefined &&
      input.in === undefined &&
      afterMs === 0 &&
      query.beforeMs === undefined
    ) {
      throw new CallError('bad_request', 'query: nothing to look for')
    }
    const bottom = query.afterMs === undefined ? 0 : firstIdSince(db, afterMs)
    if (bottom === undefined) return { hits: [], cursor: undefined }
    const top = query.beforeMs === undefined ? newestId(db) : lastIdBefore(db, beforeMs)
    const tags = has.map(what => ({ kind: 'has', what }) as const)
    return search(
      db,
      { terms, conversations, author, tags, afterMs, beforeMs, top, bottom, nowMs },
      input.limit,
      input.cursor,
    )
  },
})

/** Undefined: everybody. */
function authorOf(
  { db }: ReadContext,
  caller: Caller,
  { from }: Query,
  given: number | undefined,
): number | undefined {
  if (from === undefined) return given
  if (given !== undefined) throw new CallError('bad_request', 'from: is given, and in the query as well')
  if (from.toLowerCase() === 'me') return caller.user
  return userNamed({ db }, 'from', from)
}

function userNamed({ db }: Pick<ReadContext, 'db'>, filter: string, name: string): number {
  const user = userByKey(db, foldName(name.replace(/^@/, '')))
  if (user === undefined) throw new CallError('not_found', `${filter}:${name}`)
  return user.id
}

/** Never others than the caller's own. */
function conversationsFor(
  context: ReadContext,
  caller: Caller,
  query: Query,
  given: number | undefined,
): readonly number[] {
  const own = conversationsOf(context.db, caller.user, context.options)
  if (given !== undefined) {
    if (query.in !== undefined) throw new CallError('bad_request', 'in: is given, and in the query as well')
    if (!own.includes(given)) throw new CallError('not_found', 'conversation')
    return [given]
  }
  if (query.in === undefined) return own
  const named = conversationsNamed(context, caller, own, query.in)
  if (named.length === 0) throw new CallError('not_found', `in:${query.in}`)
  return named
}

function conversationsNamed(
  { db }: ReadContext,
  caller: Caller,
  own: readonly number[],
  name: string,
): number[] {
  if (name.startsWith('@')) {
    const direct = conversationByDirectKey(db, directKey(caller.user, userNamed({ db }, 'in', name)))
    return own.filter(id => id === direct)
  }
  const folded = foldName(name)
  const named = namedConversations(db, own).filter(one => foldName(one.name) === folded)
  if (named.length > 0) return named.map(({ id }) => id)
  if (folded === foldName('everyone')) return own.filter(id => id === EVERYONE)
  return own.filter(id => String(id) === name)
}

export const searchMethods: readonly Method[] = [messages]
