// Every method of the messenger × everybody × each way in, at a real relay: rpc over WebSocket and TCP, and HTTP.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { methods } from '../../src/messenger/methods/registry.ts'
import {
  call,
  callAsStranger,
  clientOf,
  loggedIn,
  must,
  newPerson,
  PASSWORD,
  type Person,
  upload,
  WAYS,
  type Way,
} from '../support/people.ts'
import { type Row, type Scene, TABLE, type User, WHO, type Who } from '../support/permission-table.ts'
import { RawClient } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'

type Cast = Readonly<Record<User, Person>>
/** The outcome of each. */
type Answers = Readonly<Record<string, string>>

const NO_FILE = 'z'.repeat(22)
const UNAUTHORIZED = 101
const SESSION_ENDED = 4500
const ACCOUNT_CLOSED = 4501

let relay: TestRelay
let path: string
let root: Person
let author: Person
let cast: Cast
let count = 0

beforeAll(async () => {
  path = mkdtempSync(join(tmpdir(), 'fanwire-permissions-'))
  const many = 1_000_000
  const rates = {
    message_rate: many,
    signups_per_hour: many,
    logins_per_minute: many,
    conversations_per_hour: many,
  }
  relay = await startTestRelay({
    shards: 2,
    client: { allow_anonymous_connect_without_token: false },
    messenger: { enabled: true, path, uploads_per_user: 100, ...rates },
  })
  root = await loggedIn(relay, 'auth.signup', 'root')
  author = await newPerson(root, 'author')
  const users = WHO.filter(who => who !== 'stranger')
  cast = Object.fromEntries(
    await Promise.all(users.map(async who => [who, await personFor(who)] as const)),
  ) as Cast
})
afterAll(async () => {
  await relay?.stop()
  rmSync(path, { recursive: true, force: true })
})

function personFor(who: User): Promise<Person> {
  const role = who === 'server_admin' ? 'admin' : 'user'
  return newPerson(root, `${who.replaceAll('_', '-')}-${++count}`, role)
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
  const inGroup = { conversation: made.conversation.id as number }
  const send = async (person: Person, to: object, id: string): Promise<number> =>
    (await must(person, 'message.send', { ...to, client_id: `${unique}-${id}`, text: 'hello' })).message.seq
  const fileOf = (owner: Person | undefined, text: string) =>
    files && owner !== undefined ? upload(owner, `${unique}-${text}`) : NO_FILE
  const [attached, hiddenFile, ownFile] = await Promise.all([
    fileOf(author, 'attached'),
    fileOf(author, 'hidden'),
    fileOf(caller, 'own'),
  ])
  const [, seq, everyoneSeq] = await Promise.all([
    must(players.owner, 'conversation.set_role', { ...inGroup, user: players.admin.id, role: 'admin' }),
    send(author, { ...inGroup, ...(files && { attachments: [attached] }) }, 'group'),
    send(author, { everyone: true }, 'everyone'),
  ])
  return {
    group: inGroup.conversation,
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
    attached,
    hiddenFile,
    ownFile,
    unique,
  }
}

/** Over a connection that has not connected nobody can say more than what belongs to logging in. */
function expectedOf(row: Row, who: Who, way: Way, method: string): string {
  if (who === 'stranger' && way !== 'http' && !method.startsWith('auth.')) return 'ended'
  return row.expected[who]
}

/** What everybody gets. Who is refused changes nothing, so they share a scene. */
async function play(way: Way, method: string, row: Row): Promise<Answers> {
  const spare = row.spare === true ? (await newPerson(root, `spare-${++count}`)).id : 0
  const scenes: Scene[] = []
  const sceneFor = async (players: Cast, who: Who) => {
    const scene = await setScene(players, who, { spare, files: row.files === true })
    scenes.push(scene)
    return scene
  }
  const shared = await sceneFor(cast, 'stranger')
  const isRead = methods.get(method)?.kind === 'read'
  const one = async (who: Who): Promise<readonly [Who, string]> => {
    if (who === 'stranger') {
      return [who, (await callAsStranger(relay, way, method, row.input(shared))).outcome]
    }
    const players = row.spoils === true ? { ...cast, [who]: await personFor(who) } : cast
    const isAlone = row.spoils === true || row.files === true || (!isRead && row.expected[who] === 'ok')
    const scene = isAlone ? await sceneFor(players, who) : shared
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

/** What somebody gets by HTTP who has nothing any more but the token. */
async function answersWithoutLogin(person: Person): Promise<Answers> {
  const scene = await setScene(cast, 'stranger', { spare: author.id, files: false })
  const ofMethods = Object.entries(TABLE).map(async ([method, [row]]) => {
    const { outcome } = await call('http', person, method, row!.input(scene))
    return [method, outcome] as const
  })
  return Object.fromEntries(await Promise.all(ofMethods))
}

/** As strangers: they may sign up and log in, and nothing else. */
function expectedOfStrangers(): Answers {
  return Object.fromEntries(
    Object.entries(TABLE).map(([method, [row]]) => [method, expectedOf(row!, 'stranger', 'http', method)]),
  )
}

describe('who is blocked', () => {
  test('is closed everywhere at once, can call nothing, and can not come back', async () => {
    const person = await newPerson(root, `blocked-${++count}`)
    const connections = await Promise.all([clientOf(person, 'websocket'), clientOf(person, 'tcp')])
    await must(root, 'admin.block', { user: person.id })
    for (const connection of connections) expect((await connection.ended).code).toBe(ACCOUNT_CLOSED)
    expect(await answersWithoutLogin(person)).toEqual(expectedOfStrangers())
    await expectNoWayBack(person)
    for (const way of WAYS) {
      const data = { nickname: person.nickname, password: PASSWORD }
      expect((await callAsStranger(relay, way, 'auth.login', data)).outcome).toBe('forbidden')
    }
  })
})

describe('whose login has ended', () => {
  test('is closed where that login was used, can call nothing by it, and goes on with another', async () => {
    const nickname = `ended-${++count}`
    const person = await newPerson(root, nickname)
    const other = await loggedIn(relay, 'auth.login', nickname)
    const connections = await Promise.all([clientOf(person, 'websocket'), clientOf(person, 'tcp')])
    await must(other, 'auth.logout_everywhere', { except_current: true })
    for (const connection of connections) expect((await connection.ended).code).toBe(SESSION_ENDED)
    expect(await answersWithoutLogin(person)).toEqual(expectedOfStrangers())
    await expectNoWayBack(person)
    for (const way of WAYS) expect((await call(way, other, 'user.me')).outcome).toBe('ok')
  })
})

/** The connection token is good for minutes still, and its login is not. */
async function expectNoWayBack(person: Person): Promise<void> {
  for (const way of ['websocket', 'tcp'] as const) {
    const client = await RawClient.open(relay, way)
    const reply = client.call({ id: 1, connect: { token: person.connection } })
    const refused: any = await reply.catch(() => client.ended)
    expect(refused.connect).toBeUndefined()
    expect([UNAUTHORIZED, SESSION_ENDED]).toContain(refused.error?.code ?? refused.code)
    client.socket.destroy()
  }
}
