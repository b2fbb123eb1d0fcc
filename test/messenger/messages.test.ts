// Messages: sending once, changing, deleting for good, reactions, pins, marks. A real messenger in this process.

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Database } from '../../src/messenger/store/database.ts'
import { DATABASE_FILE } from '../../src/messenger/store/schema.ts'
import { openMessenger, PATIENTLY, type TestMessenger, type TestUser } from '../support/messenger.ts'

const NOT_FOUND = { code: 1000 }
const FORBIDDEN = { code: 103 }
const BAD_REQUEST = { code: 107 }
const LIMIT = { code: 1006 }
const TOO_LARGE = { code: 1007 }

function open(changed: Parameters<typeof openMessenger>[0] = {}) {
  const world = openMessenger(changed)
  const [ann, ben, cem] = ['ann', 'ben', 'cem'].map(name => world.addUser(name)) as [
    TestUser,
    TestUser,
    TestUser,
  ]
  let sent = 0
  const say = async (from: TestUser, conversation: number, text: string, rest: object = {}) => {
    const client_id = `t${sent++}`
    return (await from.call('message.send', { conversation, client_id, text, ...rest })).message
  }
  const groupOf = async (owner: TestUser, ...members: TestUser[]): Promise<number> => {
    const ids = members.map(({ id }) => id)
    return (await owner.call('conversation.create_group', { name: 'a group', members: ids })).conversation.id
  }
  return { ...world, ann, ben, cem, say, groupOf }
}

/** Rows that a message has in tables besides its own. */
function leftOf({ db }: TestMessenger): Record<string, number> {
  const tables = ['edits', 'reactions', 'mentions', 'pins', 'attachments', 'message_words', 'message_parts']
  const count = (table: string) => db.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)!.n
  return Object.fromEntries(tables.map(table => [table, count(table)]).filter(([, n]) => n !== 0))
}

test('the same id sent again gets the same answer, no second message and no second publication', async () => {
  const { ann, ben, relay, say } = open()
  const input = { everyone: true, client_id: 'same', text: 'once' }
  const first = await ann.call('message.send', input)
  await say(ben, 1, 'between')
  await ann.call('message.edit', { conversation: 1, seq: 1, text: 'changed' })
  expect(await ann.call('message.send', input)).toEqual(first)
  expect(await ann.call('message.send', { ...input, text: 'another' })).toEqual(first)
  const all = await Promise.all([1, 2].map(() => ann.call('message.send', { ...input, client_id: 'twice' })))
  expect(all[0]).toEqual(all[1])
  // Ids are of one author in one conversation.
  expect((await ben.call('message.send', input)).message.seq).toBe(4)
  expect((await ann.call('message.send', { ...input, everyone: undefined, user: ben.id })).message.seq).toBe(
    1,
  )
  await expect.poll(() => relay.eventsOf('im:c:1').length, PATIENTLY).toBe(5)
  expect(relay.eventsOf('im:c:1').map(({ type, rev }) => [type, rev])).toEqual([
    ['message', 1],
    ['message', 2],
    ['edited', 3],
    ['message', 4],
    ['message', 5],
  ])
})

test('an id is still known after its message was deleted', async () => {
  const { ann } = open()
  const input = { everyone: true, client_id: 'same', text: 'once' }
  const first = await ann.call('message.send', input)
  await ann.call('message.delete', { conversation: 1, seq: 1 })
  expect(await ann.call('message.send', input)).toEqual(first)
})

test('to a nickname, however it is written: the same conversation as to the user', async () => {
  const { ann, ben } = open()
  const send = (to: object, client_id: string) =>
    ann.call('message.send', { ...to, client_id, text: 'hi' }).then(({ message }) => message)
  const { conversation } = await send({ user: ben.id }, 'a')
  expect(await send({ nickname: 'BEN' }, 'b')).toMatchObject({ conversation, seq: 2 })
  await expect(send({ nickname: 'nobody' }, 'c')).rejects.toMatchObject(NOT_FOUND)
  await expect(send({ nickname: 'ben', user: ben.id }, 'd')).rejects.toMatchObject(BAD_REQUEST)
})

test('to a user: the direct conversation is made once, both join it before the message goes out', async () => {
  const { ann, ben, cem, relay } = open()
  let joined = () => {}
  relay.ordersDone = new Promise(resolve => {
    joined = resolve
  })
  const send = (from: TestUser, to: TestUser) =>
    from.call('message.send', { user: to.id, client_id: 'a', text: 'hi' })
  const { message } = await send(ann, ben)
  const channel = `im:c:${message.conversation}`
  expect(relay.orders).toMatchObject([
    { kind: 'subscribe', user: String(ann.id), channel },
    { kind: 'subscribe', user: String(ben.id), channel },
  ])
  await expect
    .poll(() => relay.eventsOf(`im:u:${ben.id}`), PATIENTLY)
    .toMatchObject([{ type: 'conversation_added' }])
  expect(relay.eventsOf(channel)).toEqual([])
  joined()
  await expect.poll(() => relay.eventsOf(channel), PATIENTLY).toMatchObject([{ type: 'message', rev: 1 }])
  expect((await send(ben, ann)).message).toMatchObject({ conversation: message.conversation, seq: 2 })
  const { conversation } = message
  await expect(cem.call('message.list', { conversation })).rejects.toMatchObject(NOT_FOUND)
  await expect(cem.call('message.send', { conversation, client_id: 'x', text: 'x' })).rejects.toMatchObject(
    NOT_FOUND,
  )
  await expect(send(ann, ann)).rejects.toMatchObject(BAD_REQUEST)
})

test('texts are stored in one form, bounded, and without control characters', async () => {
  const { ann, say } = open({ message_size: 100 })
  await say(ann, 1, 'Cafe\u0301\r\n\tok \n\n')
  await say(ann, 1, '\u{1f600}'.repeat(100))
  const { messages } = await ann.call('message.list', { conversation: 1, after: 0 })
  expect(messages[0].text).toBe('Caf\u00e9\n\tok')
  await expect(say(ann, 1, '\u{1f600}'.repeat(101))).rejects.toMatchObject(TOO_LARGE)
  for (const text of ['', ' \n', 'a\u0000b', '\u001b[31m', 'a\rb', '\u009b', '\u007f', '\ud800']) {
    await expect(say(ann, 1, text), JSON.stringify(text)).rejects.toMatchObject(BAD_REQUEST)
  }
  expect((await ann.call('message.list', { conversation: 1, after: 0 })).messages).toHaveLength(2)
})

test('mentions are of members, replies to messages that are there', async () => {
  const { ann, ben, cem, say, groupOf } = open()
  const group = await groupOf(ann, ben)
  await say(ann, group, 'hello', { mentions: [ben.id, ben.id] })
  await say(ben, group, 'yes', { reply_to: 1 })
  const { messages } = await ann.call('message.list', { conversation: group, after: 0 })
  expect(messages).toMatchObject([{ mentions: [ben.id] }, { reply_to: 1, mentions: [] }])
  const stranger = say(ann, group, 'x', { mentions: [ben.id, cem.id] })
  await expect(stranger).rejects.toMatchObject({ ...BAD_REQUEST, message: /user 3 is not a member/ })
  await expect(say(ann, group, 'x', { reply_to: 9 })).rejects.toMatchObject(NOT_FOUND)
  // The refused ones took no place.
  expect((await say(ann, group, 'next')).seq).toBe(3)
})

test('an edit keeps what was said before, and only authors edit', async () => {
  const { ann, ben, relay, say, clock } = open()
  await say(ann, 1, 'one', { mentions: [ben.id] })
  clock.nowMs += 1_000
  const { message } = await ann.call('message.edit', { conversation: 1, seq: 1, text: 'two' })
  expect(message).toMatchObject({ seq: 1, rev: 2, text: 'two', mentions: [], edited_ms: clock.nowMs })
  // The same again is no change.
  expect(await ann.call('message.edit', { conversation: 1, seq: 1, text: 'two ' })).toEqual({ message })
  expect(await ben.call('message.edits', { conversation: 1, seq: 1 })).toEqual({
    edits: [{ edited_ms: clock.nowMs, text: 'one' }],
    has_more: false,
  })
  const byAnother = ben.call('message.edit', { conversation: 1, seq: 1, text: 'no' })
  await expect(byAnother).rejects.toMatchObject(FORBIDDEN)
  await expect.poll(() => relay.eventsOf('im:c:1')[1], PATIENTLY).toEqual({ type: 'edited', rev: 2, message })
  const found = await ben.call('search.messages', { query: 'two' })
  expect(found.hits).toHaveLength(1)
  expect((await ben.call('search.messages', { query: 'one' })).hits).toHaveLength(0)
})

test('who was mentioned and has left stays mentioned when the text changes', async () => {
  const { ann, ben, say, groupOf } = open()
  const group = await groupOf(ann, ben)
  await say(ann, group, 'one', { mentions: [ben.id] })
  await ben.call('conversation.leave', { conversation: group })
  const edit = { conversation: group, seq: 1, text: 'two', mentions: [ben.id] }
  expect((await ann.call('message.edit', edit)).message).toMatchObject({ text: 'two', mentions: [ben.id] })
  await ann.call('message.edit', { ...edit, mentions: [] })
  await expect(ann.call('message.edit', edit)).rejects.toMatchObject(BAD_REQUEST)
})

test('a deleted message keeps its place and nothing else', async () => {
  const world = open()
  const { ann, ben, say, groupOf } = world
  const group = await groupOf(ann, ben)
  await say(ben, group, 'a secret', { mentions: [ann.id] })
  await say(ben, group, 'a reply', { reply_to: 1 })
  await ben.call('message.edit', { conversation: group, seq: 1, text: 'another secret', mentions: [ann.id] })
  await ann.call('message.react', { conversation: group, seq: 1, emoji: '👍' })
  await ann.call('message.pin', { conversation: group, seq: 1 })
  const before = leftOf(world)
  expect(before).toMatchObject({ edits: 1, reactions: 1, mentions: 1, pins: 1 })
  const { message } = await ann.call('message.delete', { conversation: group, seq: 1 })
  expect(message).toMatchObject({
    seq: 1,
    text: '',
    mentions: [],
    reactions: [],
    edited_ms: 0,
    pinned: false,
  })
  expect(message.deleted_ms).toBeGreaterThan(0)
  // What is left is of the reply.
  expect(leftOf(world)).toEqual({ message_words: 1, message_parts: 1 })
  expect(await ann.call('message.delete', { conversation: group, seq: 1 })).toEqual({ message })
  const again = ann.call('message.edits', { conversation: group, seq: 1 })
  await expect(again).rejects.toMatchObject(NOT_FOUND)
  // A member who is no administrator deletes only what is the own.
  const others = await say(ann, group, 'of ann')
  const byBen = ben.call('message.delete', { conversation: group, seq: others.seq })
  await expect(byBen).rejects.toMatchObject(FORBIDDEN)
})

test('reactions come and go; what is no emoji is refused, and there is a limit of kinds', async () => {
  const { ann, ben, say, relay } = open()
  await say(ann, 1, 'hello')
  const react = (user: TestUser, emoji: string, on = true) =>
    user.call('message.react', { conversation: 1, seq: 1, emoji, on })
  await react(ann, '👍')
  await react(ben, '👍')
  expect((await react(ben, '❤')).message).toMatchObject({
    rev: 4,
    reactions: [
      { emoji: '👍', users: [ann.id, ben.id] },
      { emoji: '❤️', users: [ben.id] },
    ],
  })
  // Nothing new.
  expect((await react(ben, '👍')).message.rev).toBe(4)
  await react(ben, '🎉', false)
  await react(ben, '❤️', false)
  await react(ben, '👍', false)
  expect((await react(ann, '👍', false)).message).toMatchObject({ rev: 7, reactions: [] })
  const revs = () => relay.eventsOf('im:c:1').map(({ rev }) => rev)
  await expect.poll(revs, PATIENTLY).toEqual([1, 2, 3, 4, 5, 6, 7])
  for (const text of ['', 'a', 'ok', '👍👍', '<b>', '1']) {
    await expect(react(ann, text), text).rejects.toMatchObject(BAD_REQUEST)
  }
  const first = 0x1f600
  for (let kind = 0; kind < 20; kind++) await react(ann, String.fromCodePoint(first + kind))
  await expect(react(ann, '👍')).rejects.toMatchObject(LIMIT)
  await react(ben, String.fromCodePoint(first))
})

test('pins', async () => {
  const { ann, ben, say, groupOf, relay } = open()
  const group = await groupOf(ann, ben)
  await say(ben, group, 'important')
  const pin = (user: TestUser, on: boolean) => user.call('message.pin', { conversation: group, seq: 1, on })
  await expect(pin(ben, true)).rejects.toMatchObject(FORBIDDEN)
  expect((await pin(ann, true)).message).toMatchObject({ rev: 2, pinned: true })
  expect((await pin(ann, true)).message.rev).toBe(2)
  expect((await pin(ann, false)).message).toMatchObject({ rev: 3, pinned: false })
  await expect
    .poll(() => relay.eventsOf(`im:c:${group}`).map(({ type }) => type))
    .toEqual(['message', 'pinned', 'pinned'])
})

test('marks go forward only, and are told together', async () => {
  const { ann, ben, cem, say, relay } = open()
  for (const text of ['a', 'b', 'c']) await say(ann, 1, text, { mentions: [ben.id] })
  const mark = (user: TestUser, marks: object) => user.call('message.mark', { conversation: 1, ...marks })
  expect(await mark(ben, { delivered_seq: 3 })).toEqual({ read_seq: 0, delivered_seq: 3 })
  expect(await mark(ben, { read_seq: 1 })).toEqual({ read_seq: 1, delivered_seq: 3 })
  expect(await mark(ben, { read_seq: 2 })).toEqual({ read_seq: 2, delivered_seq: 3 })
  expect(await mark(ben, { read_seq: 1, delivered_seq: 1 })).toEqual({ read_seq: 2, delivered_seq: 3 })
  expect(await mark(cem, { read_seq: 3 })).toEqual({ read_seq: 3, delivered_seq: 3 })
  await expect(mark(cem, { read_seq: 4 })).rejects.toMatchObject(BAD_REQUEST)
  // How many come together is a matter of time; what counts is the last of each.
  const marks = () => {
    const events = relay.eventsOf('im:c:1').filter(({ type }) => type === 'marks')
    return Object.fromEntries(events.flatMap(event => event.marks).map((one: any) => [one.user, one]))
  }
  await expect.poll(marks, PATIENTLY).toEqual({
    [ben.id]: { user: ben.id, read_seq: 2, delivered_seq: 3 },
    [cem.id]: { user: cem.id, read_seq: 3, delivered_seq: 3 },
  })
  const own = { type: 'mark', conversation: 1, read_seq: 2, unread: 1, unread_mentions: 1 }
  await expect.poll(() => relay.eventsOf(`im:u:${ben.id}`).at(-1), PATIENTLY).toEqual(own)
  // Who writes has read what was there.
  await say(ben, 1, 'answer')
  expect((await ben.call('conversation.get', { conversation: 1 })).conversation.unread).toBe(0)
})

test('typing is shown, not stored, at most once in two seconds, and its end', async () => {
  const { ann, ben, cem, relay, clock, groupOf } = open()
  const group = await groupOf(ann, ben)
  const type = (user: TestUser, typing: boolean) =>
    user.call('message.typing', { conversation: group, typing })
  await type(ann, true)
  await expect.poll(() => relay.eventsOf(`im:c:${group}`).length, PATIENTLY).toBe(1)
  for (const typing of [true, false, false, true]) await type(ann, typing)
  await expect.poll(() => relay.eventsOf(`im:c:${group}`).length, PATIENTLY).toBe(2)
  clock.nowMs += 2_000
  await type(ann, true)
  await expect(type(cem, true)).rejects.toMatchObject(NOT_FOUND)
  await expect
    .poll(() => relay.eventsOf(`im:c:${group}`))
    .toEqual([
      { type: 'typing', user: ann.id, typing: true },
      { type: 'typing', user: ann.id, typing: false },
      { type: 'typing', user: ann.id, typing: true },
    ])
})

test('in large conversations nobody is told of marks and typing but the own devices', async () => {
  const { ann, addUser, say, relay } = open()
  for (let number = 0; number < 200; number++) addUser(`user${number}`)
  const last = addUser('last')
  await say(ann, 1, 'hello')
  await last.call('message.mark', { conversation: 1, read_seq: 1 })
  await last.call('message.typing', { conversation: 1 })
  await expect.poll(() => relay.eventsOf(`im:u:${last.id}`), PATIENTLY).toMatchObject([{ type: 'mark' }])
  expect(relay.eventsOf('im:c:1').map(({ type }) => type)).toEqual(['message'])
})

test('a user who sends too fast is told when to go on; others are not held up', async () => {
  const { ann, ben, say, clock } = open({ message_rate: 5 })
  for (let number = 0; number < 10; number++) await say(ann, 1, 'x')
  await expect(say(ann, 1, 'x')).rejects.toMatchObject({ code: 111, temporary: true, retryAfterMs: 200 })
  await say(ben, 1, 'x')
  clock.nowMs += 200
  expect((await say(ann, 1, 'x')).seq).toBe(12)
  await expect(say(ann, 1, 'x')).rejects.toMatchObject({ code: 111 })
})

test('without the conversation of all users there is nothing to send to', async () => {
  const { ann } = open({ everyone: false })
  const toEveryone = ann.call('message.send', { everyone: true, client_id: 'a', text: 'x' })
  await expect(toEveryone).rejects.toMatchObject(NOT_FOUND)
})

test('a messenger that takes over after a sudden end reminds of what may not have been told', async () => {
  const before = openMessenger()
  const ann = before.addUser('ann')
  await ann.call('message.send', { everyone: true, client_id: 'a', text: 'x' })
  const { path } = before
  /** What the next one tells, after what has become of the data directory meanwhile. */
  const told = async (client_id: string, change: string) => {
    const fixture = Database.openWriter(join(path, DATABASE_FILE))
    fixture.exec(change)
    fixture.close()
    const { relay, addUser, close } = openMessenger({ path })
    await addUser(`user ${client_id}`).call('message.send', { everyone: true, client_id, text: 'y' })
    await close()
    return relay.eventsOf('im:c:1').map(({ type, rev }) => [type, rev])
  }
  await before.close()
  expect(await told('1', '')).toEqual([['message', 2]])
  const sudden = 'DELETE FROM settings'
  expect(await told('2', sudden)).toEqual([
    ['conversation', 2],
    ['message', 3],
  ])
  const longAgo = 'UPDATE messages SET created_ms = created_ms - 61000'
  expect(await told('3', `${sudden}; ${longAgo}`)).toEqual([['message', 4]])
})
