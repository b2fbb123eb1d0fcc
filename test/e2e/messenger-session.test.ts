// Connections with accounts at a real relay: logging in on the connection, with a token, and what ends or changes them.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { layCable } from '../support/cable.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { newClient, nextEvent, PATIENTLY, record } from '../support/sdk.ts'
import { TcpClient } from '../support/tcp-client.ts'

const PASSWORD = 'a long enough one'
const MANY = 1_000_000

let relay: TestRelay
let path: string
let count = 0

beforeAll(async () => {
  path = mkdtempSync(join(tmpdir(), 'fanwire-sessions-'))
  relay = await startTestRelay({
    shards: 2,
    client: { allow_anonymous_connect_without_token: false },
    messenger: { enabled: true, path, signups_per_hour: MANY, logins_per_minute: MANY, message_rate: MANY },
  })
})

afterAll(async () => {
  const code = await relay.stop()
  rmSync(path, { recursive: true, force: true })
  expect(code).toBe(0)
})

/** A line client whose commands get their ids here. */
async function openLines() {
  const lines = await TcpClient.open(relay.ports.tcp)
  let id = 0
  const call = (command: object): Promise<any> => lines.call({ id: ++id, ...command })
  const rpc = async (method: string, data: object = {}): Promise<any> => {
    const { error, rpc } = await call({ rpc: { method, data } })
    if (error !== undefined) throw new Error(`${method}: ${error.code} ${error.message}`)
    return rpc.data
  }
  const pushed = (accepts: (push: any) => boolean) =>
    lines.next(({ push }) => push !== undefined && accepts(push)).then(({ push }) => push)
  return { lines, call, rpc, pushed }
}

/** A new user, connected by lines. */
async function newUser() {
  const client = await openLines()
  const nickname = `user-${++count}`
  const { user, session } = await client.rpc('auth.signup', { nickname, password: PASSWORD })
  await client.call({ connect: {} })
  return { ...client, id: user.id as number, nickname, session }
}

/** The official client of a user, with a login of its own. */
async function newDevice(nickname: string, url = relay.websocketUrl) {
  const lines = await openLines()
  const { connection, session } = await lines.rpc('auth.login', { nickname, password: PASSWORD })
  lines.lines.close()
  const client = newClient(url, { token: connection.token })
  return { client, session }
}

const endOf = ({ lines }: { lines: TcpClient }) =>
  lines.next(({ push }) => push?.disconnect !== undefined).then(({ push }) => push.disconnect)

test('sign up, connect and write, all in one packet of lines', async () => {
  const lines = await TcpClient.open(relay.ports.tcp)
  const nickname = `user-${++count}`
  lines.socket.write(
    [
      { id: 1, rpc: { method: 'auth.signup', data: { nickname, password: PASSWORD } } },
      { id: 2, connect: {} },
      { id: 3, rpc: { method: 'message.send', data: { everyone: true, text: 'hello', client_id: 'a' } } },
    ]
      .map(command => `${JSON.stringify(command)}\n`)
      .join(''),
  )
  expect(await lines.next(({ id }) => id === 3)).toMatchObject({ rpc: { data: { message: {} } } })
  const connected = lines.lines.find(({ id }) => id === 2)
  expect(Object.keys(connected.connect.subs)).toContain('im:c:1')
  expect(connected.connect.expires).toBeUndefined()
  const pushed = await lines.next(({ push }) => push?.pub?.data.type === 'message')
  expect(pushed.push).toMatchObject({ channel: 'im:c:1', pub: { data: { message: { text: 'hello' } } } })
})

test('the official client connects with a token of its login, and others without one are refused', async () => {
  const { nickname } = await newUser()
  const { client } = await newDevice(nickname)
  const subscribed = record(client, 'subscribed')
  client.connect()
  await client.ready()
  expect((await subscribed.until(2)).map(({ channel }) => channel)).toContain('im:c:1')
  await client.rpc('conversation.list', {})
  const anonymous = newClient(relay.websocketUrl)
  const refused = nextEvent(anonymous, 'disconnected')
  anonymous.connect()
  expect(await refused).toMatchObject({ code: 3500 })
})

test('a client that comes back gets what was written meanwhile, in all of its conversations', async () => {
  const anna = await newUser()
  const boris = await newUser()
  const conversations: number[] = []
  for (let n = 0; n < 60; n++) {
    const { conversation } = await anna.rpc('conversation.create_group', {
      name: `g${n}`,
      members: [boris.id],
    })
    conversations.push(conversation.id)
  }
  const cable = await layCable(relay.ports.http)
  onTestFinished(() => cable.close())
  const { client } = await newDevice(boris.nickname, `ws://127.0.0.1:${cable.port}/connection/websocket`)
  client.connect()
  await client.ready()
  const published = record(client, 'publication')
  const subscribed = record(client, 'subscribed')
  const gone = nextEvent(client, 'connecting')
  cable.cut()
  await gone
  for (const [n, conversation] of conversations.entries()) {
    await anna.rpc('message.send', { conversation, text: `m${n}`, client_id: `m${n}` })
  }
  cable.mend()
  await expect.poll(() => new Set(texts(published.all)).size, PATIENTLY).toBe(60)
  expect(texts(published.all)).toHaveLength(60)
  const again = subscribed.all.filter(({ wasRecovering }) => wasRecovering)
  expect(again.length).toBeGreaterThanOrEqual(60)
  expect(again.filter(({ recovered }) => !recovered)).toEqual([])
})

function texts(publications: readonly any[]): string[] {
  return publications.flatMap(({ data }) => (data.type === 'message' ? [data.message.text] : []))
}

test('who joins a group gets its messages at once on all devices, and who leaves gets no more', async () => {
  const anna = await newUser()
  const boris = await newUser()
  const { client } = await newDevice(boris.nickname)
  client.connect()
  await client.ready()
  const { conversation } = await anna.rpc('conversation.create_group', { name: 'g', members: [] })
  const channel = `im:c:${conversation.id}`
  const subscribed = nextEvent(client, 'subscribed', context => context.channel === channel)
  await anna.rpc('conversation.invite', { conversation: conversation.id, users: [boris.id] })
  await subscribed
  await boris.pushed(push => push.channel === channel && push.subscribe !== undefined)
  const got = nextEvent(client, 'publication', ({ data }) => data.message?.text === 'first')
  await anna.rpc('message.send', { conversation: conversation.id, text: 'first', client_id: '1' })
  expect(await got).toMatchObject({ channel })
  await boris.pushed(({ pub }) => pub?.data.message?.text === 'first')

  const left = nextEvent(client, 'unsubscribed', context => context.channel === channel)
  await anna.rpc('conversation.remove', { conversation: conversation.id, user: boris.id })
  await left
  await boris.pushed(push => push.channel === channel && push.unsubscribe !== undefined)
  await anna.rpc('message.send', { conversation: conversation.id, text: 'second', client_id: '2' })
  await anna.pushed(({ pub }) => pub?.data.message?.text === 'second')
  await boris.rpc('conversation.list')
  expect(JSON.stringify(boris.lines.lines)).not.toContain('"second"')
})

test('a logout ends all connections of that login and no others', async () => {
  const anna = await newUser()
  const { client, session } = await newDevice(anna.nickname)
  client.connect()
  await client.ready()
  const ended = nextEvent(client, 'disconnected')
  await anna.rpc('auth.revoke', { session: session.id })
  expect(await ended).toMatchObject({ code: 4500 })
  expect((await anna.rpc('auth.sessions')).sessions).toMatchObject([{ id: anna.session.id, current: true }])
  anna.lines.send({ id: 100, rpc: { method: 'auth.logout', data: {} } })
  expect(await endOf(anna)).toMatchObject({ code: 4500 })
})

test('a token of a login that has ended is refused for good', async () => {
  const anna = await newUser()
  const { client, session } = await newDevice(anna.nickname)
  await anna.rpc('auth.revoke', { session: session.id })
  const refused = nextEvent(client, 'disconnected')
  client.connect()
  expect(await refused).toMatchObject({ code: 4500 })
})

test('a login is listed with its address and device', async () => {
  const anna = await newUser()
  const [login] = (await anna.rpc('auth.sessions')).sessions
  expect(login).toMatchObject({ address: '127.0.0.1', current: true })
})

test('clients can neither subscribe nor publish to the channels of conversations by themselves', async () => {
  const anna = await newUser()
  const boris = await newUser()
  const { conversation } = await anna.rpc('conversation.create_group', { name: 'private', members: [] })
  const channel = `im:c:${conversation.id}`
  for (const command of [
    { subscribe: { channel } },
    { publish: { channel, data: {} } },
    { history: { channel, limit: 10 } },
    { presence: { channel } },
  ]) {
    expect((await boris.call(command)).error?.code, JSON.stringify(command)).toBeGreaterThan(0)
  }
  // Nor members, but for what the messenger does for them.
  expect((await anna.call({ publish: { channel, data: {} } })).error).toMatchObject({ code: 103 })
  expect((await anna.call({ history: { channel, limit: 10 } })).error).toMatchObject({ code: 103 })
})
