// Random changes of groups by random users, compared with a model of plain sets: whatever is allowed or refused, a group
// has one owner, counts its members rightly, and numbers its changes without a gap.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CallError } from '../../src/messenger/failures.ts'
import type { MemberRole } from '../../src/messenger/model.ts'
import { openWorld, type World } from './conversation-world.ts'

const USERS = 5
type Model = Map<number, Map<number, MemberRole>>

const user = fc.integer({ min: 1, max: USERS })
const which = fc.nat({ max: 3 })
const operation = fc.oneof(
  fc.record({
    kind: fc.constant('create_group' as const),
    by: user,
    users: fc.array(user, { maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant('invite' as const),
    by: user,
    which,
    users: fc.array(user, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('remove' as const), by: user, which, user }),
  fc.record({ kind: fc.constant('leave' as const), by: user, which }),
  fc.record({
    kind: fc.constant('set_role' as const),
    by: user,
    which,
    user,
    role: fc.constantFrom('owner', 'admin', 'member'),
  }),
  fc.record({ kind: fc.constant('delete' as const), by: user, which }),
)
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

test('groups are as a model says after any changes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async operations => {
      const world = openWorld()
      try {
        for (let n = 0; n < USERS; n++) world.addUser()
        const model: Model = new Map()
        for (const one of operations) {
          world.clock.nowMs++
          await apply(world, model, one)
          compare(world, model)
        }
      } finally {
        world.close()
      }
    }),
    { numRuns: 40 },
  )
})

async function apply(world: World, model: Model, one: Operation): Promise<void> {
  if (one.kind === 'create_group') {
    const { conversation } = await world.call(one.by, 'conversation.create_group', {
      name: 'g',
      members: one.users,
    })
    const members = new Map<number, MemberRole>(one.users.map(id => [id, 'member']))
    model.set(conversation.id, members.set(one.by, 'owner'))
    return
  }
  const ids = [...model.keys()]
  const conversation = ids[one.which % Math.max(1, ids.length)] ?? 77
  const { kind, by, which: _, ...input } = one
  const outcome = await world
    .call(by, `conversation.${kind}`, { conversation, ...input })
    .catch(error => error)
  const group = model.get(conversation) ?? new Map<number, MemberRole>()
  const expected = allowed(group, one)
  expect(outcome instanceof CallError ? outcome.kind : 'ok').toBe(expected)
  if (expected === 'ok') change(model, conversation, group, one)
}

type Change = Exclude<Operation, { kind: 'create_group' }>

function allowed(group: ReadonlyMap<number, MemberRole>, one: Change): string {
  const role = group.get(one.by)
  if (role === undefined) return 'not_found'
  const isAdmin = role !== 'member'
  switch (one.kind) {
    case 'invite':
      return isAdmin ? 'ok' : 'forbidden'
    case 'leave':
      return 'ok'
    case 'delete':
      return role === 'owner' ? 'ok' : 'forbidden'
    case 'remove':
      if (!isAdmin) return 'forbidden'
      if (one.user === one.by) return 'bad_request'
      if (!group.has(one.user)) return 'not_found'
      return role === 'owner' || group.get(one.user) === 'member' ? 'ok' : 'forbidden'
    case 'set_role':
      if (role !== 'owner') return 'forbidden'
      if (one.user === one.by) return 'bad_request'
      return group.has(one.user) ? 'ok' : 'not_found'
  }
}

function change(model: Model, id: number, group: Map<number, MemberRole>, one: Change): void {
  switch (one.kind) {
    case 'invite':
      for (const user of one.users) if (!group.has(user)) group.set(user, 'member')
      return
    case 'remove':
      group.delete(one.user)
      return
    case 'set_role':
      if (one.role === 'owner') group.set(one.by, 'admin')
      group.set(one.user, one.role as MemberRole)
      return
    case 'delete':
      model.delete(id)
      return
    case 'leave': {
      const wasOwner = group.get(one.by) === 'owner'
      group.delete(one.by)
      if (group.size === 0) model.delete(id)
      else if (wasOwner) inherits(group)
    }
  }
}

/** Several may be as old as each other: the database chooses, and `compare` checks that it chose among them. */
function inherits(group: Map<number, MemberRole>): void {
  const admins = [...group].filter(([, role]) => role === 'admin')
  group.set(0, 'owner')
  heirs = admins.length > 0 ? admins.map(([id]) => id) : [...group.keys()].filter(id => id !== 0)
}
let heirs: number[] = []

function compare(world: World, model: Model): void {
  for (const [id, group] of model) {
    const rows = world.db.all<{ user: number; role: MemberRole }>(
      'SELECT user_id AS user, role FROM members WHERE conversation_id = ? ORDER BY user_id',
      id,
    )
    if (group.delete(0)) {
      const owner = rows.find(({ role }) => role === 'owner')!.user
      expect(heirs).toContain(owner)
      group.set(owner, 'owner')
    }
    expect(new Map(rows.map(({ user, role }) => [user, role]))).toEqual(group)
    expect(rows.filter(({ role }) => role === 'owner')).toHaveLength(1)
    const { rev, member_count } = world.db.get<{ rev: number; member_count: number }>(
      'SELECT rev, member_count FROM conversations WHERE id = ?',
      id,
    )!
    expect(member_count).toBe(rows.length)
    const changes = world.db.all<{ rev: number }>('SELECT rev FROM changes WHERE conversation_id = ?', id)
    expect(changes.map(one => one.rev)).toEqual(Array.from({ length: rev }, (_, index) => index + 1))
  }
  const { n } = world.db.get<{ n: number }>(
    "SELECT count(*) AS n FROM conversations WHERE kind = 'group' AND member_count > 0",
  )!
  expect(n).toBe(model.size)
}
