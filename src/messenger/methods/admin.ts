// What administrators do to users and conversations. Each change leaves a line in the audit log. Any thread may import it.

import { z } from 'zod'
import { disconnects } from '../../protocol/codes.ts'
import {
  createAccount,
  existingUser,
  mustNotBeLastAdmin,
  note,
  readWanted,
  userTarget,
} from '../accounts/accounts.ts'
import { foldName, NAME_INPUT_LENGTH_MAX } from '../accounts/names.ts'
import { checkNewPassword } from '../accounts/passwords.ts'
import { CallError } from '../failures.ts'
import { endConversation, setRetention } from '../membership.ts'
import { inSteps, type Method, reads, type WriteContext, writes } from '../method.ts'
import { id, retentionDays, timeMs, user, userRole } from '../model.ts'
import { placeOf } from '../store/conversations.ts'
import { deleteSessions } from '../store/sessions.ts'
import { administeredUsers } from '../store/stats.ts'
import {
  replacePasswordHash,
  setUserQuota,
  setUserRole,
  setUserState,
  userById,
  userByKey,
  userRecord,
} from '../store/users.ts'
import { overviewMethods } from './overview.ts'

const PAGE_MAX = 500

const nothing = z.object({})
const nickname = z.string().max(NAME_INPUT_LENGTH_MAX)
/** Its rules have words of their own: see accounts/passwords.ts. */
const password = z.string()
const target = z.object({ user: id })

const users = reads({
  name: 'admin.users',
  access: 'admin',
  about:
    'Users with their state, room and logins, by id. `query`: how the nickname begins. `next` is the `after` of the next page; 0: that was the last one.',
  input: z.object({
    after: z.int().min(0).default(0),
    limit: z.int().min(1).max(PAGE_MAX).default(100),
    state: user.shape.state.optional(),
    role: userRole.optional(),
    query: z.string().max(NAME_INPUT_LENGTH_MAX).default(''),
  }),
  output: z.object({
    users: z.array(
      user.extend({
        created_ms: timeMs,
        used_bytes: z.int(),
        quota_bytes: z.int(),
        quota_is_own: z.boolean().describe('Whether an administrator has set it.'),
        logins: z.int(),
      }),
    ),
    next: z.int(),
  }),
  fails: ['forbidden'],
  run: ({ db, options }, _, { after, limit, state, role, query }) => {
    const rows = administeredUsers(db, {
      after,
      limit,
      state: state ?? '',
      role: role ?? '',
      folded: foldName(query.trim()),
    })
    return {
      users: rows.map(row => ({
        ...userRecord(row),
        created_ms: row.created_ms,
        used_bytes: row.used_bytes,
        quota_bytes: row.quota_bytes ?? options.user_quota,
        quota_is_own: row.quota_bytes !== null,
        logins: row.logins,
      })),
      next: rows.length < limit ? 0 : rows.at(-1)!.id,
    }
  },
})

const addUser = inSteps({
  name: 'admin.add_user',
  access: 'admin',
  about: 'Opens an account for somebody, also where nobody can sign up.',
  input: z.object({
    nickname,
    password,
    display_name: z
      .string()
      .max(2 * NAME_INPUT_LENGTH_MAX)
      .optional(),
    role: userRole.default('user'),
  }),
  output: z.object({ user }),
  fails: ['forbidden', 'weak_password', 'too_large', 'name_taken'],
  run: async (context, caller, input) => {
    const wanted = readWanted(input)
    if (userByKey(context.db, wanted.key) !== undefined) throw new CallError('name_taken', wanted.nickname)
    const hash = await context.pool.run('hashPassword', { password: wanted.password })
    return await context.write(write => {
      mustBeAdmin(write, caller.user)
      const added = createAccount(write, wanted, hash, input.role)
      note(write, caller, 'user_added', userTarget(added), input.role)
      return { user: userRecord(userById(write.db, added)!) }
    })
  },
})

const block = writes({
  name: 'admin.block',
  access: 'admin',
  about: 'Ends all logins and connections of a user, who can not log in again until unblocked.',
  input: target,
  output: nothing,
  fails: ['forbidden', 'not_found', 'conflict'],
  run: (context, caller, input) => {
    const row = existingUser(context, input.user)
    mustNotBeLastAdmin(context, row.id)
    setUserState(context.db, row.id, 'blocked')
    const ended = deleteSessions(context.db, row.id, '')
    context.effects.end(row.id, '', disconnects.accountClosed)
    note(context, caller, 'user_blocked', userTarget(row.id), `${ended} logins ended`)
    return {}
  },
})

const unblock = writes({
  name: 'admin.unblock',
  access: 'admin',
  about: 'Lets a blocked user log in again.',
  input: target,
  output: nothing,
  fails: ['forbidden', 'not_found'],
  run: (context, caller, input) => {
    const row = existingUser(context, input.user)
    setUserState(context.db, row.id, 'active')
    note(context, caller, 'user_unblocked', userTarget(row.id))
    return {}
  },
})

const setRole = writes({
  name: 'admin.set_role',
  access: 'admin',
  about: 'Makes a user an administrator of the server, or one like any other. The last administrator stays.',
  input: target.extend({ role: userRole }),
  output: z.object({ user }),
  fails: ['forbidden', 'not_found', 'conflict'],
  run: (context, caller, { user, role }) => {
    const row = existingUser(context, user)
    if (role === 'user') mustNotBeLastAdmin(context, user)
    setUserRole(context.db, user, role)
    const record = userRecord({ ...row, role })
    context.effects.tell(user, { type: 'profile', user: record })
    note(context, caller, 'role_set', userTarget(user), role)
    return { user: record }
  },
})

const setQuota = writes({
  name: 'admin.set_quota',
  access: 'admin',
  about: 'What the files of a user may take; null: what the configuration says.',
  input: target.extend({ quota_bytes: z.int().min(0).nullable() }),
  output: nothing,
  fails: ['forbidden', 'not_found'],
  run: (context, caller, { user, quota_bytes }) => {
    existingUser(context, user)
    setUserQuota(context.db, user, quota_bytes)
    note(context, caller, 'quota_set', userTarget(user), quota_bytes === null ? 'default' : `${quota_bytes}`)
    return {}
  },
})

const resetPassword = inSteps({
  name: 'admin.reset_password',
  access: 'admin',
  about: 'Gives a user who forgot it another password, and ends all logins of that user.',
  input: target.extend({ password }),
  output: nothing,
  fails: ['forbidden', 'not_found', 'weak_password', 'too_large', 'conflict'],
  run: async (context, caller, input) => {
    const row = existingUser(context, input.user)
    checkNewPassword(input.password, [row.nickname, row.display_name])
    const hash = await context.pool.run('hashPassword', { password: input.password })
    await context.write(write => {
      mustBeAdmin(write, caller.user)
      if (!replacePasswordHash(write.db, row.id, row.password_hash, hash)) {
        throw new CallError('conflict', 'the password was changed meanwhile')
      }
      deleteSessions(write.db, row.id, '')
      note(write, caller, 'password_reset', userTarget(row.id))
    })
    context.effects.end(row.id, '', disconnects.sessionEnded)
    return {}
  },
})

/** Once more at the end of several steps: the role may have been taken meanwhile. */
function mustBeAdmin({ db }: WriteContext, user: number): void {
  if (userById(db, user)?.role !== 'admin') throw new CallError('forbidden')
}

const deleteConversation = writes({
  name: 'admin.delete_conversation',
  access: 'admin',
  about: 'Ends a group or direct conversation for all its members, and deletes all that is in it.',
  input: z.object({ conversation: id }),
  output: nothing,
  fails: ['forbidden', 'not_found'],
  run: (context, caller, { conversation }) => {
    existingConversation(context, conversation)
    endConversation(context, conversation)
    note(context, caller, 'conversation_deleted', `conversation:${conversation}`)
    return {}
  },
})

const setConversationRetention = writes({
  name: 'admin.set_retention',
  access: 'admin',
  about:
    'After how many days messages of a conversation are deleted; 0: never, null: as the configuration says.',
  input: z.object({ conversation: id, days: retentionDays }),
  output: nothing,
  fails: ['forbidden', 'not_found'],
  run: (context, caller, { conversation, days }) => {
    existingConversation(context, conversation)
    setRetention(context, conversation, days)
    note(
      context,
      caller,
      'retention_set',
      `conversation:${conversation}`,
      days === null ? 'default' : `${days}`,
    )
    return {}
  },
})

/** Its administrator need not be a member, and learns nothing of what is said in it. */
function existingConversation({ db }: WriteContext, conversation: number): void {
  const place = placeOf(db, conversation, 0)
  const hasEnded = place?.member_count === 0 && place.kind !== 'everyone'
  if (place === undefined || hasEnded) throw new CallError('not_found', `conversation ${conversation}`)
}

export const adminMethods: readonly Method[] = [
  users,
  addUser,
  block,
  unblock,
  setRole,
  setQuota,
  resetPassword,
  deleteConversation,
  setConversationRetention,
  ...overviewMethods,
]
