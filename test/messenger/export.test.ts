// Exports: what is in them, that nothing that users wrote gets a meaning in them, and that they stay within their bounds.

import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { escapeHtml } from '../../src/messenger/export/escape.ts'
import { pageMessage, pageStart } from '../../src/messenger/export/page.ts'
import { contentPath } from '../../src/messenger/files/paths.ts'
import { openMessenger, type TestMessenger, type TestUser } from '../support/messenger.ts'
import { readZip } from '../support/zip.ts'

let sent = 0
const say = async (user: TestUser, text: string, rest: object = {}) => {
  sent++
  return (await user.call('message.send', { everyone: true, client_id: `e${sent}`, text, ...rest })).message
}

/** A file as an upload leaves it. */
function addFile(
  { db, path }: TestMessenger,
  owner: TestUser,
  name: string,
  type: string,
  content: string,
): string {
  const sha256 = createHash('sha256').update(content).digest('hex')
  const blob = contentPath(path, sha256, 'original')
  mkdirSync(dirname(blob), { recursive: true })
  writeFileSync(blob, content)
  db.run('INSERT INTO blobs (sha256, size, files, created_ms) VALUES (?, ?, 0, 0)', sha256, content.length)
  const publicId = createHash('sha256').update(name).digest('base64url').slice(0, 22)
  db.run(
    `INSERT INTO files (public_id, owner_id, sha256, size, name, type, visibility, created_ms)
     VALUES (?, ?, ?, ?, ?, ?, 'conversation', 0)`,
    publicId,
    owner.id,
    sha256,
    content.length,
    name,
    type,
  )
  return publicId
}

const prepare = ({ call }: TestMessenger, user: TestUser, input: object) =>
  call({ kind: 'token', token: user.token }, 'export.prepare', input, { transport: 'shard' })

describe('JSON lines', () => {
  test('have each message once, as the archive shows it', async () => {
    const world = openMessenger()
    const ann = world.addUser('ann')
    for (let n = 0; n < 450; n++) await say(ann, `text ${n}\n"<b>`)
    await ann.call('message.delete', { conversation: 1, seq: 7 })
    const { path, bytes, name, type } = await prepare(world, ann, { conversation: 1, format: 'jsonl' })
    expect({ name, type }).toEqual({ name: 'Everyone.jsonl', type: 'application/jsonl' })
    const text = readFileSync(join(world.path, path), 'utf8')
    expect(Buffer.byteLength(text)).toBe(bytes)
    const messages = text
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(messages.map(({ seq }) => seq)).toEqual(Array.from({ length: 450 }, (_, n) => n + 1))
    const listed = await ann.call('message.list', { conversation: 1, after: 0, limit: 50 })
    expect(messages.slice(0, 50)).toEqual(listed.messages)
  })
})

describe('the archive', () => {
  test('has a page and the attachments under their names, each file once', async () => {
    const world = openMessenger()
    const ann = world.addUser('ann')
    const picture = addFile(world, ann, 'ünder the sea.png', 'image/png', 'PNG bytes')
    const script = addFile(world, ann, 'evil.html', 'text/html', '<script>alert(1)</script>')
    await say(ann, '<script>alert("text")</script> see https://example.org/?a=1&b="2"', {
      attachments: [picture, script],
    })
    await say(ann, '', { attachments: [picture] })
    const { path, name, type } = await prepare(world, ann, { conversation: 1, format: 'html' })
    expect({ name, type }).toEqual({ name: 'Everyone.zip', type: 'application/zip' })
    const entries = readZip(readFileSync(join(world.path, path)))
    const page = entries.get('index.html')!.toString()
    expect(page).not.toContain('<script')
    expect(page).toContain('&lt;script&gt;alert(&quot;text&quot;)&lt;/script&gt;')
    expect(page).toContain('href="https://example.org/?a=1&amp;b="')
    expect(page).toContain("default-src 'none'")
    const paths = ['index.html', `files/${picture}/ünder the sea.png`, `files/${script}/evil.html`]
    expect([...entries.keys()]).toEqual(paths)
    expect(entries.get(paths[1]!)!.toString()).toBe('PNG bytes')
    for (const [, link] of page.matchAll(/(?:src|href)="(files\/[^"]+)"/g)) {
      expect(paths).toContain(decodeURIComponent(link!))
    }
  })

  test('is not made when a file is missing on the disk, and nothing is left of it', async () => {
    const world = openMessenger()
    const ann = world.addUser('ann')
    const file = addFile(world, ann, 'a.txt', 'text/plain', 'content')
    await say(ann, '', { attachments: [file] })
    const { sha256 } = world.db.get<{ sha256: string }>('SELECT sha256 FROM files')!
    writeFileSync(contentPath(world.path, sha256, 'original'), 'cut')
    await expect(prepare(world, ann, { conversation: 1, format: 'html' })).rejects.toMatchObject({
      code: 100,
    })
    expect(readdirSync(join(world.path, 'tmp'))).toEqual([])
  })
})

describe('who may export', () => {
  test('members, asked for by a shard; nobody else', async () => {
    const world = openMessenger()
    const [ann, eve] = [world.addUser('ann'), world.addUser('eve', 'admin')]
    const { conversation } = await ann.call('conversation.create_group', { name: 'Ours/../x', members: [] })
    const input = { conversation: conversation.id, format: 'jsonl' }
    expect((await prepare(world, ann, input)).name).toBe('Ours_.._x.jsonl')
    await expect(prepare(world, eve, input)).rejects.toMatchObject({ code: 1000 })
    const stranger = world.call({ kind: 'stranger' }, 'export.prepare', input, { transport: 'shard' })
    await expect(stranger).rejects.toMatchObject({ code: 101 })
    await expect(ann.call('export.prepare', input)).rejects.toThrow()
  })

  test('who is removed while it is made gets nothing', async () => {
    const world = openMessenger()
    const [ann, ben] = [world.addUser('ann'), world.addUser('ben')]
    const { conversation } = await ann.call('conversation.create_group', { name: 'Ours', members: [ben.id] })
    const { run } = world.pool
    Object.assign(world.pool, {
      run: async (kind: 'exportConversation', input: any) => {
        const made = await run(kind, input)
        await ann.call('conversation.remove', { conversation: conversation.id, user: ben.id })
        return made
      },
    })
    const input = { conversation: conversation.id, format: 'jsonl' }
    await expect(prepare(world, ben, input)).rejects.toMatchObject({ code: 1000 })
  })
})

describe('the page', () => {
  const message = {
    conversation: 1,
    seq: 3,
    rev: 3,
    author: 1,
    client_id: 'x',
    created_ms: 0,
    text: '',
    reply_to: 0,
    mentions: [],
    attachments: [],
    reactions: [],
    edited_ms: 0,
    deleted_ms: 0,
    pinned: false,
  }

  test('37: makes links of http and https alone', () => {
    const of = (text: string) => pageMessage({ ...message, text }, () => 'ann')
    expect(of('see http://a.example/b')).toContain('<a rel="noopener noreferrer" href="http://a.example/b">')
    for (const text of ['javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd']) {
      expect(of(text)).not.toContain(`href="${text.slice(0, 4)}`)
    }
    expect(of('http://x"onmouseover=alert(1)')).toContain('href="http://x"')
    expect(of('http://x"onmouseover=alert(1)')).toContain('&quot;onmouseover')
  })

  test('37: escapes names, titles, files and reactions', () => {
    const hostile = `"'><img src=x onerror=alert(1)>&`
    const file = {
      id: 'a'.repeat(22),
      owner: 1,
      name: hostile,
      size: 1,
      type: 'image/png',
      sha256: '0'.repeat(64),
      created_ms: 0,
      visibility: 'conversation' as const,
    }
    const shown =
      pageStart(hostile) +
      pageMessage(
        { ...message, text: hostile, attachments: [file], reactions: [{ emoji: hostile, users: [1] }] },
        () => hostile,
      )
    expect(shown).not.toContain('<img src=x')
    expect(shown).toContain(escapeHtml(hostile))
  })

  test('says of a deleted message that it was deleted', () => {
    expect(pageMessage({ ...message, deleted_ms: 1 }, () => 'ann')).toContain('deleted')
  })
})
