// What is left of accounts that were deleted.

import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Database } from '../../../src/messenger/store/database.ts'
import { DATABASE_FILE } from '../../../src/messenger/store/schema.ts'
import { openWorld, PASSWORD, type World } from './world.ts'

let world: World
beforeEach(async () => {
  world = await openWorld()
})
afterEach(() => world.close())

test('a deleted account leaves no time of the last connection, and nothing that others have shared with the user', async () => {
  const root = await world.signup('root')
  const anna = await world.signup('anna')
  const login = { user: anna.user.id, session: anna.session.id }
  expect(world.admit(login).ok).toBe(true)
  const fixture = Database.openWriter(join(world.path, DATABASE_FILE))
  fixture.run("INSERT INTO blobs VALUES ('00', 1, 0, 0)")
  fixture.run(
    `INSERT INTO files (id, public_id, owner_id, sha256, size, name, type, visibility, created_ms)
     VALUES (1, 'x', ?, '00', 1, 'x', 'x', 'users', 0)`,
    root.user.id,
  )
  fixture.run('INSERT INTO file_users VALUES (1, ?)', anna.user.id)
  fixture.close()
  await world.call(anna.session.token, 'auth.delete_account', { password: PASSWORD })
  expect(world.db.all('SELECT * FROM file_users')).toEqual([])
  // By now the connection has ended, and that it was there is to be written down.
  for (let n = 0; n < 3; n++) {
    world.clock.nowMs += 60_000
    world.sweep()
    await world.call(root.session.token, 'user.update_profile', { display_name: `root ${n}` })
  }
  const seen = 'SELECT last_seen_ms AS ms FROM users WHERE id = ?'
  expect(world.db.get(seen, anna.user.id)).toEqual({ ms: 0 })
})

test('a deleted account leaves direct conversations to the other user, and none that nobody can read', async () => {
  await world.signup('root')
  const [anna, bert] = [await world.signup('anna'), await world.signup('bert')]
  const { message } = await world.call(anna.session.token, 'message.send', {
    user: bert.user.id,
    client_id: '1',
    text: 'hello',
  })
  await world.call(anna.session.token, 'auth.delete_account', { password: PASSWORD })
  const place = { conversation: message.conversation }
  const { messages } = await world.call(bert.session.token, 'message.list', place)
  expect(messages).toMatchObject([{ author: anna.user.id, text: 'hello' }])
  await world.call(bert.session.token, 'auth.delete_account', { password: PASSWORD })
  const left = world.db.get('SELECT member_count AS n, direct_key FROM conversations WHERE id > 1')
  expect(left).toEqual({ n: 0, direct_key: null })
})
