import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { jwtVerify } from 'jose'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EXPIRY_SLACK_MS } from '../../../src/messenger/accounts/sessions.ts'
import { Database } from '../../../src/messenger/store/database.ts'
import { openWorld, PASSWORD, TOKEN_KEY, type World } from './world.ts'

const REFUSED = {
  unauthorized: 101,
  rate: 111,
  bad: 107,
  weak: 1001,
  credentials: 1002,
  taken: 1003,
} as const
const refusedWith = (code: number) => ({ error: { code } })
const HOUR_MS = 3_600_000
const OTHER_PASSWORD = 'another horse battery'

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

const ends = () =>
  world.orders.flatMap(order => {
    if (order.kind !== 'disconnect') return []
    const { user, session = '', except = '', code } = order
    return [{ user: Number(user), session, except, code }]
  })
const audited = () =>
  world.db.all<{ action: string }>('SELECT action FROM audit ORDER BY id').map(({ action }) => action)

describe('signing up', () => {
  test('opens an account, logs in, and gives what is needed to connect; the first one is the administrator', async () => {
    const anna = await world.signup('Anna', { display_name: 'Anna A.' })
    expect(anna.user).toMatchObject({
      nickname: 'Anna',
      display_name: 'Anna A.',
      role: 'admin',
      state: 'active',
    })
    const bert = await world.signup('bert')
    expect(bert.user).toMatchObject({ display_name: 'bert', role: 'user' })
    const me = await world.call(bert.session.token, 'user.me')
    expect(me).toMatchObject({ user: { id: bert.user.id }, session: bert.session.id, used_bytes: 0 })
    const { payload } = await jwtVerify(bert.connection.token, TOKEN_KEY, {
      algorithms: ['HS256'],
      currentDate: new Date(world.clock.nowMs),
    })
    expect(payload).toMatchObject({ sub: String(bert.user.id), sid: bert.session.id })
    expect(payload.exp! * 1000).toBe(bert.connection.expires_ms)
    const admitted = world.admit({ user: bert.user.id, session: bert.session.id })
    expect(admitted).toMatchObject({ ok: true, admission: { info: '{"name":"bert"}' } })
    expect(admitted.ok && admitted.admission.channels).toContain('im:c:1')
  })

  test('over a connection makes the connection its own', async () => {
    const data = JSON.stringify({ nickname: 'anna', password: PASSWORD })
    for (const transport of ['tcp', 'websocket'] as const) {
      const method = transport === 'tcp' ? 'auth.signup' : 'auth.login'
      const outcome = await world.outcome({ method, data, transport, client: 'c' })
      expect(outcome).toMatchObject({ ok: true, login: { user: 1 } })
    }
  })

  test('26: says that a name is taken only within the limit of the address', async () => {
    await world.close()
    world = await openWorld({ signups_per_hour: 3 })
    await world.signup('anna')
    for (const nickname of ['anna', 'ANNA']) {
      await expect(world.signup(nickname)).rejects.toMatchObject(refusedWith(REFUSED.taken))
    }
    for (const nickname of ['anna', 'free']) {
      await expect(world.signup(nickname)).rejects.toMatchObject({
        error: { code: REFUSED.rate, temporary: true, retryAfterMs: HOUR_MS / 3 },
      })
    }
    await expect(world.signup('free', {}, { address: '192.0.2.77' })).resolves.toBeDefined()
  })

  test('of two at once with one name gives it to one', async () => {
    const both = await Promise.allSettled([world.signup('anna'), world.signup('Anna')])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: refusedWith(REFUSED.taken),
    })
    const [admins] = world.db.all<{ n: number }>("SELECT count(*) AS n FROM users WHERE role = 'admin'")
    expect(admins?.n).toBe(1)
  })

  test('24: refuses weak passwords and oversized ones before anything is hashed', async () => {
    await expect(world.signup('anna', { password: 'password' })).rejects.toMatchObject(
      refusedWith(REFUSED.weak),
    )
    await expect(world.signup('anna', { password: 'x'.repeat(5_000) })).rejects.toMatchObject(
      refusedWith(1007),
    )
    await expect(world.login('anna', 'x'.repeat(5_000))).rejects.toMatchObject(refusedWith(1007))
    await expect(world.signup('x'.repeat(5_000))).rejects.toMatchObject(refusedWith(REFUSED.bad))
    expect(world.tasks).toEqual([])
  })

  test('can be closed; the first account can be opened all the same', async () => {
    await world.close()
    world = await openWorld({ signup: 'closed' })
    const both = await Promise.allSettled([world.signup('anna'), world.signup('bert')])
    expect(both.filter(({ status }) => status === 'fulfilled').length).toBe(1)
    await expect(world.signup('carl')).rejects.toMatchObject(refusedWith(1004))
  })
})

describe('25: an unknown user and a wrong password', () => {
  test('get the same answer, after the same work', async () => {
    await world.signup('anna')
    const seen = []
    for (const nickname of ['anna', 'nobody', 'not a name at all!']) {
      world.tasks.length = 0
      const before = audited().length
      const outcome = await world.outcome({
        method: 'auth.login',
        data: JSON.stringify({ nickname, password: 'wrong wrong wrong' }),
      })
      seen.push({ outcome, tasks: [...world.tasks], written: audited().length - before })
    }
    expect(seen[0]!.outcome).toEqual({
      ok: false,
      error: { code: REFUSED.credentials, message: 'wrong nickname or password', temporary: false },
    })
    expect(seen[0]!.tasks).toEqual(['verifyPassword'])
    expect(seen[0]!.written).toBe(1)
    expect(seen[1]).toEqual(seen[0])
    expect(seen[2]).toEqual(seen[0])
  })

  test('27: are held back alike after 5 tries, and the right password then waits, too', async () => {
    await world.signup('anna', {}, { address: '198.51.100.1' })
    await world.login('anna', PASSWORD, { address: '198.51.100.1' })
    for (const nickname of ['anna', 'nobody']) {
      for (let tries = 1; tries <= 5; tries++) {
        await expect(world.login(nickname, 'wrong')).rejects.toMatchObject(refusedWith(REFUSED.credentials))
      }
      await expect(world.login(nickname)).rejects.toMatchObject({
        error: { code: REFUSED.rate, retryAfterMs: 1_000 },
      })
    }
    // The user's own address is no stranger's.
    await world.login('anna', PASSWORD, { address: '198.51.100.1' })
    world.clock.nowMs += 1_000
    await world.login('anna')
  })

  test('are both in the audit log, by no name that was tried', async () => {
    await world.signup('anna')
    await expect(world.login('anna', 'wrong')).rejects.toThrow()
    await expect(world.login('my-secret-typed-here', 'wrong')).rejects.toThrow()
    const rows = world.db.all(
      "SELECT target, detail, address FROM audit WHERE action = 'login_failed' ORDER BY id",
    )
    expect(rows).toEqual([
      { target: 'user:1', detail: '', address: '192.0.2.1' },
      { target: '', detail: '', address: '192.0.2.1' },
    ])
  })
})

describe('28: tokens of logins', () => {
  test('are 256 random bits, and only their SHA-256 is stored', async () => {
    const { session } = await world.signup('anna')
    const again = await world.login('anna')
    expect(Buffer.from(session.token, 'base64url').length).toBe(32)
    expect(again.session.token).not.toBe(session.token)
    const files = readdirSync(world.path, { recursive: true, withFileTypes: true }).filter(one =>
      one.isFile(),
    )
    expect(files.map(({ name }) => name)).toContain('fanwire.db')
    for (const { parentPath, name } of files) {
      const bytes = readFileSync(join(parentPath, name))
      for (const secret of [session.token, again.session.token, PASSWORD]) {
        expect(bytes.includes(secret)).toBe(false)
      }
      for (const { token } of [session, again.session]) {
        expect(bytes.includes(Buffer.from(token, 'base64url'))).toBe(false)
      }
    }
  })

  test.each([
    ['no token', ''],
    ['another token', 'A'.repeat(43)],
    ['a longer token', 'A'.repeat(10_000)],
    ['what is no token', "' OR 1=1 --"],
  ])('%s is nobody', async (_, token) => {
    await world.signup('anna')
    await expect(world.call(token, 'user.me')).rejects.toMatchObject(refusedWith(REFUSED.unauthorized))
  })

  test("and public ids of logins are no tokens; nor is another user's id with one", async () => {
    const anna = await world.signup('anna')
    const bert = await world.signup('bert')
    await expect(world.call(anna.session.id, 'user.me')).rejects.toMatchObject(
      refusedWith(REFUSED.unauthorized),
    )
    const mixed = { user: anna.user.id, session: bert.session.id }
    await expect(world.call(mixed, 'user.me')).rejects.toMatchObject(refusedWith(REFUSED.unauthorized))
    expect(world.admit(mixed)).toMatchObject({ ok: false, error: { code: REFUSED.unauthorized } })
  })
})

describe('29: a login', () => {
  test('counts only while its user is active, even where it was left behind', async () => {
    const { session } = await world.signup('anna')
    const db = Database.openWriter(join(world.path, 'fanwire.db'))
    for (const [state, isLetIn] of [
      ['blocked', false],
      ['deleted', false],
      ['active', true],
    ] as const) {
      db.run('UPDATE users SET state = ?', state)
      expect(world.admit({ user: 1, session: session.id }).ok).toBe(isLetIn)
      expect((await world.outcome({ method: 'user.me', who: { kind: 'token', ...session } })).ok).toBe(
        isLetIn,
      )
    }
    db.close()
  })

  test('is a new one at each login', async () => {
    const one = await world.signup('anna')
    const two = await world.login('anna')
    expect(two.session.id).not.toBe(one.session.id)
    await world.call(one.session.token, 'user.me')
    await world.call(two.session.token, 'user.me')
  })

  test('ends when it was not used for so long, with a minute of slack', async () => {
    await world.close()
    world = await openWorld({ session_idle: HOUR_MS, session_lifetime: 100 * HOUR_MS })
    const { session, user } = await world.signup('anna')
    expect(session.expires_ms).toBe(world.clock.nowMs + HOUR_MS)
    // Each use moves the end.
    for (let hours = 0; hours < 3; hours++) {
      world.clock.nowMs += HOUR_MS
      await world.call(session.token, 'user.update_profile', { display_name: `Anna ${hours}` })
    }
    world.clock.nowMs += HOUR_MS + EXPIRY_SLACK_MS
    await world.call(session.token, 'user.update_profile', { display_name: 'in the last moment' })
    world.clock.nowMs += HOUR_MS + EXPIRY_SLACK_MS + 1
    await expect(world.call(session.token, 'user.me')).rejects.toMatchObject(
      refusedWith(REFUSED.unauthorized),
    )
    expect(world.admit({ user: user.id, session: session.id }).ok).toBe(false)
  })

  test('ends after its lifetime, however often it is used', async () => {
    await world.close()
    world = await openWorld({ session_idle: 10 * HOUR_MS, session_lifetime: 3 * HOUR_MS })
    const { session } = await world.signup('anna')
    expect(session.expires_ms).toBe(world.clock.nowMs + 3 * HOUR_MS)
    for (let hours = 0; hours < 3; hours++) {
      world.clock.nowMs += HOUR_MS
      await world.call(session.token, 'user.update_profile', { display_name: `Anna ${hours}` })
    }
    world.clock.nowMs += EXPIRY_SLACK_MS
    await world.call(session.token, 'user.me')
    world.clock.nowMs += 1
    await expect(world.call(session.token, 'user.me')).rejects.toMatchObject(
      refusedWith(REFUSED.unauthorized),
    )
  })

  test('is listed, and can be revoked by its user alone', async () => {
    const anna = await world.signup('anna', { device: '\u001b[31mpho\u202ene' })
    world.clock.nowMs += 1_000
    const laptop = await world.login('anna', PASSWORD, { device: 'laptop', address: '192.0.2.5' })
    const bert = await world.signup('bert')
    const { sessions } = await world.call(anna.session.token, 'auth.sessions')
    expect(sessions).toMatchObject([
      { id: laptop.session.id, device: 'laptop', address: '192.0.2.5', current: false },
      { id: anna.session.id, device: '[31mphone', current: true },
    ])
    expect(JSON.stringify(sessions)).not.toContain('token')
    const revoke = { session: laptop.session.id }
    await expect(world.call(bert.session.token, 'auth.revoke', revoke)).rejects.toMatchObject(
      refusedWith(1000),
    )
    await world.call(anna.session.token, 'auth.revoke', revoke)
    expect(ends()).toEqual([{ user: 1, session: laptop.session.id, except: '', code: 4500 }])
    await expect(world.call(laptop.session.token, 'user.me')).rejects.toMatchObject(
      refusedWith(REFUSED.unauthorized),
    )
    await expect(world.call(anna.session.token, 'auth.revoke', revoke)).rejects.toMatchObject(
      refusedWith(1000),
    )
  })

  test('is ended by logging out; the others stay', async () => {
    const one = await world.signup('anna')
    const two = await world.login('anna')
    await world.call(one.session.token, 'auth.logout')
    expect(ends()).toEqual([{ user: 1, session: one.session.id, except: '', code: 4500 }])
    await expect(world.call(one.session.token, 'user.me')).rejects.toMatchObject(
      refusedWith(REFUSED.unauthorized),
    )
    await world.call(two.session.token, 'user.me')
  })

  test('is ended with all others by logging out everywhere', async () => {
    const one = await world.signup('anna')
    const two = await world.login('anna')
    const kept = { except_current: true }
    await expect(world.call(one.session.token, 'auth.logout_everywhere', kept)).resolves.toEqual({ ended: 1 })
    await expect(world.call(two.session.token, 'user.me')).rejects.toThrow()
    await expect(world.call(one.session.token, 'auth.logout_everywhere')).resolves.toEqual({ ended: 1 })
    await expect(world.call(one.session.token, 'user.me')).rejects.toThrow()
    expect(ends().map(({ session, except }) => [session, except])).toEqual([
      ['', one.session.id],
      ['', ''],
    ])
  })

  test('past the number that a user may have ends the longest unused one', async () => {
    await world.close()
    world = await openWorld({ sessions_per_user: 2 })
    const first = await world.signup('anna')
    world.clock.nowMs += 1
    const second = await world.login('anna')
    const third = await world.login('anna')
    expect(ends()).toEqual([{ user: 1, session: first.session.id, except: '', code: 4500 }])
    await expect(world.call(first.session.token, 'user.me')).rejects.toThrow()
    for (const { session } of [second, third]) await world.call(session.token, 'user.me')
  })

  test('gets new connection tokens', async () => {
    const { session, connection } = await world.signup('anna')
    world.clock.nowMs += 60_000
    const next = await world.call(session.token, 'auth.token')
    expect(next).toMatchObject({ expires_ms: connection.expires_ms + 60_000, user: { nickname: 'anna' } })
    expect(next.token).not.toBe(connection.token)
    await expect(world.call(undefined, 'auth.token')).rejects.toMatchObject(refusedWith(REFUSED.unauthorized))
  })
})

describe('changing the password', () => {
  test('takes the old one, and ends all other logins', async () => {
    const anna = await world.signup('anna')
    const other = await world.login('anna')
    const { token } = anna.session
    const change = (old: string, to: string) => world.call(token, 'auth.change_password', { old, new: to })
    await expect(change('wrong', OTHER_PASSWORD)).rejects.toMatchObject(refusedWith(REFUSED.credentials))
    await expect(change(PASSWORD, '12345678')).rejects.toMatchObject(refusedWith(REFUSED.weak))
    await expect(change(PASSWORD, 'anna')).rejects.toMatchObject(refusedWith(REFUSED.weak))
    await change(PASSWORD, OTHER_PASSWORD)
    expect(ends()).toEqual([{ user: 1, session: '', except: anna.session.id, code: 4500 }])
    await world.call(token, 'user.me')
    await expect(world.call(other.session.token, 'user.me')).rejects.toThrow()
    await expect(world.login('anna')).rejects.toMatchObject(refusedWith(REFUSED.credentials))
    await world.login('anna', OTHER_PASSWORD)
    expect(audited()).toEqual([
      'signup',
      'login',
      'password_refused',
      'password_changed',
      'login_failed',
      'login',
    ])
  })

  test('27: lets who stole a login guess no faster than others', async () => {
    const { session } = await world.signup('anna')
    const change = (old: string) =>
      world.call(session.token, 'auth.change_password', { old, new: OTHER_PASSWORD })
    for (let tries = 1; tries <= 5; tries++) {
      await expect(change('wrong')).rejects.toMatchObject(refusedWith(REFUSED.credentials))
    }
    await expect(change(PASSWORD)).rejects.toMatchObject(refusedWith(REFUSED.rate))
  })
})

describe('deleting the account', () => {
  test('takes the password, and leaves nothing personal; the name can be had by others', async () => {
    await world.signup('root')
    const anna = await world.signup('anna', { display_name: 'Anna A.' })
    const bert = await world.signup('bert')
    const { token } = anna.session
    await expect(world.call(token, 'auth.delete_account', { password: 'wrong' })).rejects.toMatchObject(
      refusedWith(REFUSED.credentials),
    )
    const { conversation: group } = await world.call(token, 'conversation.create_group', {
      name: 'ours',
      members: [bert.user.id],
    })
    const { conversation: alone } = await world.call(token, 'conversation.create_group', { name: 'mine' })
    await world.call(token, 'auth.delete_account', { password: PASSWORD })
    expect(ends()).toEqual([{ user: anna.user.id, session: '', except: '', code: 4501 }])
    await expect(world.call(token, 'user.me')).rejects.toMatchObject(refusedWith(REFUSED.unauthorized))
    await expect(world.login('anna')).rejects.toMatchObject(refusedWith(REFUSED.credentials))
    const { users } = await world.call(bert.session.token, 'user.get', { ids: [anna.user.id] })
    expect(users).toEqual([
      {
        id: anna.user.id,
        nickname: `deleted#${anna.user.id}`,
        display_name: '',
        role: 'user',
        state: 'deleted',
        last_seen_ms: 0,
      },
    ])
    const row = world.db.get('SELECT password_hash FROM users WHERE id = ?', anna.user.id)
    expect(row).toEqual({ password_hash: '' })
    const left = await world.call(bert.session.token, 'conversation.get', { conversation: group.id })
    expect(left.conversation).toMatchObject({ role: 'owner', members: 1 })
    expect(world.db.get('SELECT member_count AS n FROM conversations WHERE id = ?', alone.id)).toEqual({
      n: 0,
    })
    const again = await world.signup('Anna')
    expect(again.user.id).toBeGreaterThan(anna.user.id)
  })

  test('of two administrators at once leaves one of them', async () => {
    const root = await world.signup('root')
    const anna = await world.signup('anna')
    await world.call(root.session.token, 'admin.set_role', { user: anna.user.id, role: 'admin' })
    const both = await Promise.allSettled(
      [root, anna].map(({ session }) =>
        world.call(session.token, 'auth.delete_account', { password: PASSWORD }),
      ),
    )
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: refusedWith(1005) })
    const sql = "SELECT count(*) AS n FROM users WHERE role = 'admin' AND state = 'active'"
    expect(world.db.get(sql)).toEqual({ n: 1 })
  })

  test('is refused to the last administrator', async () => {
    const { session } = await world.signup('root')
    await world.signup('anna')
    await expect(
      world.call(session.token, 'auth.delete_account', { password: PASSWORD }),
    ).rejects.toMatchObject(refusedWith(1005))
  })
})

describe('users', () => {
  test('are found by how their names begin, whatever the case', async () => {
    const { session } = await world.signup('anna', { display_name: 'Zoë Müller' })
    await world.signup('Annabel', { display_name: 'Anna Zoé' })
    await world.signup('bert', { display_name: 'Bert Annan' })
    await world.signup('carl_50', { display_name: '100 %' })
    const find = async (query: string) => {
      const { users } = await world.call(session.token, 'user.find', { query })
      return users.map(({ nickname }: { nickname: string }) => nickname)
    }
    expect(await find('ANNA')).toEqual(['anna', 'Annabel', 'bert'])
    expect(await find('zo')).toEqual(['anna', 'Annabel'])
    expect(await find('mü')).toEqual(['anna'])
    expect(await find('%')).toEqual(['carl_50'])
    expect(await find('nna')).toEqual([])
    expect(await find(' ')).toEqual([])
  })

  test('are listed in pages by id', async () => {
    const { session } = await world.signup('user-1')
    for (const n of [2, 3, 4]) await world.signup(`user-${n}`)
    const page = await world.call(session.token, 'user.list', { limit: 3 })
    expect(page).toMatchObject({ users: [{ id: 1 }, { id: 2 }, { id: 3 }], next: 3 })
    const rest = await world.call(session.token, 'user.list', { limit: 3, after: page.next })
    expect(rest).toMatchObject({ users: [{ id: 4 }], next: 0 })
  })

  test('change how they are shown', async () => {
    const { session } = await world.signup('anna')
    const { user } = await world.call(session.token, 'user.update_profile', { display_name: ' Anna  B. ' })
    expect(user.display_name).toBe('Anna B.')
    await expect(
      world.call(session.token, 'user.update_profile', { display_name: 'a\u202eb' }),
    ).rejects.toMatchObject(refusedWith(REFUSED.bad))
    const back = await world.call(session.token, 'user.update_profile', { display_name: '' })
    expect(back.user.display_name).toBe('anna')
  })
})
