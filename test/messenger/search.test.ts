// Searching messages through the messenger: what is found, in which order, and by whom.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { indexMessage } from '../../src/messenger/store/search-index.ts'
import { openMessenger, type TestMessenger, type TestUser } from '../support/messenger.ts'

let sent = 0
async function say(user: TestUser, text: string, where: object = { everyone: true }, rest: object = {}) {
  sent++
  return (await user.call('message.send', { ...where, client_id: `m${sent}`, text, ...rest })).message
}

async function texts(user: TestUser, query: string, rest: object = {}): Promise<string[]> {
  const { hits } = await user.call('search.messages', { query, ...rest })
  return hits.map((hit: any) => hit.snippet.text)
}

/** A file as an upload leaves it. */
function addFile({ db }: TestMessenger, owner: TestUser, name: string, type: string): string {
  const publicId = `file-${name}`.padEnd(22, '0').slice(0, 22).replaceAll('.', '_')
  const sha256 = Buffer.from(name).toString('hex').padEnd(64, '0').slice(0, 64)
  db.run('INSERT INTO blobs (sha256, size, files, created_ms) VALUES (?, 10, 0, 0)', sha256)
  db.run(
    `INSERT INTO files (public_id, owner_id, sha256, size, name, type, visibility, created_ms)
     VALUES (?, ?, ?, 10, ?, ?, 'conversation', 0)`,
    publicId,
    owner.id,
    sha256,
    name,
    type,
  )
  return publicId
}

describe('what is found', () => {
  test('words, phrases, prefixes; without case and accents; all terms have to be there', async () => {
    const { addUser } = openMessenger()
    const ann = addUser('ann')
    await say(ann, 'Crème brûlée on Monday')
    await say(ann, 'on monday we eat')
    await say(ann, 'mondays')
    expect(await texts(ann, 'creme BRULEE')).toEqual(['Crème brûlée on Monday'])
    expect((await texts(ann, 'monday')).slice(0, 2).sort()).toEqual([
      'Crème brûlée on Monday',
      'on monday we eat',
    ])
    expect(await texts(ann, '"on monday" we')).toEqual(['on monday we eat'])
    expect(await texts(ann, '"monday on"')).toEqual([])
    expect(await texts(ann, 'monday*')).toHaveLength(3)
    expect(await texts(ann, 'monday absent')).toEqual([])
  })

  test('parts of words come behind whole words, and are marked', async () => {
    const { addUser } = openMessenger()
    const ann = addUser('ann')
    await say(ann, 'ein Dampf')
    await say(ann, 'Donaudampfschifffahrt')
    const { hits, cursor } = await ann.call('search.messages', { query: 'dampf' })
    expect(hits.map((hit: any) => hit.snippet)).toEqual([
      { text: 'ein Dampf', ranges: [{ start: 4, end: 9 }], cut_before: false, cut_after: false },
      { text: 'Donaudampfschifffahrt', ranges: [{ start: 5, end: 10 }], cut_before: false, cut_after: false },
    ])
    expect(cursor).toBeUndefined()
    expect(await texts(ann, 'dampf fa')).toEqual(['Donaudampfschifffahrt'])
    expect(await texts(ann, 'mp')).toEqual([])
  })

  test('an edited message by what it says now, a deleted one by nothing', async () => {
    const { addUser, db } = openMessenger()
    const ann = addUser('ann')
    const { conversation, seq } = await say(ann, 'original')
    await ann.call('message.edit', { conversation, seq, text: 'replacement' })
    expect(await texts(ann, 'original')).toEqual([])
    expect(await texts(ann, 'rigina')).toEqual([])
    expect(await texts(ann, 'replacement')).toEqual(['replacement'])
    await ann.call('message.delete', { conversation, seq })
    expect(await texts(ann, 'replacement')).toEqual([])
    expect(db.get<{ n: number }>('SELECT count(*) AS n FROM message_parts')).toEqual({ n: 0 })
  })

  test('messages by the names of their files, and by what they have', async () => {
    const world = openMessenger()
    const ann = world.addUser('ann')
    const picture = addFile(world, ann, 'sunset.jpg', 'image/jpeg')
    const report = addFile(world, ann, 'quarterly-report.pdf', 'application/pdf')
    await say(ann, 'picture', undefined, { attachments: [picture] })
    await say(ann, 'paper', undefined, { attachments: [report] })
    await say(ann, 'see https://example.org/x')
    expect(await texts(ann, 'sunset')).toEqual(['picture'])
    expect(await texts(ann, 'report')).toEqual(['paper'])
    expect(await texts(ann, 'uarter')).toEqual(['paper'])
    expect(await texts(ann, 'has:image')).toEqual(['picture'])
    expect(await texts(ann, 'has:file')).toEqual(['paper', 'picture'])
    expect(await texts(ann, 'has:link')).toEqual(['see https://example.org/x'])
    expect(await texts(ann, 'has:image has:link')).toEqual([])
    const { hits } = await ann.call('search.messages', { query: 'repo has:file' })
    expect(hits[0].files).toEqual([{ name: 'quarterly-report.pdf', ranges: [{ start: 10, end: 14 }] }])
  })

  test('by author, conversation and time', async () => {
    const world = openMessenger()
    const [ann, ben] = [world.addUser('ann'), world.addUser('ben')]
    const { conversation: group } = await ann.call('conversation.create_group', {
      name: 'Team Räume',
      members: [ben.id],
    })
    const groupId = group.id
    world.clock.nowMs = Date.parse('2024-05-10T12:00:00Z')
    await say(ann, 'tea one')
    world.clock.nowMs = Date.parse('2024-05-11T12:00:00Z')
    await say(ben, 'tea two', { conversation: groupId })
    world.clock.nowMs = Date.parse('2024-05-12T12:00:00Z')
    await say(ben, 'tea three', { user: ann.id })
    world.clock.nowMs = Date.now()
    expect((await texts(ann, 'tea')).sort()).toEqual(['tea one', 'tea three', 'tea two'])
    expect(await texts(ann, 'tea from:ann')).toEqual(['tea one'])
    expect(await texts(ben, 'tea from:me in:@ann')).toEqual(['tea three'])
    expect((await texts(ann, 'tea from:@BEN')).sort()).toEqual(['tea three', 'tea two'])
    expect(await texts(ann, 'tea in:"team räume"')).toEqual(['tea two'])
    expect(await texts(ann, `tea in:${groupId}`)).toEqual(['tea two'])
    expect(await texts(ann, 'in:everyone')).toEqual(['tea one'])
    expect(await texts(ann, 'tea', { in: groupId, from: ben.id })).toEqual(['tea two'])
    expect(await texts(ann, 'tea before:2024-05-11')).toEqual(['tea one'])
    expect(await texts(ann, 'tea after:2024-05-12')).toEqual(['tea three'])
    expect(await texts(ann, 'tea after:2024-05-11 before:2024-05-12')).toEqual(['tea two'])
    expect(await texts(ann, 'after:2030')).toEqual([])
    await expect(texts(ann, 'tea from:nobody')).rejects.toThrow('from:nobody')
    await expect(texts(ann, 'tea in:nowhere')).rejects.toThrow('in:nowhere')
    await expect(texts(ann, '...')).rejects.toThrow('nothing to look for')
  })
})

describe('who finds it', () => {
  test('only members: not others, not administrators, nobody who was removed', async () => {
    const { addUser } = openMessenger()
    const [ann, ben, eve] = [addUser('ann'), addUser('ben'), addUser('eve', 'admin')]
    const { conversation: group } = await ann.call('conversation.create_group', {
      name: 'Two',
      members: [ben.id],
    })
    const groupId = group.id
    await say(ann, 'treasure map', { conversation: groupId })
    await say(ann, 'treasure chest', { user: ben.id })
    expect(await texts(ben, 'treasure')).toHaveLength(2)
    for (const query of ['treasure', 'reasur', 'from:ann', 'treas*'])
      expect(await texts(eve, query)).toEqual([])
    await expect(texts(eve, 'treasure', { in: groupId })).rejects.toThrow('not found: conversation')
    await expect(texts(eve, `treasure in:${groupId}`)).rejects.toThrow('not found')
    await ann.call('conversation.remove', { conversation: groupId, user: ben.id })
    expect(await texts(ben, 'treasure')).toEqual(['treasure chest'])
  })

  test('who is in many conversations finds the same, however much of others lies in between', async () => {
    const { addUser, db } = openMessenger()
    const ann = addUser('ann')
    const own: number[] = []
    for (let n = 0; n < 40; n++) {
      own.push((await ann.call('conversation.create_group', { name: `${n}`, members: [] })).conversation.id)
    }
    await say(ann, 'oldest apple', { conversation: own[7] })
    await say(ann, 'pineapples', { conversation: own[8] })
    // More than what is looked at before the tags are asked.
    db.exec(
      "BEGIN; INSERT INTO conversations (id, kind, name, created_by, created_ms) VALUES (999, 'group', 'x', 0, 0)",
    )
    for (let seq = 1; seq <= 6_000; seq++) {
      const sql =
        "INSERT INTO messages (conversation_id, seq, rev, author_id, client_id, text, created_ms) VALUES (999, ?, ?, 77, ?, 'foreign apple', 0)"
      const { lastId: id } = db.run(sql, seq, seq, `f${seq}`)
      const has = { image: false, file: false, link: false }
      indexMessage(db, { id, conversation: 999, author: 77, text: 'foreign apple', names: [], has })
    }
    db.exec('COMMIT')
    await say(ann, 'newest apple', { conversation: own[9] })
    expect(await texts(ann, 'apple')).toEqual(['newest apple', 'oldest apple', 'pineapples'])
    expect(await texts(ann, 'apple from:me in:7')).toEqual(['oldest apple'])
    expect(await texts(ann, 'foreign')).toEqual([])
    expect(await texts(ann, 'oreig')).toEqual([])
    expect(await texts(ann, 'from:me')).toHaveLength(3)
  })

  test('40: whatever is typed is looked for, and changes nothing of what is asked', async () => {
    const { addUser } = openMessenger()
    const [ann, ben] = [addUser('ann'), addUser('ben')]
    await say(ann, 'secret of ann alone c1 u1 himage', { user: addUser('cleo').id })
    await say(ben, 'public words')
    const hostile = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 100 }),
      fc
        .array(
          fc.constantFrom(
            '"',
            '*',
            '(',
            ')',
            'OR',
            'AND',
            'NOT',
            'NEAR(',
            'tags',
            ':',
            'text:',
            '{',
            '}',
            '^',
            '+',
            '-',
            "'",
            ';',
            '\0',
            'c2',
            'secret',
            '\ue000\ue800\uf006',
            ' ',
          ),
          { maxLength: 30 },
        )
        .map(parts => parts.join('')),
    )
    await fc.assert(
      fc.asyncProperty(hostile, async query => {
        const found = await texts(ben, query).catch(error => {
          // Refused in words, not failed.
          expect([107, 1000], `${JSON.stringify(query)}: ${error.message}`).toContain(error.code)
          return []
        })
        for (const text of found) expect(text).toBe('public words')
      }),
      { numRuns: 500 },
    )
  })

  test('40: a query is bounded in length', async () => {
    const { addUser } = openMessenger()
    const ann = addUser('ann')
    await expect(texts(ann, 'x'.repeat(257))).rejects.toMatchObject({ code: 107 })
  })
})

describe('the order', () => {
  test('more hits and newer messages go first; pages have no gaps and nothing twice', async () => {
    const { addUser, clock } = openMessenger()
    const ann = addUser('ann')
    const now = clock.nowMs
    clock.nowMs = now - 90 * 24 * 3_600_000
    await say(ann, 'pears and other fruit of last year')
    clock.nowMs = now
    await say(ann, 'pears and other fruit of this year')
    await say(ann, 'pears pears pears')
    const [first, second] = await texts(ann, 'pears')
    expect([first, second]).toEqual(['pears pears pears', 'pears and other fruit of this year'])
  })

  test('pages go on where the last one ended, through both indexes, while others write', async () => {
    const { addUser } = openMessenger()
    const ann = addUser('ann')
    for (let n = 0; n < 30; n++) await say(ann, n % 3 === 0 ? `plums${n}` : `plums ${n}`)
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page: any = await ann.call('search.messages', {
        query: 'plums',
        limit: 7,
        ...(cursor && { cursor }),
      })
      seen.push(...page.hits.map((hit: any) => hit.snippet.text))
      cursor = page.cursor
      await say(ann, 'plums of later')
    } while (cursor !== undefined)
    expect(seen).toHaveLength(30)
    expect(new Set(seen).size).toBe(30)
    expect(seen.slice(0, 20).every(text => text.startsWith('plums '))).toBe(true)
    expect(seen.slice(20).every(text => /^plums\d/.test(text))).toBe(true)
  })

  test('a cursor that was made up is refused', async () => {
    const { addUser } = openMessenger()
    const ann = addUser('ann')
    for (const cursor of ['', 'x', Buffer.from('{"phase":"all"}').toString('base64url')]) {
      await expect(ann.call('search.messages', { query: 'x', cursor })).rejects.toMatchObject({ code: 107 })
    }
  })
})
