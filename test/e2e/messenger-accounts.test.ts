// What becomes of live connections when accounts and logins change, at a real relay of several shards.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { call, loggedIn, must, newPerson, PASSWORD, type Person, upload } from '../support/people.ts'
import { RawClient } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'

/** Of a user, over each way: enough that all shards have some. */
const CONNECTIONS = 6
const SESSION_ENDED = 4500
const ACCOUNT_CLOSED = 4501

let relay: TestRelay
let path: string
let root: Person
let count = 0

beforeAll(async () => {
  path = mkdtempSync(join(tmpdir(), 'fanwire-accounts-'))
  const many = 1_000_000
  relay = await startTestRelay({
    shards: 2,
    client: { allow_anonymous_connect_without_token: false },
    messenger: { enabled: true, path, signups_per_hour: many, logins_per_minute: many },
  })
  root = await loggedIn(relay, 'auth.signup', 'root')
})

afterAll(async () => {
  await relay?.stop()
  rmSync(path, { recursive: true, force: true })
})

/** By connection tokens of the login. */
async function connectOften({ connection }: Person): Promise<RawClient[]> {
  const ways = Array.from({ length: CONNECTIONS }, () => ['websocket', 'tcp'] as const).flat()
  return Promise.all(ways.map(way => RawClient.connect(relay, way, { token: connection })))
}

async function codesOf(clients: readonly RawClient[]): Promise<Set<number>> {
  return new Set((await Promise.all(clients.map(({ ended }) => ended))).map(({ code }) => code))
}

const connectionsOf = ({ clients }: Person) => [...clients.values()]
const newUser = () => newPerson(root, `user-${++count}`)

test('5: who is blocked loses all connections on all shards, and gets in nowhere', async () => {
  const anna = await newUser()
  const clients = [...connectionsOf(anna), ...(await connectOften(anna))]
  await must(root, 'admin.block', { user: anna.id })
  expect(await codesOf(clients)).toEqual(new Set([ACCOUNT_CLOSED]))
  // The connection token is still good by itself.
  const back = await RawClient.open(relay, 'websocket')
  const reply = await back.call({ id: 1, connect: { token: anna.connection } }).catch(() => back.ended)
  expect(reply).not.toMatchObject({ connect: {} })
  expect((await call('http', anna, 'user.me')).outcome).toBe('unauthorized')
  await must(root, 'admin.unblock', { user: anna.id })
  const again = await loggedIn(relay, 'auth.login', anna.nickname)
  expect((await must(again, 'user.me')).user.id).toBe(anna.id)
})

test('29: changing the password ends all connections but those of the login that did it', async () => {
  const anna = await newUser()
  const other = await loggedIn(relay, 'auth.login', anna.nickname)
  const own = await connectOften(anna)
  const others = [...connectionsOf(other), ...(await connectOften(other))]
  await must(anna, 'auth.change_password', { old: PASSWORD, new: 'another horse battery' })
  expect(await codesOf(others)).toEqual(new Set([SESSION_ENDED]))
  for (const client of own)
    expect((await client.call({ id: 9, rpc: { method: 'user.me' } })).error).toBeUndefined()
  expect((await call('http', other, 'user.me')).outcome).toBe('unauthorized')
  await must(anna, 'user.me')
})

test('29: logging out everywhere, and revoking a login, close what they end', async () => {
  const anna = await newUser()
  const other = await loggedIn(relay, 'auth.login', anna.nickname)
  const others = await connectOften(other)
  await must(anna, 'auth.revoke', { session: other.session.id })
  expect(await codesOf(others)).toEqual(new Set([SESSION_ENDED]))
  const own = await connectOften(anna)
  await must(anna, 'auth.logout_everywhere', {})
  expect(await codesOf([...own, ...connectionsOf(anna)])).toEqual(new Set([SESSION_ENDED]))
})

test('who deletes the account is gone at once; what was said stays, and the name is free', async () => {
  const anna = await newUser()
  const bert = await newUser()
  const files: string[] = []
  for (let index = 0; index < 25; index++) files.push(await upload(anna, `file-${index}`))
  const said = { user: bert.id, client_id: 'a', text: 'remember me', attachments: [files[0]] }
  const { message } = await must(anna, 'message.send', said)
  const clients = await connectOften(anna)
  expect((await call('tcp', anna, 'auth.delete_account', { password: PASSWORD })).outcome).toBe('ok')
  expect(await codesOf([...clients, ...connectionsOf(anna)])).toEqual(new Set([ACCOUNT_CLOSED]))
  const { messages } = await must(bert, 'message.list', { conversation: message.conversation })
  expect(messages).toMatchObject([{ author: anna.id, text: 'remember me', attachments: [] }])
  expect(await must(root, 'admin.storage')).toMatchObject({ files: 0, file_bytes: 0 })
  const { users } = await must(bert, 'user.get', { ids: [anna.id] })
  expect(users).toMatchObject([{ state: 'deleted', display_name: '' }])
  const again = await newPerson(root, anna.nickname)
  expect(again.id).not.toBe(anna.id)
})

test('27: passwords that are tried all at once are hashed by turns or refused, and the relay goes on', async () => {
  const clients = await Promise.all(Array.from({ length: 150 }, () => RawClient.open(relay, 'tcp')))
  const replies = await Promise.all(
    clients.map((client, index) => {
      const data = { nickname: `nobody-${index}`, password: 'wrong wrong wrong' }
      return client.call({ id: 1, rpc: { method: 'auth.login', data } })
    }),
  )
  const codes = new Set(replies.map(({ error }) => error.code))
  // Wrong, or busy: more than may wait came at once.
  expect([...codes].filter(code => code !== 1002 && code !== 1010)).toEqual([])
  expect(codes).toContain(1002)
  for (const client of clients) client.close()
  await must(root, 'user.me')
})
