// Users as others see them. Any thread may import it.

import { z } from 'zod'
import { foldName, NAME_INPUT_LENGTH_MAX, readDisplayName } from '../accounts/names.ts'
import { type Method, reads, writes } from '../method.ts'
import { id, user } from '../model.ts'
import { findUsers, listUsers, setDisplayName, userById, userRecord, usersByIds } from '../store/users.ts'

const IDS_MAX = 500
const PAGE_MAX = 500
const FOUND_MAX = 100

const me = reads({
  name: 'user.me',
  access: 'user',
  about: 'The caller: what others see, the login of this call, and the room for files.',
  input: z.object({}),
  output: z.object({ user, session: z.string(), quota_bytes: z.int(), used_bytes: z.int() }),
  fails: [],
  run: ({ db, options }, caller) => {
    const row = userById(db, caller.user)!
    return {
      user: userRecord(row),
      session: caller.session,
      quota_bytes: row.quota_bytes ?? options.user_quota,
      used_bytes: row.used_bytes,
    }
  },
})

const get = reads({
  name: 'user.get',
  access: 'user',
  about:
    'Users by their ids, also those who were blocked or deleted; ids that there never were are left out.',
  input: z.object({ ids: z.array(id).min(1).max(IDS_MAX) }),
  output: z.object({ users: z.array(user) }),
  fails: [],
  run: ({ db }, _, { ids }) => ({ users: usersByIds(db, ids).map(userRecord) }),
})

const find = reads({
  name: 'user.find',
  access: 'user',
  about:
    'Active users whose nickname, or a word of whose display name, begins like this; case does not count.',
  input: z.object({
    query: z.string().min(1).max(NAME_INPUT_LENGTH_MAX),
    limit: z.int().min(1).max(FOUND_MAX).default(20),
  }),
  output: z.object({ users: z.array(user) }),
  fails: [],
  run: ({ db }, _, { query, limit }) => {
    const folded = foldName(query.trim())
    return { users: folded === '' ? [] : findUsers(db, folded, limit).map(userRecord) }
  },
})

const list = reads({
  name: 'user.list',
  access: 'user',
  about:
    'All users but deleted ones, by id. `next` is the `after` of the next page; 0: that was the last one.',
  input: z.object({
    after: z.int().min(0).default(0),
    limit: z.int().min(1).max(PAGE_MAX).default(100),
  }),
  output: z.object({ users: z.array(user), next: z.int() }),
  fails: [],
  run: ({ db }, _, { after, limit }) => {
    const rows = listUsers(db, after, limit)
    return { users: rows.map(userRecord), next: rows.length < limit ? 0 : rows.at(-1)!.id }
  },
})

const updateProfile = writes({
  name: 'user.update_profile',
  access: 'user',
  rated: true,
  about: 'Sets the display name; "": the nickname.',
  input: z.object({ display_name: z.string().max(2 * NAME_INPUT_LENGTH_MAX) }),
  output: z.object({ user }),
  fails: [],
  run: ({ db, effects }, caller, input) => {
    const row = userById(db, caller.user)!
    const display_name = readDisplayName(input.display_name, row.nickname)
    setDisplayName(db, row.id, display_name, foldName(display_name))
    const record = userRecord({ ...row, display_name })
    effects.tell(row.id, { type: 'profile', user: record })
    return { user: record }
  },
})

export const usersMethods: readonly Method[] = [me, get, find, list, updateProfile]
