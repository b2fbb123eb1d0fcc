// Every method of the messenger × everybody × each way in, at a real relay: rpc over WebSocket and TCP, and HTTP.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { failures } from '../../src/messenger/failures.ts'
import { methods } from '../../src/messenger/methods/registry.ts'
import {
  type Outcome,
  PASSWORD,
  type Row,
  type Scene,
  TABLE,
  type User,
  WHO,
  type Who,
} from '../support/permission-table.ts'
import { RawClient } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'

const WAYS = ['websocket', 'tcp', 'http'] as const
type Way = (typeof WAYS)[number]

/** A user with a login, and what it takes to call by each way in. */
type Person = Readonly<{
  id: number
  nickname: string
  session: Readonly<{ id: string; token: string }>
  connection: string
  clients: Map<Way, RawClient>
}>
type Cast = Readonly<Record<User, Person>>

/** `ended`: the connection was closed for it. */
type Answer = Readonly<{ outcome: Outcome | 'ended' | `code ${number}`; data: any }>

const kinds = new Map(Object.entries(failures).map(([kind, { code }]) => [code, kind as Outcome]))

let relay: TestRelay
let path: string
let root: Person
let author: Person
let cast: Cast
let count = 0

beforeAll(async () => {
  path = mkdtempSync(join(tmpdir(), 'fanwire-permissions-'))
  const many = 1_000_000
  relay = await startTestRelay({
    shards: 2,
    client: { allow_anonymous_connect_without_token: false },
    messenger: {
      enabled: true,
      path,
      message_rate: many,
      signups_per_hour: many,
      logins_per_minute: many,
    },
  })
  root = await loggedIn('auth.signup', 'root')
  author = await newPerson('author', 'user')
  const entries = WHO.filter(who => who !== 'stranger').map(async who => [who, await personFor(who)] as const)
  cast = Object.fromEntries(await Promise.all(entries)) as Cast
})
afterAll(async () => {
  await relay?.stop()
  rmSync(path, { recursive: true, force: true })
})

function personFor(who: User): Promise<Person> {
  return newPerson(`${who.replaceAll('_', '-')}-${++count}`, who === 'server_admin' ? 'admin' : 'user')
}

async function newPerson(nickname: string, role: 'user' | 'admin'): Promise<Person> {
  await must(root, 'admin.add_user', { nickname, password: PASSWORD, role })
  return loggedIn('auth.login', nickname)
}

async function loggedIn(method: 'auth.login' | 'auth.signup', nickname: string): Promise<Person> {
  const client = await RawClient.open(relay, 'tcp')
  const reply = await client.call({ id: 1, rpc: { method, data: { nickname, password: PASSWORD } } })
  expect(reply.error).toBeUndefined()
  const { user, session, connection } = reply.rpc.data
  expect((await client.call({ id: 2, connect: {} })).error).toBeUndefined()
  const clients = new Map<Way, RawClient>([['tcp', client]])
  return { id: user.id, nickname, session, connection: connection.token, clients }
}

async function clientOf(person: Person, way: 'websocket' | 'tcp'): Promise<RawClient> {
  let client = person.clients.get(way)
  if (client === undefined) {
    client = await RawClient.connect(relay, way, { token: person.connection })
    client.answersPings = true
    person.clients.set(way, client)
  }
  return client
}

let ids = 100

async function call(way: Way, person: Person | undefined, method: string, data: object): Promise<Answer> {
  if (way === 'http') return callHttp(person?.session.token, method, data)
  const client = await (person === undefined ? RawClient.open(relay, way) : clientOf(person, way))
  const id = ++ids
  try {
    return answerOf(await client.call({ id, rpc: { method, data } }))
  } catch {
    // The connection ended without an answer.
    return { outcome: 'ended', data: await client.ended }
  } finally {
    if (person === undefined) client.close()
  }
}

function answerOf({ rpc, error }: any): Answer {
  if (error === undefined) return { outcome: 'ok', data: rpc.data }
  return { outcome: kinds.get(error.code) ?? `code ${error.code}`, data: error }
}

async function callHttp(token: string | undefined, method: string, data: object): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${relay.ports.http}/messenger/rpc/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify(data),
  })
  const body: any = await response.json()
  if (response.ok) return { outcome: 'ok', data: body }
  const outcome = kinds.get(body.error.code)
  expect(response.status, JSON.stringify(body)).toBe(failures[outcome as keyof typeof failures]?.status)
  return { outcome: outcome ?? `code ${body.error.code}`, data: body.error }
}

/** For what a test needs besides what it tests. */
async function must(person: Person, method: string, data: object): Promise<any> {
  const { outcome, data: result } = await call('tcp', person, method, data)
  expect(outcome, `${method} ${JSON.stringify(result)}`).toBe('ok')
  return result
}

/** A group with all who play in it, and messages. */
async function setScene(
  players: Cast,
  who: Who,
  { spare, files }: { spare: number; files: boolean },
): Promise<Scene> {
  const caller = who === 'stranger' ? undefined : players[who]
  const isMember = who === 'member' || who === 'admin' || who === 'owner'
  const unique = `u${++count}`
  const members = [players.member.id, players.admin.id, author.id]
  const made = await must(players.owner, 'conversation.create_group', { name: unique, members })
  const group: number = made.conversation.id
  const send = async (person: Person, to: object, id: string): Promise<number> =>
    (await must(person, 'message.send', { ...to, client_id: `${unique}-${id}`, text: 'hello' })).message.seq
  const inGroup = { conversation: group }
  const [attached, hiddenFile, ownFile] = await Promise.all(
    [author, author, caller].map(owner => (files && owner !== undefined ? upload(owner, unique) : NO_FILE)),
  )
  const [, seq, everyoneSeq] = await Promise.all([
    must(players.owner, 'conversation.set_role', { ...inGroup, user: players.admin.id, role: 'admin' }),
    send(author, { ...inGroup, ...(files && { attachments: [attached] }) }, 'group'),
    send(author, { everyone: true }, 'everyone'),
  ])
  return {
    group,
    seq,
    ownSeq: isMember ? await send(players[who], inGroup, 'own') : seq,
    everyoneSeq,
    author: author.id,
    spare,
    caller: {
      id: caller?.id ?? 0,
      nickname: caller?.nickname ?? '',
      session: caller?.session.id ?? '',
    },
    attached: attached!,
    hiddenFile: hiddenFile!,
    ownFile: ownFile!,
    unique,
  }
}

const NO_FILE = 'z'.repeat(22)

async function upload(owner: Person, text: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${relay.ports.http}/messenger/files?name=${text}.txt`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${owner.session.token}` },
    body: text,
  })
  const body: any = await response.json()
  expect(response.status, JSON.stringify(body)).toBe(201)
  return body.file.id
}

/** Over a connection that has not connected nobody can say more than what belongs to logging in. */
function expectedOf(row: Row, who: Who, way: Way, method: string): Answer['outcome'] {
  if (who === 'stranger' && way !== 'http' && !method.startsWith('auth.')) return 'ended'
  const isEnd = row.closes === true && way !== 'http' && row.expected[who] === 'ok'
  return isEnd ? 'ended' : row.expected[who]
}

/** What everybody gets. Who is refused changes nothing, so they share a scene. */
async function play(way: Way, method: string, row: Row): Promise<Record<string, Answer['outcome']>> {
  const spare = row.spare === true ? (await newPerson(`spare-${++count}`, 'user')).id : 0
  const scenes: Scene[] = []
  const sceneFor = async (players: Cast, who: Who) => {
    const scene = await setScene(players, who, { spare, files: row.files === true })
    scenes.push(scene)
    return scene
  }
  const shared = await sceneFor(cast, 'stranger')
  const isRead = methods.get(method)?.kind === 'read'
  const one = async (who: Who): Promise<readonly [Who, Answer['outcome']]> => {
    if (who === 'stranger') return [who, (await call(way, undefined, method, row.input(shared))).outcome]
    const players = row.spoils === true ? { ...cast, [who]: await personFor(who) } : cast
    const changes = row.files === true || (!isRead && row.expected[who] === 'ok')
    const scene = row.spoils === true || changes ? await sceneFor(players, who) : shared
    return [who, (await call(way, players[who], method, row.input(scene))).outcome]
  }
  const answers = await Promise.all(WHO.map(one))
  // Users are in a bounded number of conversations.
  for (const { group } of scenes)
    await call('tcp', root, 'admin.delete_conversation', { conversation: group })
  return Object.fromEntries(answers)
}

test('every method has a row', () => {
  expect(Object.keys(TABLE).sort()).toEqual([...methods.keys()].sort())
})

const rows = Object.entries(TABLE).flatMap(([method, ofMethod]) =>
  ofMethod.map(row => [row.about === undefined ? method : `${method} (${row.about})`, method, row] as const),
)

describe.each(WAYS)('over %s', way => {
  test.each(rows)('%s', async (_, method, row) => {
    const expected = Object.fromEntries(WHO.map(who => [who, expectedOf(row, who, way, method)]))
    expect(await play(way, method, row)).toEqual(expected)
  })
})
