import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { adminMethods } from '../../../src/messenger/methods/admin.ts'
import { Database } from '../../../src/messenger/store/database.ts'
import { volumes } from '../../../src/messenger/store/stats.ts'
import { type Entered, openWorld, PASSWORD, type World } from './world.ts'

const CODES = { unauthorized: 101, forbidden: 103, missing: 1000, conflict: 1005 } as const
const refusedWith = (code: number) => ({ error: { code } })
const HOUR_MS = 3_600_000

let world: World
let root: Entered
let anna: Entered
beforeEach(async () => {
  world = await openWorld()
  root = await world.signup('root')
  anna = await world.signup('anna')
})
afterEach(() => world.close())

const asRoot = (method: string, input: object = {}) => world.call(root.session.token, method, input)
const lastEnd = () => world.orders.findLast(order => order.kind === 'disconnect')

test('methods of administrators are for administrators alone', async () => {
  // Right enough that only the caller is wrong: user, conversation and so on are what the method asks for.
  const inputs = {
    user: anna.user.id,
    conversation: 1,
    nickname: 'new-one',
    password: PASSWORD,
    role: 'user',
    quota_bytes: 1,
    days: 1,
  }
  expect(adminMethods.length).toBeGreaterThan(10)
  for (const { name, access } of adminMethods) {
    expect(access).toBe('admin')
    const call = { transport: 'websocket' } as const
    await expect(world.call(anna.session.token, name, inputs, call)).rejects.toMatchObject(
      refusedWith(CODES.forbidden),
    )
    await expect(world.call(undefined, name, inputs, call)).rejects.toMatchObject(
      refusedWith(CODES.unauthorized),
    )
  }
})

describe('blocking a user', () => {
  test('5: ends all logins and connections at once, and lets nobody in until unblocked', async () => {
    const { id } = anna.user
    await asRoot('admin.block', { user: id })
    expect(lastEnd()).toMatchObject({ user: String(id), code: 4501 })
    expect(lastEnd()).not.toMatchObject({ session: expect.stringMatching(/./) })
    await expect(world.call(anna.session.token, 'user.me')).rejects.toMatchObject(
      refusedWith(CODES.unauthorized),
    )
    expect(world.admit({ user: id, session: anna.session.id }).ok).toBe(false)
    // Who does not know the password learns nothing of it.
    await expect(world.login('anna', 'wrong')).rejects.toMatchObject(refusedWith(1002))
    await expect(world.login('anna')).rejects.toMatchObject(refusedWith(CODES.forbidden))
    await asRoot('admin.unblock', { user: id })
    await expect(world.call(anna.session.token, 'user.me')).rejects.toMatchObject(
      refusedWith(CODES.unauthorized),
    )
    await world.login('anna')
  })

  test('is refused for who was never there, and who is there no more', async () => {
    await world.call(anna.session.token, 'auth.delete_account', { password: PASSWORD })
    for (const user of [anna.user.id, 999]) {
      await expect(asRoot('admin.block', { user })).rejects.toMatchObject(refusedWith(CODES.missing))
      await expect(asRoot('admin.unblock', { user })).rejects.toMatchObject(refusedWith(CODES.missing))
    }
  })
})

test('the last administrator can neither be blocked nor demoted', async () => {
  const user = root.user.id
  const tries = [
    ['admin.block', { user }],
    ['admin.set_role', { user, role: 'user' }],
  ] as const
  for (const [method, input] of tries) {
    await expect(asRoot(method, input)).rejects.toMatchObject(refusedWith(CODES.conflict))
  }
  await asRoot('admin.set_role', { user: anna.user.id, role: 'admin' })
  await asRoot('admin.set_role', { user, role: 'user' })
  await expect(asRoot('admin.users')).rejects.toMatchObject(refusedWith(CODES.forbidden))
  // A blocked administrator does not count.
  const bert = await world.signup('bert')
  const asAnna = (method: string, input: object) => world.call(anna.session.token, method, input)
  await asAnna('admin.set_role', { user: bert.user.id, role: 'admin' })
  await asAnna('admin.block', { user: bert.user.id })
  await expect(asAnna('admin.block', { user: anna.user.id })).rejects.toMatchObject(
    refusedWith(CODES.conflict),
  )
})

test('users are added, also where nobody can sign up', async () => {
  await world.close()
  world = await openWorld({ signup: 'closed' })
  root = await world.signup('root')
  const wanted = { nickname: 'carl', password: PASSWORD, display_name: 'Carl C.', role: 'admin' }
  const { user } = await asRoot('admin.add_user', wanted)
  expect(user).toMatchObject({ nickname: 'carl', display_name: 'Carl C.', role: 'admin' })
  await expect(asRoot('admin.add_user', wanted)).rejects.toMatchObject(refusedWith(1003))
  await expect(asRoot('admin.add_user', { ...wanted, password: 'password' })).rejects.toMatchObject(
    refusedWith(1001),
  )
  const carl = await world.login('carl')
  const channels = world.admit({ user: user.id, session: carl.session.id })
  expect(channels.ok && channels.admission.channels).toContain('im:c:1')
})

test('a password is reset: the old one and all logins end', async () => {
  await asRoot('admin.reset_password', { user: anna.user.id, password: 'brand new password' })
  expect(lastEnd()).toMatchObject({ user: String(anna.user.id), code: 4500 })
  await expect(world.call(anna.session.token, 'user.me')).rejects.toMatchObject(
    refusedWith(CODES.unauthorized),
  )
  await expect(world.login('anna')).rejects.toMatchObject(refusedWith(1002))
  await world.login('anna', 'brand new password')
})

test('users are listed with their state, room and logins', async () => {
  await world.login('anna')
  await asRoot('admin.set_quota', { user: anna.user.id, quota_bytes: 5_000 })
  const { users, next } = await asRoot('admin.users')
  expect(next).toBe(0)
  expect(users).toMatchObject([
    {
      nickname: 'root',
      role: 'admin',
      logins: 1,
      quota_bytes: world.options.user_quota,
      quota_is_own: false,
    },
    { nickname: 'anna', state: 'active', logins: 2, quota_bytes: 5_000, quota_is_own: true, used_bytes: 0 },
  ])
  expect(JSON.stringify(users)).not.toContain('argon2')
  await expect(world.call(anna.session.token, 'user.me')).resolves.toMatchObject({ quota_bytes: 5_000 })
  await asRoot('admin.set_quota', { user: anna.user.id, quota_bytes: null })
  await asRoot('admin.block', { user: anna.user.id })
  const names = async (asked: object) =>
    (await asRoot('admin.users', asked)).users.map(({ nickname }: { nickname: string }) => nickname)
  expect(await names({ state: 'blocked' })).toEqual(['anna'])
  expect(await names({ role: 'admin' })).toEqual(['root'])
  expect(await names({ query: 'AN' })).toEqual(['anna'])
  expect(await names({ limit: 1 })).toEqual(['root'])
  expect(await names({ limit: 1, after: 1 })).toEqual(['anna'])
})

test('conversations are listed by figures, kept for so long, and deleted with all that is in them', async () => {
  const { token } = anna.session
  const { conversation } = await world.call(token, 'conversation.create_group', { name: 'ours' })
  const said = { conversation: conversation.id, client_id: 'a', text: 'between us' }
  await world.call(token, 'message.send', said)
  await asRoot('admin.set_retention', { conversation: conversation.id, days: 30 })
  const listed = await asRoot('admin.conversations', { after: 1 })
  expect(listed).toMatchObject({
    conversations: [
      {
        id: conversation.id,
        kind: 'group',
        members: 1,
        messages: 1,
        retention_days: 30,
        created_by: anna.user.id,
      },
    ],
    next: 0,
  })
  expect(JSON.stringify(listed)).not.toContain('between us')
  // To administrate is not to read.
  const asked = { conversation: conversation.id }
  await expect(asRoot('conversation.get', asked)).rejects.toMatchObject(refusedWith(CODES.missing))
  await asRoot('admin.delete_conversation', asked)
  await expect(world.call(token, 'conversation.get', asked)).rejects.toMatchObject(refusedWith(CODES.missing))
  await expect(asRoot('admin.delete_conversation', asked)).rejects.toMatchObject(refusedWith(CODES.missing))
  await expect(asRoot('admin.delete_conversation', { conversation: 1 })).rejects.toMatchObject(
    refusedWith(CODES.forbidden),
  )
})

test('storage and statistics say how much, and nothing of what', async () => {
  const said = { everyone: true, client_id: 'a', text: 'hello' }
  await world.call(anna.session.token, 'message.send', said)
  const storage = await asRoot('admin.storage')
  expect(storage).toMatchObject({
    files: 0,
    file_bytes: 0,
    blob_bytes: 0,
    quota_bytes: world.options.total_quota,
  })
  expect(storage.database_bytes).toBeGreaterThan(4_096)
  expect(storage.free_bytes).toBeGreaterThan(0)
  const statistics = await asRoot('admin.statistics', { hours: 24 * 31 })
  expect(statistics).toMatchObject({
    users_online: 0,
    users: { active: 2, blocked: 0, admins: 1 },
    messages: 1,
    conversations: 1,
    most_downloaded: [],
  })
})

test('use is added up per hour and per day, in which something happened', async () => {
  const db = Database.openWriter(`${world.path}/fanwire.db`)
  for (const [hour, messages] of [
    [479_999, 1],
    [480_000, 2],
    [480_023, 4],
    [480_024, 8],
  ] as const) {
    db.run('INSERT INTO hours (hour, messages, bytes_up) VALUES (?, ?, ?)', hour, messages, messages * 10)
  }
  expect(
    volumes(db, 480_000, 24).map(({ period, messages, bytes_up }) => [period, messages, bytes_up]),
  ).toEqual([
    [20_000, 6, 60],
    [20_001, 8, 80],
  ])
  expect(volumes(db, 480_023, 1).map(({ period }) => period * HOUR_MS)).toEqual([
    480_023 * HOUR_MS,
    480_024 * HOUR_MS,
  ])
  db.close()
})

test('each change leaves a line in the audit log, without secrets', async () => {
  const user = anna.user.id
  await asRoot('admin.set_role', { user, role: 'admin' })
  await asRoot('admin.set_quota', { user, quota_bytes: 7 })
  await asRoot('admin.reset_password', { user, password: 'brand new password' })
  await asRoot('admin.block', { user })
  await asRoot('admin.unblock', { user })
  // What was refused has changed nothing.
  await asRoot('admin.set_role', { user, role: 'user' })
  await expect(asRoot('admin.block', { user: root.user.id })).rejects.toMatchObject(
    refusedWith(CODES.conflict),
  )
  const rows = world.db.all<object>('SELECT action, actor_id AS actor, target, detail FROM audit ORDER BY id')
  expect(rows).toEqual([
    { action: 'signup', actor: 1, target: 'user:1', detail: '' },
    { action: 'signup', actor: 2, target: 'user:2', detail: '' },
    { action: 'role_set', actor: 1, target: 'user:2', detail: 'admin' },
    { action: 'quota_set', actor: 1, target: 'user:2', detail: '7' },
    { action: 'password_reset', actor: 1, target: 'user:2', detail: '' },
    { action: 'user_blocked', actor: 1, target: 'user:2', detail: '0 logins ended' },
    { action: 'user_unblocked', actor: 1, target: 'user:2', detail: '' },
    { action: 'role_set', actor: 1, target: 'user:2', detail: 'user' },
  ])
})

test('the audit log is read in pages, the newest first, by who and what', async () => {
  for (const role of ['admin', 'user', 'admin', 'user']) {
    await asRoot('admin.set_role', { user: anna.user.id, role })
  }
  const page = await asRoot('admin.audit', { limit: 3 })
  expect(page.entries.map(({ id }: { id: number }) => id)).toEqual([6, 5, 4])
  const rest = await asRoot('admin.audit', { limit: 4, before: page.next })
  expect(rest.entries.map(({ id }: { id: number }) => id)).toEqual([3, 2, 1])
  expect(rest.next).toBe(0)
  const own = await asRoot('admin.audit', { actor: anna.user.id })
  expect(own.entries).toMatchObject([{ action: 'signup', target: 'user:2', address: '192.0.2.1' }])
  const signups = await asRoot('admin.audit', { action: 'signup' })
  expect(signups.entries.length).toBe(2)
})
