// Every action × every role × every kind, as one table that says what is allowed: whoever changes a permission changes
// it here as well. All else must be refused, and hidden from who is not a member.

import { describe, expect, test } from 'vitest'
import { type Action, decide, type Kind, permit, type Standing } from '../../src/messenger/permissions.ts'

const KINDS = ['direct', 'group', 'everyone'] as const satisfies readonly Kind[]
const ROLES = ['owner', 'admin', 'member'] as const
const USERS = ['admin', 'user'] as const

/** For each kind who may: roles in it, each with the user's role on the server. */
type Allowed = Readonly<Record<Kind, readonly string[]>>

const all = ['owner+user', 'admin+user', 'member+user', 'owner+admin', 'admin+admin', 'member+admin']
const ofServer = ['owner+admin', 'admin+admin', 'member+admin']
const admins = ['owner+user', 'admin+user', 'owner+admin', 'admin+admin']
const owners = ['owner+user', 'owner+admin']

const TABLE: Readonly<Record<Action, Allowed>> = {
  read: { direct: all, group: all, everyone: all },
  send: { direct: all, group: all, everyone: all },
  react: { direct: all, group: all, everyone: all },
  edit_own: { direct: all, group: all, everyone: all },
  delete_own: { direct: all, group: all, everyone: all },
  delete_others: { direct: [], group: admins, everyone: ofServer },
  pin: { direct: all, group: admins, everyone: ofServer },
  rename: { direct: [], group: admins, everyone: [] },
  invite: { direct: [], group: admins, everyone: [] },
  remove_member: { direct: [], group: admins, everyone: [] },
  remove_admin: { direct: [], group: owners, everyone: [] },
  change_role: { direct: [], group: owners, everyone: [] },
  leave: { direct: [], group: all, everyone: [] },
  set_retention: { direct: ofServer, group: admins, everyone: ofServer },
  delete_conversation: { direct: [], group: owners, everyone: [] },
}
const ACTIONS = Object.keys(TABLE) as Action[]

const rows = ACTIONS.flatMap(action => KINDS.map(kind => [action, kind] as const))

describe('who may do what', () => {
  test.each(rows)('%s in a conversation of kind %s', (action, kind) => {
    const standings = ROLES.flatMap(member => USERS.map(user => ({ kind, member, user })))
    const allowed = standings.filter(standing => decide(action, standing) === 'allowed')
    expect(allowed.map(({ member, user }) => `${member}+${user}`).sort()).toEqual(
      [...TABLE[action][kind]].sort(),
    )
    const refused = standings.filter(standing => !allowed.includes(standing))
    expect(refused.map(standing => decide(action, standing))).toEqual(refused.map(() => 'forbidden'))
  })

  test.each(rows)('%s in a conversation of kind %s is hidden from who is not a member', (action, kind) => {
    for (const user of USERS) expect(decide(action, { kind, member: undefined, user })).toBe('hidden')
  })

  test('nobody gains by an administrator of the server who is not a member', () => {
    const outside: Standing = { kind: 'group', member: undefined, user: 'admin' }
    for (const action of ACTIONS) expect(() => permit(action, outside)).toThrow('not found: conversation')
  })

  test('who is refused is told what for', () => {
    const standing: Standing = { kind: 'group', member: 'member', user: 'user' }
    expect(() => permit('delete_conversation', standing)).toThrow('permission denied: delete conversation')
    expect(() => permit('send', standing)).not.toThrow()
  })
})
