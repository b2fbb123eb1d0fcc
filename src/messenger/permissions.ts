// Who may do what in a conversation: one pure decision for all methods. Any thread.
// Invariant: who is not a member learns nothing, not even that the conversation exists; an administrator of the server
// is no exception to that for what was said in it.

import { CallError } from './failures.ts'
import type { MemberRole, UserRole } from './model.ts'

export type Action =
  /** Messages, members, marks, search, export. */
  | 'read'
  | 'send'
  | 'react'
  | 'edit_own'
  | 'delete_own'
  | 'delete_others'
  | 'pin'
  | 'rename'
  | 'invite'
  | 'remove_member'
  | 'remove_admin'
  | 'change_role'
  | 'leave'
  | 'set_retention'
  | 'delete_conversation'

export type Kind = 'direct' | 'group' | 'everyone'

export type Standing = Readonly<{
  kind: Kind
  /** Undefined: not a member. */
  member: MemberRole | undefined
  user: UserRole
}>

export type Decision = 'allowed' | 'forbidden' | 'hidden'

/** The least standing that an action needs. `server`: an administrator of the server, who is a member. */
type Needed = 'member' | 'admin' | 'owner' | 'server' | 'nobody'

const NEEDED: Readonly<Record<Action, Readonly<Record<Kind, Needed>>>> = {
  read: { direct: 'member', group: 'member', everyone: 'member' },
  send: { direct: 'member', group: 'member', everyone: 'member' },
  react: { direct: 'member', group: 'member', everyone: 'member' },
  edit_own: { direct: 'member', group: 'member', everyone: 'member' },
  delete_own: { direct: 'member', group: 'member', everyone: 'member' },
  delete_others: { direct: 'nobody', group: 'admin', everyone: 'server' },
  pin: { direct: 'member', group: 'admin', everyone: 'server' },
  rename: { direct: 'nobody', group: 'admin', everyone: 'nobody' },
  invite: { direct: 'nobody', group: 'admin', everyone: 'nobody' },
  remove_member: { direct: 'nobody', group: 'admin', everyone: 'nobody' },
  remove_admin: { direct: 'nobody', group: 'owner', everyone: 'nobody' },
  change_role: { direct: 'nobody', group: 'owner', everyone: 'nobody' },
  leave: { direct: 'nobody', group: 'member', everyone: 'nobody' },
  set_retention: { direct: 'server', group: 'admin', everyone: 'server' },
  delete_conversation: { direct: 'nobody', group: 'owner', everyone: 'nobody' },
}

const RANK: Readonly<Record<MemberRole, number>> = { member: 0, admin: 1, owner: 2 }

export function decide(action: Action, standing: Standing): Decision {
  const { kind, member, user } = standing
  if (member === undefined) return 'hidden'
  const needed = NEEDED[action][kind]
  if (needed === 'nobody') return 'forbidden'
  if (needed === 'server') return user === 'admin' ? 'allowed' : 'forbidden'
  return RANK[member] >= RANK[needed] ? 'allowed' : 'forbidden'
}

/** Throws what the caller gets to see. */
export function permit(action: Action, standing: Standing): void {
  switch (decide(action, standing)) {
    case 'allowed':
      return
    case 'forbidden':
      throw new CallError('forbidden', action.replaceAll('_', ' '))
    case 'hidden':
      throw new CallError('not_found', 'conversation')
  }
}
