// Pages of the archive, what changed meanwhile, and who may read it.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openMessenger, type TestMessenger, type TestUser } from '../support/messenger.ts'

let sent = 0
const say = async (user: TestUser, text: string, rest: object = {}) => {
  sent++
  return (await user.call('message.send', { everyone: true, client_id: `a${sent}`, text, ...rest })).message
}

const seqs = (page: any): number[] => page.messages.map((one: any) => one.seq)
const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, n) => first + n)

async function withMessages(count: number) {
  const world = openMessenger()
  const ann = world.addUser('ann')
  for (let n = 1; n <= count; n++) await say(ann, `text ${n}`)
  return { ...world, ann }
}

describe('pages', () => {
  test('are the newest, those before, those after; ascending, and say whether there are more', async () => {
    const { ann } = await withMessages(25)
    const list = (rest: object) => ann.call('message.list', { conversation: 1, limit: 10, ...rest })
    const newest = await list({})
    expect(newest).toMatchObject({ has_more: true, first_seq: 1, seq: 25, rev: 25 })
    expect(seqs(newest)).toEqual(upTo(16, 25))
    expect(seqs(await list({ before: 16 }))).toEqual(upTo(6, 15))
    const oldest = await list({ before: 6 })
    expect(seqs(oldest)).toEqual(upTo(1, 5))
    expect(oldest.has_more).toBe(false)
    expect(seqs(await list({ after: 0 }))).toEqual(upTo(1, 10))
    const last = await list({ after: 20 })
    expect(seqs(last)).toEqual(upTo(21, 25))
    expect(last.has_more).toBe(false)
    expect(seqs(await list({ after: 25 }))).toEqual([])
    await expect(list({ before: 1, after: 1 })).rejects.toMatchObject({ code: 107 })
    await expect(list({ limit: 201 })).rejects.toMatchObject({ code: 107 })
  })

  test('of long texts are short ones, and going on reads everything once, in both directions', async () => {
    const world = openMessenger()
    const ann = world.addUser('ann')
    for (let n = 0; n < 60; n++) await say(ann, 'x'.repeat(8_000))
    const forth: number[] = []
    for (let page: any = { has_more: true }; page.has_more; ) {
      page = await ann.call('message.list', { conversation: 1, after: forth.at(-1) ?? 0, limit: 200 })
      expect(JSON.stringify(page).length).toBeLessThan(200_000)
      forth.push(...seqs(page))
    }
    expect(forth).toEqual(upTo(1, 60))
    const back: number[] = []
    for (let page: any = { has_more: true }; page.has_more; ) {
      page = await ann.call('message.list', { conversation: 1, before: back[0] ?? 61, limit: 200 })
      back.unshift(...seqs(page))
    }
    expect(back).toEqual(upTo(1, 60))
  })

  test('of messages with much besides their text are short ones, too', async () => {
    const world = openMessenger()
    const ann = world.addUser('ann')
    for (let n = 0; n < 60; n++) await say(ann, 'x')
    // As many reactions as a message may have.
    world.db.run(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
       INSERT INTO reactions SELECT id, '👍', 1000000 + i, 0 FROM messages, n`,
    )
    world.db.run('UPDATE messages SET extras = 1')
    const pages: number[] = []
    const changed: number[] = []
    for (let more = true; more; ) {
      const page = await ann.call('message.list', { conversation: 1, after: pages.at(-1) ?? 0, limit: 200 })
      const some = await ann.call('message.changes', { conversation: 1, after_rev: changed.at(-1) ?? 0 })
      for (const answer of [page, some]) expect(JSON.stringify(answer).length).toBeLessThan(150_000)
      pages.push(...seqs(page))
      changed.push(...some.changes.map(({ rev }: any) => rev))
      more = page.has_more || !some.complete
    }
    expect(pages).toEqual(upTo(1, 60))
    expect(changed).toEqual(upTo(1, 60))
  })

  test('of edits end likewise, and go on', async () => {
    const world = openMessenger()
    const ann = world.addUser('ann')
    const text = (n: number) => `${n} `.padEnd(8_000, 'x')
    await say(ann, text(0))
    for (let n = 1; n <= 100; n++) await ann.call('message.edit', { conversation: 1, seq: 1, text: text(n) })
    const found: string[] = []
    for (let page: any = { has_more: true }; page.has_more; ) {
      page = await ann.call('message.edits', { conversation: 1, seq: 1, offset: found.length })
      expect(JSON.stringify(page).length).toBeLessThan(150_000)
      found.push(...page.edits.map((one: any) => one.text))
    }
    expect(found).toEqual(Array.from({ length: 100 }, (_, n) => text(n)))
  })

  test('around a message, and around a time', async () => {
    const world = openMessenger()
    const ann = world.addUser('ann')
    const startMs = world.clock.nowMs
    for (let n = 1; n <= 30; n++) {
      world.clock.nowMs = startMs + n * 1_000
      await say(ann, `text ${n}`)
    }
    const around = await ann.call('message.around', { conversation: 1, seq: 15, limit: 6 })
    expect(seqs(around)).toEqual(upTo(12, 17))
    expect(around).toMatchObject({ has_before: true, has_after: true })
    const one = await ann.call('message.around', { conversation: 1, seq: 15, limit: 1 })
    expect(seqs(one)).toEqual([15])
    expect(one).toMatchObject({ has_before: true, has_after: true })
    const at = (ms: number) => ann.call('message.at', { conversation: 1, time_ms: startMs + ms, limit: 4 })
    expect(await at(10_000)).toMatchObject({ seq: 10 })
    expect(seqs(await at(9_001))).toEqual(upTo(8, 11))
    expect(await at(0)).toMatchObject({ seq: 1, has_before: false })
    const behind = await at(31_000)
    expect(behind).toMatchObject({ seq: 0, has_after: false })
    expect(seqs(behind)).toContain(30)
  })

  test('of an empty conversation are empty', async () => {
    const { addUser } = openMessenger()
    const ann = addUser('ann')
    expect(await ann.call('message.list', { conversation: 1 })).toMatchObject({
      messages: [],
      has_more: false,
      seq: 0,
    })
    expect(await ann.call('message.at', { conversation: 1, time_ms: 0 })).toMatchObject({
      seq: 0,
      messages: [],
    })
    expect(await ann.call('message.changes', { conversation: 1, after_rev: 0 })).toMatchObject({
      complete: true,
    })
    expect(await ann.call('message.pins', { conversation: 1 })).toEqual({ messages: [], has_more: false })
  })

  test('of pins begin with the last pinned', async () => {
    const world = openMessenger()
    const ann = world.addUser('ann', 'admin')
    for (let n = 1; n <= 3; n++) await say(ann, `text ${n}`)
    for (const seq of [2, 1, 3]) {
      world.clock.nowMs += 1_000
      await ann.call('message.pin', { conversation: 1, seq, on: true })
    }
    expect(seqs(await ann.call('message.pins', { conversation: 1 }))).toEqual([3, 1, 2])
    const page = await ann.call('message.pins', { conversation: 1, limit: 2 })
    expect(page.has_more).toBe(true)
    expect(seqs(await ann.call('message.pins', { conversation: 1, offset: 2 }))).toEqual([2])
  })
})

describe('who reads', () => {
  test.each([
    ['message.list', {}],
    ['message.around', { seq: 1 }],
    ['message.at', { time_ms: 0 }],
    ['message.changes', { after_rev: 0 }],
    ['message.pins', {}],
  ])('%s: members alone; for others the conversation does not exist', async (method, input) => {
    const { addUser } = openMessenger()
    const [ann, eve] = [addUser('ann'), addUser('eve', 'admin')]
    const { conversation } = await ann.call('conversation.create_group', { name: 'Ours', members: [] })
    await ann.call(method, { conversation: conversation.id, ...input })
    const refused = await eve.call(method, { conversation: conversation.id, ...input }).catch(error => error)
    const unknown = await eve.call(method, { conversation: 999, ...input }).catch(error => error)
    expect(refused).toMatchObject({ code: 1000 })
    expect(refused.message).toBe(unknown.message)
  })
})

describe('changes', () => {
  /** A client that keeps up by changes alone. */
  async function follow(ann: TestUser, state: Map<number, any>, rev: number, limit: number): Promise<number> {
    for (let complete = false; !complete; ) {
      const answer: any = await ann.call('message.changes', { conversation: 1, after_rev: rev, limit })
      for (const change of answer.changes) {
        expect(change.rev).toBeGreaterThan(rev)
        rev = change.rev
        if (change.message !== undefined) state.set(change.message.seq, change.message)
      }
      complete = answer.complete
      if (complete) rev = answer.rev
    }
    return rev
  }

  test('bring who was away to the same state as pages do, whatever happened', async () => {
    const step = fc.record({
      what: fc.constantFrom('send', 'send', 'edit', 'delete', 'react', 'follow', 'join'),
      seq: fc.nat(),
      limit: fc.integer({ min: 1, max: 5 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
        const world: TestMessenger = openMessenger()
        const ann = world.addUser('ann')
        const state = new Map<number, any>()
        let [rev, count, users] = [0, 0, 0]
        for (const { what, seq, limit } of steps) {
          const place = { conversation: 1, seq: (seq % Math.max(count, 1)) + 1 }
          // What was deleted can't be changed any more.
          const act = (method: string, input: object) =>
            ann.call(method, { ...place, ...input }).catch(() => {})
          if (what === 'send') count = (await say(ann, `text ${count}`)).seq
          else if (what === 'edit') await act('message.edit', { text: `edited ${limit}` })
          else if (what === 'delete') await act('message.delete', {})
          else if (what === 'react') await act('message.react', { emoji: '👍', on: limit > 2 })
          else if (what === 'join') world.addUser(`user${++users}`)
          else rev = await follow(ann, state, rev, limit)
        }
        await follow(ann, state, rev, 3)
        const { messages } = await ann.call('message.list', { conversation: 1, after: 0, limit: 200 })
        expect([...state.values()].sort((a, b) => a.seq - b.seq)).toEqual(messages)
        await world.close()
      }),
      { numRuns: 25 },
    )
  })

  test('have the events that are no message, in their order', async () => {
    const { addUser } = openMessenger()
    const [ann, ben] = [addUser('ann'), addUser('ben')]
    const { conversation } = await ann.call('conversation.create_group', { name: 'One', members: [] })
    const { id } = conversation
    await say(ann, 'first', { everyone: undefined, conversation: id })
    await ann.call('conversation.invite', { conversation: id, users: [ben.id] })
    await say(ann, 'second', { everyone: undefined, conversation: id })
    await ann.call('conversation.rename', { conversation: id, name: 'Two' })
    const { changes, complete } = await ben.call('message.changes', { conversation: id, after_rev: 0 })
    expect(complete).toBe(true)
    const shown = changes.map((change: any) => change.message?.text ?? change.event.type)
    expect(shown.slice(-4)).toEqual(['first', 'members', 'second', 'conversation'])
  })
})
