// Calls of the messenger: who may call what, what comes in, and what comes back.

import { expect, test } from 'vitest'
import { methods } from '../../src/messenger/methods/registry.ts'
import { slots } from '../../src/metrics/slots.ts'
import { openMessenger, PATIENTLY } from '../support/messenger.ts'

test('a user sends to everyone, and all read it in the archive', async () => {
  const { addUser, relay } = openMessenger()
  const ann = addUser('ann')
  const ben = addUser('ben')
  const { message } = await ann.call('message.send', { everyone: true, client_id: 'a1', text: 'hello' })
  expect(message).toMatchObject({ conversation: 1, seq: 1, rev: 1, client_id: 'a1' })
  const { messages } = await ben.call('message.list', { conversation: 1, after: 0 })
  expect(messages).toMatchObject([{ seq: 1, author: ann.id, text: 'hello' }])
  await expect
    .poll(() => relay.eventsOf('im:c:1'), PATIENTLY)
    .toEqual([{ type: 'message', rev: 1, message: messages[0] }])
})

test('an account is made, logs in, and is admitted to its channels', async () => {
  const { call, messenger } = openMessenger()
  const password = 'correct horse battery'
  const stranger = { kind: 'stranger' } as const
  const { user, session } = await call(stranger, 'auth.signup', { nickname: 'ann', password })
  const login = { user: user.id, session: session.id }
  messenger.admit(login, outcome =>
    expect(outcome).toMatchObject({ ok: true, admission: { channels: ['im:u:1', 'im:presence', 'im:c:1'] } }),
  )
  messenger.admit({ ...login, session: 'another' }, outcome => expect(outcome).toMatchObject({ ok: false }))
})

test('who has not logged in is refused, and so is who was blocked', async () => {
  const { addUser, call, db } = openMessenger()
  const ann = addUser('ann')
  const input = { everyone: true, client_id: 'a', text: 'x' }
  await expect(call({ kind: 'stranger' }, 'message.send', input)).rejects.toMatchObject({ code: 101 })
  db.run("UPDATE users SET state = 'blocked' WHERE id = ?", ann.id)
  await expect(ann.call('message.send', input)).rejects.toMatchObject({ code: 101 })
  await expect(ann.call('message.list', { conversation: 1 })).rejects.toMatchObject({ code: 101 })
})

test('what is wrong is named with its value, and a secret is not', async () => {
  const { addUser, call } = openMessenger()
  const ann = addUser('ann')
  await expect(ann.call('message.list', { conversation: -7 })).rejects.toMatchObject({
    code: 107,
    message: expect.stringContaining('conversation -7: '),
  })
  const secret = 12_345_678
  const wrong = call({ kind: 'stranger' }, 'auth.login', { nickname: 'ann', password: secret })
  const error = await wrong.catch(refused => refused)
  expect(error).toMatchObject({ code: 107, message: expect.stringContaining('password: ') })
  expect(error.message).not.toContain(String(secret))
})

test('the login may be given by its token', async () => {
  const { addUser, call } = openMessenger()
  const { token } = addUser('ann')
  await call({ kind: 'token', token }, 'message.send', { everyone: true, client_id: 'a', text: 'x' })
  const wrong = call({ kind: 'token', token: `${token.slice(1)}A` }, 'user.me')
  await expect(wrong).rejects.toMatchObject({ code: 101 })
})

test('methods that there are not, and those of the shards, are refused alike', async () => {
  const { outcome, addUser } = openMessenger()
  const who = { kind: 'login', ...addUser('ann', 'admin').login } as const
  const unknown = await outcome({ method: 'no.such', who })
  expect(unknown).toEqual({
    ok: false,
    error: { code: 104, message: 'method not found: "no.such"', temporary: false },
  })
  expect(await outcome({ method: '__proto__', who })).toMatchObject({ error: { code: 104 } })
  expect(await outcome({ method: 'upload.lock', who })).toMatchObject({ error: { code: 104 } })
  expect(await outcome({ method: 'upload.lock', who, transport: 'http' })).toMatchObject({
    error: { code: 104 },
  })
})

test('methods of administrators are refused to users', async () => {
  const { addUser } = openMessenger()
  const root = addUser('root', 'admin')
  const ann = addUser('ann')
  await expect(ann.call('admin.users')).rejects.toMatchObject({ code: 103 })
  await root.call('admin.users')
})

test('input that is wrong is refused with what is wrong with it', async () => {
  const { outcome, addUser, row } = openMessenger()
  const who = { kind: 'login', ...addUser('ann').login } as const
  const send = (data: string) => outcome({ method: 'message.send', who, data })
  expect(await send('{')).toMatchObject({ error: { code: 107, message: 'bad request: the data is no JSON' } })
  expect(await send('')).toMatchObject({ error: { code: 107 } })
  expect(await send('[]')).toMatchObject({ error: { code: 107 } })
  const both = await send('{"everyone":true,"conversation":1,"client_id":"a","text":"x"}')
  expect(both).toMatchObject({ error: { code: 107, message: /one of conversation/ } })
  expect(row[slots.messengerCalls.refused]).toBe(4)
})

test('fields that nobody knows are let pass over the client protocol, and refused over HTTP', async () => {
  const { outcome, addUser } = openMessenger()
  const who = { kind: 'login', ...addUser('ann').login } as const
  const call = { method: 'message.send', who, data: '{"everyone":true,"client_id":"a","text":"x","new":1}' }
  expect(await outcome(call)).toMatchObject({ ok: true })
  expect(await outcome({ ...call, transport: 'http' })).toMatchObject({ error: { code: 107 } })
})

test('a call that has no result answers with an empty object', async () => {
  const { addUser } = openMessenger()
  const ann = addUser('ann')
  expect(await ann.call('message.typing', { conversation: 1 })).toEqual({})
})

test('a login that ends while a call of it is under way writes nothing any more', async () => {
  const { call, db } = openMessenger()
  const password = 'correct horse battery'
  const { user, session } = await call({ kind: 'stranger' }, 'auth.signup', { nickname: 'ann', password })
  const hash = () => db.get<{ hash: string }>('SELECT password_hash AS hash FROM users')!.hash
  const before = hash()
  const who = { kind: 'login', user: user.id, session: session.id } as const
  const changing = call(who, 'auth.change_password', { old: password, new: 'another battery 2' })
  db.run('DELETE FROM sessions WHERE id = ?', session.id)
  await expect(changing).rejects.toMatchObject({ code: 101 })
  expect(hash()).toBe(before)
})

const HOSTILE = [
  'null',
  '[]',
  '"text"',
  '-1',
  '{"__proto__":{"user":1}}',
  '{"conversation":1e308,"seq":1e308,"user":-1,"limit":1e9,"id":"../../x","file":"../../x"}',
  '{"conversation":9007199254740993,"seq":0.5,"user":null,"text":7,"query":{},"nickname":[]}',
  '{"conversation":1,"seq":1,"text":"\\ud800","emoji":"\\u0000","query":"\\"","name":"\\u0000","nickname":"\\u0000"}',
  `{"conversation":1,"after":${Number.MAX_SAFE_INTEGER},"limit":200,"query":"${'a'.repeat(10_000)}"}`,
  '['.repeat(10_000) + ']'.repeat(10_000),
  `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`,
]

test('whatever comes in is refused with a reason: none of it is an error of the program', async () => {
  const { outcome, addUser, log } = openMessenger()
  const admin = addUser('root', 'admin')
  const who = { kind: 'login', ...admin.login } as const
  const sent = []
  for (const method of methods.keys()) {
    // They are the caller's own end.
    if (method.startsWith('auth.')) continue
    for (const data of HOSTILE) sent.push(outcome({ method, data, who, transport: 'shard' }))
  }
  const outcomes = await Promise.all(sent)
  const codes = outcomes.map(one => (one.ok ? 0 : one.error.code))
  expect(codes.filter(code => code === 100)).toEqual([])
  expect(log).toEqual([])
})

test('20: a user may call so often, over all connections, and others are not held back', async () => {
  const { addUser } = openMessenger({ message_rate: 1 })
  const [ann, ben] = [addUser('ann'), addUser('ben')]
  for (let calls = 0; calls < 20; calls++) await ann.call('presence.list')
  const tooMany = { code: 111, temporary: true, retryAfterMs: 100 }
  for (const method of ['presence.list', 'user.me', 'message.mark']) {
    await expect(ann.call(method, { conversation: 1 })).rejects.toMatchObject(tooMany)
  }
  await ben.call('user.me')
})

test.each([
  ['auth.delete_account', (_: number, password: string) => ({ password })],
  ['admin.reset_password', (user: number, password: string) => ({ user, password: `${password} 2` })],
])('who ends the own login by %s has the answer before the connection goes', async (method, inputOf) => {
  const { addUser, call, messenger, relay } = openMessenger()
  addUser('root', 'admin')
  const password = 'correct horse battery'
  const { user, session } = await call({ kind: 'stranger' }, 'auth.signup', { nickname: 'ann', password })
  await addUser('other', 'admin').call('admin.set_role', { user: user.id, role: 'admin' })
  const { length: ordersBefore } = relay.orders
  let ordersAtAnswer = -1
  messenger.call(
    {
      method,
      data: JSON.stringify(inputOf(user.id, password)),
      who: { kind: 'login', user: user.id, session: session.id },
      client: '',
      address: '192.0.2.1',
      device: '',
      transport: 'tcp',
    },
    outcome => {
      expect(outcome).toMatchObject({ ok: true })
      ordersAtAnswer = relay.orders.filter(({ kind }) => kind === 'disconnect').length
    },
  )
  const ends = () => relay.orders.slice(ordersBefore).filter(({ kind }) => kind === 'disconnect')
  await expect.poll(() => ends().length, PATIENTLY).toBe(1)
  expect(ends()).toMatchObject([{ user: String(user.id), session: '', except: '' }])
  expect(ordersAtAnswer).toBe(0)
})
