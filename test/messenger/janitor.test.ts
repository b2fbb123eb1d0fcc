// What goes by itself: old messages with all that hangs on them, conversations without members, logs, exports.

import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Effects } from '../../src/messenger/effects.ts'
import { Janitor } from '../../src/messenger/janitor.ts'
import type { WriteContext } from '../../src/messenger/method.ts'
import { openMessenger, type TestMessenger, type TestUser } from '../support/messenger.ts'

const DAY_MS = 24 * 3_600_000

/** A janitor of the test's own, on the same database. Sweeps until a round is through. */
function janitorOf({ db, options, clock }: TestMessenger) {
  const errors: unknown[] = []
  const effects = new Effects()
  const write = async <T>(work: (context: WriteContext) => T) => {
    db.exec('BEGIN IMMEDIATE')
    try {
      const result = work({ db, nowMs: clock.nowMs, options, effects })
      db.exec('COMMIT')
      return result
    } catch (error) {
      db.exec('ROLLBACK')
      throw error
    }
  }
  const janitor = new Janitor({ db, options, write, onError: error => errors.push(error) })
  const sweep = async (times = 1) => {
    for (let n = 0; n < times; n++) {
      await janitor.sweep(clock.nowMs)
      clock.nowMs += 60_000
    }
    expect(errors).toEqual([])
  }
  return { sweep, effects }
}

let sent = 0
const say = async (user: TestUser, text: string, where: object = { everyone: true }) => {
  sent++
  return (await user.call('message.send', { ...where, client_id: `j${sent}`, text })).message
}

test('messages past their time go, with all that hangs on them; those that are left have no gaps', async () => {
  const world = openMessenger({ retention_days: 10 })
  const ann = world.addUser('ann')
  const ben = world.addUser('ben')
  for (let n = 1; n <= 250; n++) await say(ann, `old oldest${n}`)
  await ann.call('message.react', { conversation: 1, seq: 250, emoji: '👍', on: true })
  await ann.call('message.edit', { conversation: 1, seq: 250, text: 'old edited', mentions: [ben.id] })
  world.clock.nowMs += 6 * DAY_MS
  await say(ann, 'new')
  world.clock.nowMs += 5 * DAY_MS
  const { sweep } = janitorOf(world)
  await sweep(3)
  const { messages, first_seq, seq } = await ann.call('message.list', { conversation: 1 })
  expect(messages.map((one: any) => one.text)).toEqual(['new'])
  expect({ first_seq, seq }).toEqual({ first_seq: 251, seq: 251 })
  expect((await ann.call('search.messages', { query: 'old*' })).hits).toEqual([])
  for (const table of ['edits', 'reactions', 'mentions']) {
    expect(world.db.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)).toEqual({ n: 0 })
  }
  expect((await say(ann, 'next')).seq).toBe(252)
})

test('a conversation may keep its messages longer, or for ever', async () => {
  const world = openMessenger({ retention_days: 1, session_idle: 100 * DAY_MS })
  const ann = world.addUser('ann')
  const [short, long, ever] = await Promise.all(
    [null, 30, 0].map(async days => {
      const { conversation } = await ann.call('conversation.create_group', { name: `${days}`, members: [] })
      if (days !== null) await ann.call('conversation.set_retention', { conversation: conversation.id, days })
      await say(ann, 'kept?', { conversation: conversation.id })
      return conversation.id
    }),
  )
  const { sweep } = janitorOf(world)
  const countIn = async (id: number) => (await ann.call('message.list', { conversation: id })).messages.length
  world.clock.nowMs += 20 * DAY_MS
  await sweep(2)
  expect(await Promise.all([short, long, ever].map(countIn))).toEqual([0, 1, 1])
  world.clock.nowMs += 20 * DAY_MS
  await sweep(2)
  expect(await Promise.all([short, long, ever].map(countIn))).toEqual([0, 0, 1])
})

test('of a group that was deleted nothing is left, after some sweeps', async () => {
  const world = openMessenger()
  const ann = world.addUser('ann')
  const { conversation } = await ann.call('conversation.create_group', { name: 'Gone', members: [] })
  for (let n = 0; n < 120; n++) await say(ann, 'gone', { conversation: conversation.id })
  await ann.call('conversation.delete', { conversation: conversation.id })
  await janitorOf(world).sweep(3)
  for (const table of ['messages', 'message_words', 'message_parts', 'changes']) {
    expect(world.db.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`), table).toEqual({ n: 0 })
  }
  expect(world.db.get('SELECT 1 FROM conversations WHERE id = ?', conversation.id)).toBeUndefined()
})

test('the words of a deleted message leave the files of the database', async () => {
  const world = openMessenger()
  const ann = world.addUser('ann')
  for (let n = 0; n < 50; n++) await say(ann, `filling number ${n}`)
  const { conversation, seq } = await say(ann, 'xylophonist')
  const { sweep } = janitorOf(world)
  const isThere = () => {
    world.db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return readFileSync(join(world.path, 'fanwire.db')).includes('ylophonist')
  }
  expect(isThere()).toBe(true)
  await ann.call('message.delete', { conversation, seq })
  await sweep(1)
  world.clock.nowMs += DAY_MS
  await sweep(20)
  expect(isThere()).toBe(false)
  expect((await ann.call('search.messages', { query: 'filling', limit: 50 })).hits).toHaveLength(50)
})

test('logins that have ended, old rows of logs and forgotten exports go', async () => {
  const world = openMessenger()
  const ann = world.addUser('ann')
  const { db, clock } = world
  db.run(
    "INSERT INTO audit (at_ms, actor_id, action, target, detail, address) VALUES (?, 0, 'a', '', '', '')",
    clock.nowMs,
  )
  const forgotten = join(world.path, 'tmp', 'export-forgotten')
  const fresh = join(world.path, 'tmp', 'export-fresh')
  for (const path of [forgotten, fresh]) writeFileSync(path, 'x')
  utimesSync(forgotten, new Date(0), new Date(0))
  const { sweep, effects } = janitorOf(world)
  await sweep(1)
  expect([existsSync(forgotten), existsSync(fresh)]).toEqual([false, true])
  clock.nowMs += 400 * DAY_MS
  await sweep(2)
  expect(db.get<{ n: number }>("SELECT count(*) AS n FROM audit WHERE action = 'a'")).toEqual({ n: 0 })
  expect(db.get<{ n: number }>('SELECT count(*) AS n FROM sessions')).toEqual({ n: 0 })
  expect(effects.list).toMatchObject([{ kind: 'end', user: ann.id, session: ann.login.session }])
})
