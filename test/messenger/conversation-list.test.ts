import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EVERYONE } from '../../src/messenger/store/schema.ts'
import { openWorld, type World } from './conversation-world.ts'

let world: World
let ann: number
let bob: number
beforeEach(() => {
  world = openWorld({ conversations_per_user: 1_000 })
  ann = world.addUser()
  bob = world.addUser()
})
afterEach(() => world.close())

async function group(...members: number[]): Promise<number> {
  return (await world.call(ann, 'conversation.create_group', { name: 'g', members })).conversation.id
}

async function listOf(user: number, input: object = {}): Promise<any[]> {
  return (await world.call(user, 'conversation.list', input)).conversations
}

describe('the list of conversations', () => {
  test('has the newest activity first: a message, or that one joined', async () => {
    const [first, second] = [await group(bob), await group(bob)]
    world.clock.nowMs += 1_000
    world.say(first, bob, 'newest')
    world.clock.nowMs += 1_000
    const third = await group(bob)
    const ids = (await listOf(ann)).map(({ id }) => id)
    expect(ids).toEqual([third, first, second, EVERYONE])
  })

  test('tells the newest message, and what was not read', async () => {
    world.say(EVERYONE, ann, 'before bob came')
    const id = await group(bob)
    world.say(id, ann, 'one')
    world.say(id, ann, 'two', [bob])
    world.say(id, ann, 'three', [bob, ann])
    const find = async (user: number) => (await listOf(user)).find(one => one.id === id)
    expect(await find(bob)).toMatchObject({
      seq: 3,
      unread: 3,
      unread_mentions: 2,
      last_message: { seq: 3, text: 'three' },
    })
    world.db.run('UPDATE members SET read_seq = 2 WHERE conversation_id = ? AND user_id = ?', id, bob)
    expect(await find(bob)).toMatchObject({ unread: 1, unread_mentions: 1 })
    // What retention took can't be read any more.
    world.db.run('UPDATE conversations SET first_seq = 4 WHERE id = ?', id)
    world.db.run('DELETE FROM messages WHERE conversation_id = ?', id)
    const emptied = await find(bob)
    expect(emptied).toMatchObject({ unread: 0, unread_mentions: 0 })
    expect(emptied.last_message).toBeUndefined()
  })

  test('counts what was said before one joined as read', async () => {
    const id = await group()
    world.say(id, ann)
    world.say(id, ann)
    await world.call(ann, 'conversation.invite', { conversation: id, users: [bob] })
    expect((await listOf(bob)).find(one => one.id === id)).toMatchObject({ seq: 2, read_seq: 2, unread: 0 })
  })

  test('comes in pages of any size without a gap, also where activity was at the same moment', async () => {
    const made: number[] = [EVERYONE]
    for (let n = 0; n < 9; n++) {
      if (n % 3 === 0) world.clock.nowMs += 1_000
      made.push(await group(bob))
    }
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 12 }), async limit => {
        const found: number[] = []
        for (let cursor = ''; ; ) {
          const page = await world.call(bob, 'conversation.list', { limit, cursor })
          expect(page.conversations.length).toBeLessThanOrEqual(limit)
          found.push(...page.conversations.map(({ id }: { id: number }) => id))
          cursor = page.next
          if (cursor === '') break
        }
        expect(found).toEqual([...made].reverse())
      }),
    )
  })

  test('ends a page early rather than to outgrow an outbox', async () => {
    for (let n = 0; n < 30; n++) world.say(await group(bob), ann, 'x'.repeat(16_000))
    const first = await world.call(bob, 'conversation.list', { limit: 200 })
    expect(JSON.stringify(first).length).toBeLessThan(256 * 1_024)
    expect(first.next).not.toBe('')
    let seen = first.conversations.length
    for (let { next } = first; next !== ''; ) {
      const page = await world.call(bob, 'conversation.list', { limit: 200, cursor: next })
      seen += page.conversations.length
      next = page.next
    }
    expect(seen).toBe(31)
  })

  test.each(['x', '1', '1.2.3', '1.-2', `${'9'.repeat(17)}.1`, "1.1' OR 1=1"])(
    'refuses the cursor %j',
    async cursor => {
      await expect(world.call(bob, 'conversation.list', { cursor })).rejects.toThrow()
    },
  )
})
