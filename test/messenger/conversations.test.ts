import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Effect } from '../../src/messenger/effects.ts'
import { channelsOf, roleIn } from '../../src/messenger/store/conversations.ts'
import { abandonedConversation } from '../../src/messenger/store/retention.ts'
import { EVERYONE } from '../../src/messenger/store/schema.ts'
import { openWorld, type World } from './conversation-world.ts'

let world: World
let ann: number
let bob: number
let eve: number

function begin(changed: Parameters<typeof openWorld>[0] = {}): void {
  world = openWorld(changed)
  ann = world.addUser()
  bob = world.addUser()
  eve = world.addUser()
}
beforeEach(() => begin())
afterEach(() => world.close())

/** Another world than the one that each test begins with. */
function beginAnew(changed: Parameters<typeof openWorld>[0]): void {
  world.close()
  begin(changed)
}

async function groupOf(owner: number, ...members: number[]): Promise<number> {
  const { conversation } = await world.call(owner, 'conversation.create_group', { name: 'The band', members })
  return conversation.id
}

const role = (group: number, user: number) => roleIn(world.db, group, user)
const revOf = async (user: number, id: number) =>
  (await world.call(user, 'conversation.get', { conversation: id })).conversation.rev
const told = (effects: readonly Effect[]) =>
  effects.map(effect => {
    if (effect.kind === 'publish' || effect.kind === 'tell')
      return `${effect.kind} ${effect.kind === 'tell' ? effect.user : 'members'} ${effect.event.type}`
    return effect.kind === 'join' || effect.kind === 'leave' ? `${effect.kind} ${effect.user}` : effect.kind
  })

describe('a group', () => {
  test('is made with its owner and members, who are subscribed and told', async () => {
    const input = { name: '  The\n  band ', members: [bob, bob, ann] }
    const { conversation } = await world.call(ann, 'conversation.create_group', input)
    expect(conversation).toMatchObject({
      kind: 'group',
      name: 'The band',
      peer: 0,
      members: 2,
      role: 'owner',
      seq: 0,
      rev: 0,
    })
    expect(conversation.last_message).toBeUndefined()
    expect(told(world.effects())).toEqual([
      `join ${ann}`,
      `tell ${ann} conversation_added`,
      `join ${bob}`,
      `tell ${bob} conversation_added`,
    ])
    expect(channelsOf(world.db, bob, world.options)).toContain(`im:c:${conversation.id}`)
    expect(channelsOf(world.db, eve, world.options)).not.toContain(`im:c:${conversation.id}`)
  })

  test.each([
    ['', 'name'],
    [' \n\t ', 'name'],
    ['x'.repeat(101), '101 characters'],
    ['evil\u202ename', 'nobody sees'],
    ['a\u0000b', 'nobody sees'],
    ['half \ud800', 'nobody sees'],
  ])('is not named %j', async (name, problem) => {
    await expect(world.call(ann, 'conversation.create_group', { name })).rejects.toThrow(problem)
    const group = await groupOf(ann)
    await expect(world.call(ann, 'conversation.rename', { conversation: group, name })).rejects.toThrow(
      problem,
    )
  })

  test('may have a name in any script, with emoji that are put together', async () => {
    const name = 'Семья 家族 👩‍👩‍👧 ' + 'e\u0301'
    const { conversation } = await world.call(ann, 'conversation.create_group', { name })
    expect(conversation.name).toBe('Семья 家族 👩‍👩‍👧 \u00e9')
  })

  test('gets members: who is in it already stays what it is, and one event tells of the others', async () => {
    const group = await groupOf(ann, bob)
    const input = { conversation: group, users: [bob, eve, eve] }
    expect(await world.call(ann, 'conversation.invite', input)).toEqual({ joined: [eve] })
    expect(told(world.effects())).toEqual([
      'publish members members',
      `join ${eve}`,
      `tell ${eve} conversation_added`,
    ])
    expect(await revOf(eve, group)).toBe(1)
    expect(world.db.all('SELECT rev, event FROM changes')).toEqual([
      { rev: 1, event: JSON.stringify({ type: 'members', joined: [eve], left: [], rev: 1 }) },
    ])
    expect(await world.call(ann, 'conversation.invite', input)).toEqual({ joined: [] })
    expect(world.effects()).toEqual([])
  })

  test('gets all that are invited or none', async () => {
    const group = await groupOf(ann)
    world.setState(eve, 'blocked')
    await expect(
      world.call(ann, 'conversation.invite', { conversation: group, users: [bob, eve] }),
    ).rejects.toThrow(`not found: user ${eve}`)
    await expect(
      world.call(ann, 'conversation.invite', { conversation: group, users: [bob, 99] }),
    ).rejects.toThrow('not found: user 99')
    expect(role(group, bob)).toBeUndefined()
    expect(await revOf(ann, group)).toBe(0)
  })

  test('has at most as many members as is configured', async () => {
    beginAnew({ group_members: 2 })
    await expect(groupOf(ann, bob, eve)).rejects.toThrow('limit reached: 3 members, of at most 2')
    const group = await groupOf(ann, bob)
    await expect(
      world.call(ann, 'conversation.invite', { conversation: group, users: [eve] }),
    ).rejects.toThrow('limit reached')
  })

  test('and users are in at most as many conversations as is configured, besides that of all', async () => {
    beginAnew({ conversations_per_user: 2 })
    await groupOf(ann, bob)
    await groupOf(ann)
    await expect(groupOf(ann)).rejects.toThrow(`limit reached: user ${ann} is in 2 conversations`)
    await expect(world.call(eve, 'conversation.direct', { user: ann })).rejects.toThrow('limit reached')
    await groupOf(bob)
    await expect(groupOf(eve, bob)).rejects.toThrow(`user ${bob}`)
  })

  test('loses a member by an administrator, and an administrator by the owner alone', async () => {
    const group = await groupOf(ann, bob, eve)
    const remove = (by: number, user: number) =>
      world.call(by, 'conversation.remove', { conversation: group, user })
    await world.call(ann, 'conversation.set_role', { conversation: group, user: bob, role: 'admin' })
    await expect(remove(eve, bob)).rejects.toThrow('permission denied: remove member')
    await expect(remove(bob, ann)).rejects.toThrow('permission denied: remove admin')
    await expect(remove(bob, bob)).rejects.toThrow('leave the group')
    await expect(remove(bob, 99)).rejects.toThrow('not found: member 99')
    await remove(bob, eve)
    expect(told(world.effects())).toEqual([
      `leave ${eve}`,
      `tell ${eve} conversation_removed`,
      'publish members members',
    ])
    await expect(world.call(eve, 'conversation.get', { conversation: group })).rejects.toThrow(
      'not found: conversation',
    )
    await remove(ann, bob)
    expect(role(group, bob)).toBeUndefined()
  })

  test('passes to its oldest administrator when the owner leaves, else to its oldest member, and ends with the last', async () => {
    const group = await groupOf(ann, bob)
    world.clock.nowMs++
    await world.call(ann, 'conversation.invite', { conversation: group, users: [eve] })
    await world.call(ann, 'conversation.set_role', { conversation: group, user: eve, role: 'admin' })
    await world.call(ann, 'conversation.leave', { conversation: group })
    expect([role(group, ann), role(group, bob), role(group, eve)]).toEqual([undefined, 'member', 'owner'])
    await world.call(eve, 'conversation.leave', { conversation: group })
    expect(role(group, bob)).toBe('owner')
    expect(abandonedConversation(world.db)).toBeUndefined()
    await world.call(bob, 'conversation.leave', { conversation: group })
    expect(abandonedConversation(world.db)).toBe(group)
    expect(told(world.effects())).toEqual([`leave ${bob}`, `tell ${bob} conversation_removed`])
  })

  test('has exactly one owner: who gives it away is an administrator', async () => {
    const group = await groupOf(ann, bob)
    const setRole = (by: number, user: number, as: string) =>
      world.call(by, 'conversation.set_role', { conversation: group, user, role: as })
    await expect(setRole(bob, bob, 'owner')).rejects.toThrow('permission denied: change role')
    await expect(setRole(ann, ann, 'member')).rejects.toThrow('the owner stays the owner')
    await expect(setRole(ann, eve, 'owner')).rejects.toThrow(`not found: member ${eve}`)
    await setRole(ann, bob, 'owner')
    expect([role(group, ann), role(group, bob)]).toEqual(['admin', 'owner'])
    expect(told(world.effects())).toEqual(['publish members role', 'publish members role'])
    await setRole(bob, ann, 'admin')
    expect(world.effects()).toEqual([])
  })

  test('is renamed and kept for days, and tells it once', async () => {
    const group = await groupOf(ann, bob)
    await world.call(ann, 'conversation.rename', { conversation: group, name: 'New' })
    expect(world.effects()).toEqual([
      {
        kind: 'publish',
        conversation: group,
        event: { type: 'conversation', name: 'New', retention_days: 0, rev: 1 },
      },
    ])
    await world.call(ann, 'conversation.rename', { conversation: group, name: 'New ' })
    expect(world.effects()).toEqual([])
    const retain = (days: unknown) =>
      world.call(ann, 'conversation.set_retention', { conversation: group, days })
    await retain(30)
    expect((await world.call(bob, 'conversation.get', { conversation: group })).conversation).toMatchObject({
      name: 'New',
      retention_days: 30,
      rev: 2,
    })
    await retain(null)
    expect(
      (await world.call(bob, 'conversation.get', { conversation: group })).conversation.retention_days,
    ).toBe(0)
    await expect(retain(-1)).rejects.toThrow()
  })

  test('is deleted for all: nobody finds it any more', async () => {
    const group = await groupOf(ann, bob)
    world.say(group, ann)
    await expect(world.call(bob, 'conversation.delete', { conversation: group })).rejects.toThrow(
      'permission denied',
    )
    await world.call(ann, 'conversation.delete', { conversation: group })
    expect(told(world.effects())).toEqual([
      `leave ${ann}`,
      `tell ${ann} conversation_removed`,
      `leave ${bob}`,
      `tell ${bob} conversation_removed`,
    ])
    for (const user of [ann, bob]) {
      await expect(world.call(user, 'conversation.get', { conversation: group })).rejects.toThrow(
        'not found: conversation',
      )
      const { conversations } = await world.call(user, 'conversation.list')
      expect(conversations.map(({ id }: { id: number }) => id)).toEqual([EVERYONE])
    }
    expect(abandonedConversation(world.db)).toBe(group)
  })
})

describe('a direct conversation', () => {
  test('is one, whoever begins it', async () => {
    const { conversation: first } = await world.call(ann, 'conversation.direct', { user: bob })
    expect(first).toMatchObject({ kind: 'direct', name: '', peer: bob, members: 2, role: 'member' })
    expect(told(world.effects())).toContain(`tell ${bob} conversation_added`)
    const { conversation: second } = await world.call(bob, 'conversation.direct', { user: ann })
    expect(second).toMatchObject({ id: first.id, peer: ann })
    expect(world.effects()).toEqual([])
  })

  test('is not begun with oneself, nor with who is blocked, deleted or nobody', async () => {
    await expect(world.call(ann, 'conversation.direct', { user: ann })).rejects.toThrow('with another user')
    world.setState(bob, 'blocked')
    world.setState(eve, 'deleted')
    for (const user of [bob, eve, 99]) {
      await expect(world.call(ann, 'conversation.direct', { user })).rejects.toThrow(
        `not found: user ${user}`,
      )
    }
  })

  test('with somebody who was blocked later is still found', async () => {
    const { conversation } = await world.call(ann, 'conversation.direct', { user: bob })
    world.setState(bob, 'blocked')
    expect((await world.call(ann, 'conversation.direct', { user: bob })).conversation.id).toBe(
      conversation.id,
    )
  })

  test.each(['leave', 'delete', 'rename', 'invite', 'remove', 'set_role', 'set_retention'])(
    'is not a group: %s is refused',
    async method => {
      const { conversation } = await world.call(ann, 'conversation.direct', { user: bob })
      const input: Record<string, object> = {
        rename: { name: 'x' },
        invite: { users: [eve] },
        remove: { user: bob },
        set_role: { user: bob, role: 'admin' },
        set_retention: { days: 1 },
      }
      await expect(
        world.call(ann, `conversation.${method}`, { conversation: conversation.id, ...input[method] }),
      ).rejects.toThrow('permission denied')
    },
  )
})

describe('the conversation of all users', () => {
  test('is there for each, and can neither be left nor deleted', async () => {
    const { conversation } = await world.call(eve, 'conversation.get', { conversation: EVERYONE })
    expect(conversation).toMatchObject({ kind: 'everyone', members: 3, role: 'member' })
    for (const method of ['leave', 'delete']) {
      await expect(world.call(ann, `conversation.${method}`, { conversation: EVERYONE })).rejects.toThrow(
        'permission denied',
      )
    }
  })

  test('is not there when it is switched off', async () => {
    beginAnew({ everyone: false })
    expect(await world.call(ann, 'conversation.list')).toMatchObject({ conversations: [], next: '' })
    expect(channelsOf(world.db, ann, world.options)).toEqual([`im:u:${ann}`, 'im:presence'])
    for (const method of ['get', 'members', 'mute']) {
      const input = { conversation: EVERYONE, ...(method === 'mute' && { muted: true }) }
      await expect(world.call(ann, `conversation.${method}`, input)).rejects.toThrow(
        'not found: conversation',
      )
    }
  })
})

describe('who is not a member', () => {
  test('can not tell a conversation from one that does not exist', async () => {
    const group = await groupOf(ann, bob)
    const inputs: Record<string, object> = {
      get: {},
      members: {},
      rename: { name: 'x' },
      invite: { users: [eve] },
      remove: { user: bob },
      leave: {},
      set_role: { user: bob, role: 'admin' },
      delete: {},
      set_retention: { days: 1 },
      mute: { muted: true },
    }
    for (const [method, input] of Object.entries(inputs)) {
      for (const conversation of [group, 999]) {
        const call = world.call(eve, `conversation.${method}`, { conversation, ...input })
        await expect(call, method).rejects.toThrow(/^not found: conversation$/)
      }
    }
  })
})

describe('members', () => {
  test('come in pages, with who is online', async () => {
    const group = await groupOf(ann, bob, eve)
    world.online.add(bob)
    const page = (after: number) =>
      world.call(ann, 'conversation.members', { conversation: group, after, limit: 2 })
    const first = await page(0)
    expect(first).toMatchObject({
      members: [
        { user: ann, role: 'owner', nickname: 'user1', online: false },
        { user: bob, role: 'member', display_name: 'User 2', online: true },
      ],
      next: bob,
      total: 3,
    })
    expect(await page(first.next)).toMatchObject({ members: [{ user: eve }], next: 0 })
  })

  test('mute for themselves alone', async () => {
    const group = await groupOf(ann, bob)
    await world.call(bob, 'conversation.mute', { conversation: group, muted: true })
    expect(told(world.effects())).toEqual([`tell ${bob} muted`])
    expect((await world.call(bob, 'conversation.get', { conversation: group })).conversation.muted).toBe(true)
    expect((await world.call(ann, 'conversation.get', { conversation: group })).conversation.muted).toBe(
      false,
    )
  })
})
