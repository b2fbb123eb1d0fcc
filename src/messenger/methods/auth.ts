// Accounts and logins as their owners use them. Methods for strangers may be called over a connection that has not
// connected yet. Any thread may import it.

import { z } from 'zod'
import { disconnects } from '../../protocol/codes.ts'
import {
  createAccount,
  deleteAccount,
  mustNotBeLastAdmin,
  note,
  readWanted,
  userTarget,
} from '../accounts/accounts.ts'
import { checkCredentials } from '../accounts/login.ts'
import { foldName, NAME_INPUT_LENGTH_MAX } from '../accounts/names.ts'
import { checkNewPassword } from '../accounts/passwords.ts'
import { expiryOf, type OpenedSession, openSession } from '../accounts/sessions.ts'
import { type Caller, DEVICE_LENGTH_MAX } from '../caller.ts'
import { CallError } from '../failures.ts'
import { inSteps, type Method, reads, type StepsContext, writes } from '../method.ts'
import { session, sessionId, timeMs, user } from '../model.ts'
import { deleteSession, deleteSessions, sessionsOf } from '../store/sessions.ts'
import {
  hasUsers,
  replacePasswordHash,
  type UserRow,
  userById,
  userByKey,
  userRecord,
} from '../store/users.ts'

const nothing = z.object({})
const nickname = z.string().max(NAME_INPUT_LENGTH_MAX)
const displayName = z.string().max(2 * NAME_INPUT_LENGTH_MAX)
/** Its rules have words of their own: see accounts/passwords.ts. */
const password = z.string()

const connection = z
  .object({ token: z.string(), expires_ms: timeMs })
  .describe("For the relay's `connect`: a JWT, good for `messenger.token_lifetime`.")
const loggedIn = z.object({
  user,
  session: z
    .object({ token: z.string(), expires_ms: timeMs, id: sessionId })
    .describe('The login. Its token is given this once: for HTTP, and for new connection tokens.'),
  connection,
})

const asDevice = {
  device: z
    .string()
    .max(DEVICE_LENGTH_MAX)
    .optional()
    .describe('How the login is listed; over HTTP else the User-Agent.'),
  cookie: z
    .boolean()
    .optional()
    .describe("Over HTTP: the login's token comes as a cookie and not in the answer."),
}

/** The last step of both ways in. */
async function enter(context: StepsContext, caller: Caller, row: UserRow, opened: OpenedSession) {
  if (caller.transport !== 'http') context.grant({ user: row.id, session: opened.id })
  const signed = await context.signToken(row.id, opened.id)
  return { user: userRecord(row), session: opened, connection: signed }
}

const signup = inSteps({
  name: 'auth.signup',
  access: 'stranger',
  about:
    'Opens an account and logs in. A nickname has 2 to 32 letters, digits, ".", "_" and "-"; those that look alike are the same. A password has 8 to 256 characters. The first account is the administrator\'s.',
  input: z.object({ nickname, password, display_name: displayName.optional(), ...asDevice }),
  output: loggedIn,
  fails: ['weak_password', 'too_large', 'name_taken', 'signup_closed', 'rate'],
  run: async (context, caller, input) => {
    const wanted = readWanted(input)
    mustBeOpen(context)
    // Before a name is looked up: who asks for many learns few.
    context.guards.signup(caller.address)
    if (userByKey(context.db, wanted.key) !== undefined) throw new CallError('name_taken', wanted.nickname)
    const hash = await context.pool.run('hashPassword', { password: wanted.password })
    const { row, opened } = await context.write(write => {
      const isFirst = mustBeOpen(write)
      const id = createAccount(write, wanted, hash, isFirst ? 'admin' : 'user')
      note(write, { ...caller, user: id }, 'signup', userTarget(id))
      const opened = openSession(write, id, { ...caller, device: input.device ?? caller.device })
      return { row: userById(write.db, id)!, opened }
    })
    return enter(context, caller, row, opened)
  },
})

/** Answers whether there is no account yet: the first one can always be opened, or nobody could ever add another. */
function mustBeOpen({ db, options }: Pick<StepsContext, 'db' | 'options'>): boolean {
  const isFirst = !hasUsers(db)
  if (options.signup === 'closed' && !isFirst) throw new CallError('signup_closed')
  return isFirst
}

const login = inSteps({
  name: 'auth.login',
  access: 'stranger',
  about:
    'Logs in. After 5 wrong passwords in a row an account takes the next one after 1 s, 2 s, 4 s, … up to 15 min; an address from which its user has logged in before waits for its own mistakes only.',
  input: z.object({ nickname, password, ...asDevice }),
  output: loggedIn,
  fails: ['bad_credentials', 'forbidden', 'too_large', 'rate'],
  run: async (context, caller, input) => {
    const row = await checkCredentials(context, caller, foldName(input.nickname), input.password)
    const opened = await context.write(write => {
      const now = userById(write.db, row.id)
      // Changed while the old one was being checked.
      if (now?.password_hash !== row.password_hash) throw new CallError('bad_credentials')
      const by = { ...caller, user: row.id }
      if (now.state !== 'active') {
        note(write, by, 'login_failed', userTarget(row.id), 'blocked')
        return undefined
      }
      note(write, by, 'login', userTarget(row.id))
      return openSession(write, row.id, { ...caller, device: input.device ?? caller.device })
    })
    if (opened === undefined) throw new CallError('forbidden', 'the account is blocked')
    return enter(context, caller, row, opened)
  },
})

const logout = writes({
  name: 'auth.logout',
  access: 'user',
  about: 'Ends this login, with all its connections.',
  input: nothing,
  output: nothing,
  fails: [],
  run: (context, caller) => {
    deleteSession(context.db, caller.user, caller.session)
    context.effects.end(caller.user, caller.session, disconnects.sessionEnded)
    note(context, caller, 'logout', userTarget(caller.user))
    return {}
  },
})

const logoutEverywhere = writes({
  name: 'auth.logout_everywhere',
  access: 'user',
  about: 'Ends all logins of the caller, or all but this one, with their connections.',
  input: z.object({ except_current: z.boolean().default(false) }),
  output: z.object({ ended: z.int() }),
  fails: [],
  run: (context, caller, { except_current }) => {
    const except = except_current ? caller.session : ''
    const ended = deleteSessions(context.db, caller.user, except)
    context.effects.end(caller.user, '', disconnects.sessionEnded, except)
    // Who calls it again and again is not to fill the log with nothing.
    if (ended > 0) note(context, caller, 'logout_everywhere', userTarget(caller.user), `${ended} ended`)
    return { ended }
  },
})

const sessions = reads({
  name: 'auth.sessions',
  access: 'user',
  about: 'Logins of the caller, the last used first.',
  input: nothing,
  output: z.object({ sessions: z.array(session) }),
  fails: [],
  run: ({ db, options }, caller) => {
    const rows = sessionsOf(db, caller.user)
    return {
      sessions: rows.map(({ user_id: _, ...row }) => ({
        ...row,
        expires_ms: expiryOf(row, options),
        current: row.id === caller.session,
      })),
    }
  },
})

const revoke = writes({
  name: 'auth.revoke',
  access: 'user',
  about: 'Ends one login of the caller, with its connections.',
  input: z.object({ session: sessionId }),
  output: nothing,
  fails: ['not_found'],
  run: (context, caller, input) => {
    if (!deleteSession(context.db, caller.user, input.session)) {
      throw new CallError('not_found', `session ${input.session}`)
    }
    context.effects.end(caller.user, input.session, disconnects.sessionEnded)
    note(context, caller, 'session_revoked', `session:${input.session}`)
    return {}
  },
})

const token = inSteps({
  name: 'auth.token',
  access: 'user',
  about: 'A new connection token for the relay.',
  input: nothing,
  output: connection.extend({ user }),
  fails: [],
  run: async (context, caller) => {
    const signed = await context.signToken(caller.user, caller.session)
    return { ...signed, user: userRecord(userById(context.db, caller.user)!) }
  },
})

const changePassword = inSteps({
  name: 'auth.change_password',
  access: 'user',
  about: 'Sets another password, and ends all other logins of the caller.',
  input: z.object({ old: password, new: password }),
  output: nothing,
  fails: ['bad_credentials', 'weak_password', 'too_large', 'conflict', 'rate'],
  run: async (context, caller, input) => {
    const own = userById(context.db, caller.user)!
    checkNewPassword(input.new, [own.nickname, own.display_name])
    const row = await checkOwn(context, caller, own, input.old)
    const hash = await context.pool.run('hashPassword', { password: input.new })
    await context.write(write => {
      if (!replacePasswordHash(write.db, row.id, row.password_hash, hash)) {
        throw new CallError('conflict', 'the password was changed meanwhile')
      }
      deleteSessions(write.db, row.id, caller.session)
      write.effects.end(row.id, '', disconnects.sessionEnded, caller.session)
      note(write, caller, 'password_changed', userTarget(row.id))
    })
    return {}
  },
})

const deleteOwnAccount = inSteps({
  name: 'auth.delete_account',
  access: 'user',
  about:
    "Deletes the caller's account: logins, files, names. Messages stay, by a deleted user; groups go to the next administrator or member, and end without one. The nickname can be had by others.",
  input: z.object({ password }),
  output: nothing,
  fails: ['bad_credentials', 'too_large', 'conflict', 'rate'],
  run: async (context, caller, input) => {
    mustNotBeLastAdmin(context, caller.user)
    await checkOwn(context, caller, userById(context.db, caller.user)!, input.password)
    await deleteAccount(context, caller)
    return {}
  },
})

/** Who holds a login still has to know the password, and can guess it no faster than others. */
function checkOwn(context: StepsContext, caller: Caller, own: UserRow, password: string): Promise<UserRow> {
  return checkCredentials(context, caller, own.nickname_key, password, 'password_refused')
}

export const authMethods: readonly Method[] = [
  signup,
  login,
  logout,
  logoutEverywhere,
  sessions,
  revoke,
  token,
  changePassword,
  deleteOwnAccount,
]
