// How accounts come to be and end, each with all that hangs on it. The messenger's thread.
// Invariants: the first account, and never none at all, is an administrator's; an account that ended leaves no login,
// no membership of a group, no file and nothing personal behind.

import { disconnects } from '../../protocol/codes.ts'
import type { Caller } from '../caller.ts'
import { CallError } from '../failures.ts'
import { removeFile } from '../files/in-messages.ts'
import { leaveAll } from '../membership.ts'
import type { StepsContext, WriteContext } from '../method.ts'
import type { UserRole } from '../model.ts'
import { attachedTo } from '../store/attachments.ts'
import { type AuditAction, addAudit } from '../store/audit.ts'
import { addMember } from '../store/conversations.ts'
import { filesOf } from '../store/files.ts'
import { EVERYONE } from '../store/schema.ts'
import { deleteSessions } from '../store/sessions.ts'
import { eraseUser, insertUser, otherAdmins, type UserRow, userById, userByKey } from '../store/users.ts'
import { foldName, readDisplayName, readNickname } from './names.ts'
import { checkNewPassword } from './passwords.ts'

/** Files of an account that are deleted in one transaction; fewer when so many messages had those before. */
const FILES_SLICE = 20
const MESSAGES_SLICE = 100

export type Wanted = Readonly<{ nickname: string; key: string; displayName: string; password: string }>

/** What somebody wants to be called, and the password, as far as that can be judged alone. */
export function readWanted(input: {
  nickname: string
  display_name?: string | undefined
  password: string
}): Wanted {
  const { nickname, key } = readNickname(input.nickname)
  const displayName = readDisplayName(input.display_name, nickname)
  checkNewPassword(input.password, [nickname, displayName])
  return { nickname, key, displayName, password: input.password }
}

export function createAccount(
  { db, nowMs }: WriteContext,
  { nickname, key, displayName }: Wanted,
  passwordHash: string,
  role: UserRole,
): number {
  if (userByKey(db, key) !== undefined) throw new CallError('name_taken', nickname)
  const displayKey = foldName(displayName)
  const user = insertUser(db, {
    nickname,
    nicknameKey: key,
    displayName,
    displayKey,
    passwordHash,
    role,
    nowMs,
  })
  addMember(db, EVERYONE, user, 'member', nowMs)
  return user
}

/** In slices before the account itself: a cut in between leaves an account that can be deleted again. */
export async function deleteAccount(context: StepsContext, caller: Caller): Promise<void> {
  const { user } = caller
  while (await context.write(write => deleteSomeFiles(write, user)));
  await context.write(write => {
    mustNotBeLastAdmin(write, user)
    // What was uploaded since, if anything.
    while (deleteSomeFiles(write, user));
    leaveAll(write, user)
    deleteSessions(write.db, user, '')
    eraseUser(write.db, user)
    note(write, caller, 'account_deleted', userTarget(user))
  })
  context.effects.end(user, '', disconnects.accountClosed)
}

/** Answers whether there may be others. */
function deleteSomeFiles(context: WriteContext, user: number): boolean {
  const files = filesOf(context.db, user, 0, FILES_SLICE)
  let messages = 0
  for (const file of files) {
    if (messages >= MESSAGES_SLICE) return true
    messages += attachedTo(context.db, file.id)
    removeFile(context, file)
  }
  return files.length === FILES_SLICE
}

/** A user whom something can be done to. Throws `not_found` for those that there never were and who deleted themselves. */
export function existingUser({ db }: Pick<WriteContext, 'db'>, user: number): UserRow {
  const row = userById(db, user)
  if (row === undefined || row.state === 'deleted') throw new CallError('not_found', `user ${user}`)
  return row
}

/** Before an account is blocked, demoted or deleted. */
export function mustNotBeLastAdmin({ db }: Pick<WriteContext, 'db'>, user: number): void {
  const row = userById(db, user)
  if (row?.role === 'admin' && row.state === 'active' && otherAdmins(db, user) === 0) {
    throw new CallError('conflict', 'it is the last administrator')
  }
}

/** One line of the audit log for what the caller does. */
export function note(
  { db, nowMs }: WriteContext,
  { user, address }: Pick<Caller, 'user' | 'address'>,
  action: AuditAction,
  target: string,
  detail = '',
): void {
  addAudit(db, { nowMs, actor: user, action, target, detail, address })
}

export function userTarget(user: number): string {
  return `user:${user}`
}
