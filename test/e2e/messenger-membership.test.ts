// Membership and presence at a real relay: what changes takes effect on live connections of all shards, at once.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clientOf, loggedIn, must, newPerson, type Person } from '../support/people.ts'
import { RawClient } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'

const CONNECTIONS = 4

let relay: TestRelay
let path: string
let owner: Person
let count = 0

beforeAll(async () => {
  path = mkdtempSync(join(tmpdir(), 'fanwire-membership-'))
  relay = await startTestRelay({
    shards: 2,
    client: { allow_anonymous_connect_without_token: false },
    messenger: { enabled: true, path, message_rate: 1_000_000, offline_after: '0s' },
  })
  owner = await loggedIn(relay, 'auth.signup', 'owner')
})
afterAll(async () => {
  await relay?.stop()
  rmSync(path, { recursive: true, force: true })
})

/** Connections of one user: with so many, some are on each shard. */
async function connectionsOf(person: Person): Promise<RawClient[]> {
  const opened = Array.from({ length: CONNECTIONS }, async (_, n) => {
    const way = n % 2 === 0 ? 'websocket' : 'tcp'
    const client = await RawClient.connect(relay, way, { token: person.connection })
    client.answersPings = true
    return client
  })
  return Promise.all(opened)
}

async function makeGroup(members: readonly Person[] = []): Promise<number> {
  const input = { name: `group ${++count}`, members: members.map(({ id }) => id) }
  return (await must(owner, 'conversation.create_group', input)).conversation.id
}

async function send(by: Person, conversation: number, text: string): Promise<void> {
  await must(by, 'message.send', { conversation, client_id: `c${++count}`, text })
}

/** An event that came over a connection, now or later. */
function event(client: RawClient, channel: string, accepts: (data: any) => boolean): Promise<any> {
  return client.next(
    ({ push }) => push?.channel === channel && push.pub !== undefined && accepts(push.pub.data),
  )
}

const texts = (client: RawClient, channel: string): string[] =>
  client.lines
    .filter(({ push }) => push?.channel === channel && push.pub?.data.type === 'message')
    .map(({ push }) => push.pub.data.message.text)

describe('membership', () => {
  test('begins on all connections that are there: they get what is said from then on', async () => {
    const person = await newPerson(owner, `invited-${++count}`)
    const connections = await connectionsOf(person)
    const group = await makeGroup()
    await send(owner, group, 'before')
    await must(owner, 'conversation.invite', { conversation: group, users: [person.id] })
    await send(owner, group, 'after')
    for (const client of connections) {
      const added = await event(client, `im:u:${person.id}`, data => data.type === 'conversation_added')
      expect(added.push.pub.data.conversation).toMatchObject({ id: group, members: 2, unread: 0 })
      await event(client, `im:c:${group}`, data => data.message?.text === 'after')
      expect(texts(client, `im:c:${group}`)).toEqual(['after'])
    }
  })

  test('ends on all connections: nothing that is said later comes', async () => {
    const person = await newPerson(owner, `removed-${++count}`)
    const other = await newPerson(owner, `stays-${++count}`)
    const group = await makeGroup([person, other])
    const connections = await connectionsOf(person)
    const witness = await clientOf(other, 'websocket')
    await send(owner, group, 'both')
    for (const client of connections) await event(client, `im:c:${group}`, ({ type }) => type === 'message')
    await must(owner, 'conversation.remove', { conversation: group, user: person.id })
    await send(owner, group, 'secret')
    await event(witness, `im:c:${group}`, data => data.message?.text === 'secret')
    for (const client of connections) {
      await client.next(({ push }) => push?.channel === `im:c:${group}` && push.unsubscribe !== undefined)
      await event(client, `im:u:${person.id}`, data => data.type === 'conversation_removed')
      expect(texts(client, `im:c:${group}`)).toEqual(['both'])
    }
    const again = await RawClient.connect(relay, 'websocket', { token: person.connection })
    const { subs } = again.lines.find(line => line.connect !== undefined).connect
    expect(Object.keys(subs)).not.toContain(`im:c:${group}`)
    expect(Object.keys(subs)).toContain('im:c:1')
  })

  test('ends with the group', async () => {
    const person = await newPerson(owner, `orphan-${++count}`)
    const group = await makeGroup([person])
    const connections = await connectionsOf(person)
    await must(owner, 'conversation.delete', { conversation: group })
    for (const client of connections) {
      await client.next(({ push }) => push?.channel === `im:c:${group}` && push.unsubscribe !== undefined)
    }
  })

  test('can not be taken: nobody subscribes to a conversation by oneself', async () => {
    const person = await newPerson(owner, `curious-${++count}`)
    const group = await makeGroup()
    for (const way of ['websocket', 'tcp'] as const) {
      const client = await clientOf(person, way)
      for (const channel of [`im:c:${group}`, `im:u:${owner.id}`, 'im:presence', 'im:c:999']) {
        const { error } = await client.call({ id: ++count + 1_000, subscribe: { channel } })
        expect(error?.code, channel).toBeGreaterThan(0)
        const published = await client.call({ id: ++count + 1_000, publish: { channel, data: {} } })
        expect(published.error?.code, channel).toBeGreaterThan(0)
        const read = await client.call({ id: ++count + 1_000, history: { channel, limit: 10 } })
        expect(read.error?.code, channel).toBeGreaterThan(0)
      }
    }
  })
})

describe('presence', () => {
  test('tells who comes and who goes, and when they were last there', async () => {
    const person = await newPerson(owner, `present-${++count}`)
    const watcher = await clientOf(owner, 'tcp')
    await event(watcher, 'im:presence', data => data.online.includes(person.id))
    const isOnline = async () =>
      (await must(owner, 'presence.get', { users: [person.id] })).users[0].online as boolean
    expect(await isOnline()).toBe(true)
    const from = watcher.lines.length
    for (const client of person.clients.values()) client.socket.destroy()
    await watcher.next(
      line =>
        watcher.lines.indexOf(line) >= from &&
        line.push?.channel === 'im:presence' &&
        line.push.pub?.data.offline.includes(person.id),
    )
    expect(await isOnline()).toBe(false)
    const { users } = await must(owner, 'presence.list')
    expect(users).toContain(owner.id)
    expect(users).not.toContain(person.id)
  })
})
