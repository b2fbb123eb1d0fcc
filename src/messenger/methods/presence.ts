// Who is online, asked for: some users, or all in pages. Changes are told in the channel of presence.

import { z } from 'zod'
import { inSteps, type Method } from '../method.ts'
import { id, timeMs } from '../model.ts'
import { lastSeenOf } from '../store/last-seen.ts'

const USERS_MAX = 500
const PAGE_MAX = 5_000

const get = inSteps({
  name: 'presence.get',
  access: 'user',
  about: 'Whether users are online, and when they were last. Unknown users are left out.',
  input: z.object({ users: z.array(id).max(USERS_MAX) }),
  output: z.object({
    users: z.array(z.object({ user: id, online: z.boolean(), last_seen_ms: timeMs })),
  }),
  fails: [],
  run: async ({ db, online }, _, { users }) => {
    const known = [...new Set(users)].map(user => ({ user, last_seen_ms: lastSeenOf(db, user) }))
    return {
      users: known.flatMap(({ user, last_seen_ms }) =>
        last_seen_ms === undefined ? [] : [{ user, online: online.isOnline(user), last_seen_ms }],
      ),
    }
  },
})

const list = inSteps({
  name: 'presence.list',
  access: 'user',
  about:
    'Who is online, by ascending id. `after`: the last id of the page before; `next` 0: that was the last page.',
  input: z.object({
    after: z.int().min(0).default(0),
    limit: z.int().min(1).max(PAGE_MAX).default(PAGE_MAX),
  }),
  output: z.object({ users: z.array(id), next: z.int().min(0), total: z.int().min(0) }),
  fails: [],
  run: async ({ online }, _, { after, limit }) => {
    const all = online.all()
    const from = firstAfter(all, after)
    const users = all.slice(from, from + limit)
    return { users, next: from + limit < all.length ? users.at(-1)! : 0, total: all.length }
  },
})

/** Index of the first id that is larger; the ids ascend. */
function firstAfter(ids: readonly number[], after: number): number {
  let low = 0
  let high = ids.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ids[middle]! > after) high = middle
    else low = middle + 1
  }
  return low
}

export const presenceMethods: readonly Method[] = [get, list]
