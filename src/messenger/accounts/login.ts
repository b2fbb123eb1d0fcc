// Checks of passwords, each step the same for whoever it may be. The messenger's thread.
// Invariant: that there is no such user, and that the password is wrong, take the same work and get the same answer.

import type { Caller } from '../caller.ts'
import { CallError } from '../failures.ts'
import type { StepsContext } from '../method.ts'
import type { AuditAction } from '../store/audit.ts'
import { replacePasswordHash, type UserRow, userByKey } from '../store/users.ts'
import { note, userTarget } from './accounts.ts'
import { NAME_INPUT_LENGTH_MAX } from './names.ts'
import { checkPasswordSize } from './passwords.ts'

/** Whose password was right, with the hash it now has. Throws `bad_credentials`, `rate` or `busy`. */
export async function checkCredentials(
  context: StepsContext,
  caller: Caller,
  key: string,
  password: string,
  onFailure: AuditAction = 'login_failed',
): Promise<UserRow> {
  checkPasswordSize(password)
  const settle = context.guards.login(key.slice(0, NAME_INPUT_LENGTH_MAX), caller.address)
  let checked: { user: UserRow | undefined; matches: boolean; stale: boolean }
  try {
    const user = userByKey(context.db, key)
    const hash = user?.password_hash ?? ''
    checked = { user, ...(await context.pool.run('verifyPassword', { password, hash })) }
  } catch (error) {
    settle(undefined)
    throw error
  }
  const { user, matches, stale } = checked
  settle(matches)
  if (user === undefined || !matches) {
    const target = user === undefined ? '' : userTarget(user.id)
    await context.write(write => note(write, caller, onFailure, target))
    throw new CallError('bad_credentials')
  }
  return stale ? await hashAnew(context, user, password) : user
}

/** The parameters have grown since: this is the moment at which the password is known. */
async function hashAnew(context: StepsContext, user: UserRow, password: string): Promise<UserRow> {
  const hash = await context.pool.run('hashPassword', { password })
  await context.write(({ db }) => {
    // Changed meanwhile: what was checked is no longer the password.
    if (!replacePasswordHash(db, user.id, user.password_hash, hash)) throw new CallError('bad_credentials')
  })
  return { ...user, password_hash: hash }
}
