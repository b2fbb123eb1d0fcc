// Backups of a data directory that is in use, and what a check finds in one.

import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { backUp } from '../../src/messenger/backup.ts'
import { checkData } from '../../src/messenger/check-data.ts'
import { contentPath } from '../../src/messenger/files/paths.ts'
import { addFile } from '../../src/messenger/store/files.ts'
import { openMessenger, type TestMessenger, type TestUser } from '../support/messenger.ts'

let made = 0
const say = async (user: TestUser, text: string, rest: object = {}) => {
  made++
  return (await user.call('message.send', { everyone: true, client_id: `b${made}`, text, ...rest })).message
}

/** A file as an upload leaves it. */
function upload({ db, path }: TestMessenger, owner: TestUser, name: string, content: string) {
  made++
  const sha256 = createHash('sha256').update(content).digest('hex')
  const blob = contentPath(path, sha256, 'original')
  mkdirSync(dirname(blob), { recursive: true })
  writeFileSync(blob, content)
  const publicId = `${made}`.padEnd(22, 'x')
  addFile(db, {
    publicId,
    owner: owner.id,
    sha256,
    size: content.length,
    name,
    type: 'text/plain',
    image: undefined,
    visibility: 'private',
    nowMs: 0,
  })
  return { publicId, sha256 }
}

function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'fanwire-backup-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

describe('a backup', () => {
  test('made while messages come in is whole, of one moment, and can be served at once', async () => {
    const world = openMessenger()
    const ann = world.addUser('ann')
    const { publicId } = upload(world, ann, 'kept.txt', 'content')
    writeFileSync(join(world.path, 'password.key'), 'x'.repeat(32))
    await say(ann, 'before', { attachments: [publicId] })
    const { archive: before } = await ann.call('conversation.list')
    const to = join(temporaryFolder(), 'backup')
    let isDone = false
    const backup = backUp(world.path, to).finally(() => {
      isDone = true
    })
    let sent = 1
    while (!isDone) {
      await say(ann, `during ${sent}`)
      sent++
    }
    const report = await backup
    expect(report).toMatchObject({ blobs: 1, blobBytes: 7 })
    const { problems, messages, files } = await checkData(to)
    expect(problems).toEqual([])
    expect(files).toBe(1)
    expect(messages).toBeGreaterThanOrEqual(1)
    expect(messages).toBeLessThanOrEqual(sent)
    expect(statSync(to).mode & 0o077).toBe(0)
    // A check writes nothing: backups may be where nothing can be written.
    expect(readdirSync(to).filter(name => name.startsWith('fanwire'))).toEqual(['fanwire.db'])
    expect(readFileSync(join(to, 'password.key'), 'utf8')).toBe('x'.repeat(32))
    await world.close()
    // Its logins are in it, too.
    const restored = openMessenger({ path: to })
    const { messages: page } = await restored.call({ kind: 'token', token: ann.token }, 'message.list', {
      conversation: 1,
      after: 0,
    })
    expect(page[0]).toMatchObject({ text: 'before', attachments: [{ id: publicId }] })
    // Its revs will be given again: clients see that what they know is of another archive.
    const { archive } = await restored.call({ kind: 'token', token: ann.token }, 'conversation.list')
    expect(archive).not.toBe(before)
    const changes = { conversation: 1, after_rev: 0 }
    const again = await restored.call({ kind: 'token', token: ann.token }, 'message.changes', changes)
    expect(again.archive).toBe(archive)
    await restored.close()
  })

  test('has what the database names, and nothing else', async () => {
    const world = openMessenger()
    const ann = world.addUser('ann')
    const { sha256 } = upload(world, ann, 'kept.txt', 'content')
    const stray = contentPath(world.path, 'a'.repeat(64), 'original')
    mkdirSync(dirname(stray), { recursive: true })
    writeFileSync(stray, 'of an upload that is not finished')
    const thumbnail = contentPath(world.path, sha256, 'thumbnail')
    mkdirSync(dirname(thumbnail), { recursive: true })
    writeFileSync(thumbnail, 'small')
    const folder = temporaryFolder()
    const to = join(folder, 'backup')
    await backUp(world.path, to)
    expect(existsSync(contentPath(to, sha256, 'original'))).toBe(true)
    expect(existsSync(contentPath(to, sha256, 'thumbnail'))).toBe(true)
    expect(existsSync(contentPath(to, 'a'.repeat(64), 'original'))).toBe(false)
    expect(readdirSync(folder)).toEqual(['backup'])
    expect(readdirSync(to).filter(name => name.startsWith('fanwire'))).toEqual(['fanwire.db'])
  })

  test('is refused where something is already, and where no data is', async () => {
    const world = openMessenger()
    const folder = temporaryFolder()
    await expect(backUp(world.path, folder)).rejects.toThrow('is there already')
    await expect(backUp(folder, join(folder, 'new'))).rejects.toThrow('the data directory?')
    expect(readdirSync(folder)).toEqual([])
  })

  test('says which file is missing, and leaves nothing half done', async () => {
    const world = openMessenger()
    const { sha256 } = upload(world, world.addUser('ann'), 'lost.txt', 'content')
    unlinkSync(contentPath(world.path, sha256, 'original'))
    const folder = temporaryFolder()
    await expect(backUp(world.path, join(folder, 'backup'))).rejects.toThrow(sha256)
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('a check', () => {
  async function filled() {
    const world = openMessenger()
    const ann = world.addUser('ann')
    const { publicId, sha256 } = upload(world, ann, 'kept.txt', 'content')
    for (let n = 0; n < 20; n++) await say(ann, `message number ${n}`)
    await say(ann, 'with a file', { attachments: [publicId] })
    await ann.call('message.delete', { conversation: 1, seq: 3 })
    await ann.call('message.edit', { conversation: 1, seq: 4, text: 'edited' })
    return { ...world, sha256 }
  }

  test('finds nothing where nothing is wrong, beside a relay at work', async () => {
    const { path } = await filled()
    expect(await checkData(path)).toEqual({ problems: [], messages: 21, files: 1 })
  })

  test.each([
    ['a gap', 'DELETE FROM messages WHERE seq = 10', 'numbered without gaps'],
    ['a wrong first_seq', 'UPDATE conversations SET first_seq = 2 WHERE id = 1', 'numbered without gaps'],
    ['a rev of the future', 'UPDATE messages SET rev = 999 WHERE seq = 1', 'no change is newer'],
    ['a wrong number of members', 'DELETE FROM members', 'member_count'],
    ['a text that stayed', "UPDATE messages SET text = 'x' WHERE seq = 3", 'has kept nothing'],
    ['a message that no search finds', 'DELETE FROM message_words WHERE rowid = 5', 'index of words'],
    [
      'parts of a message that is gone',
      "INSERT INTO message_parts (rowid, text, names, tags) VALUES (99, 'gone', '', '')",
      'index of parts',
    ],
    [
      'an index that has other words',
      "DELETE FROM message_words WHERE rowid = 5; INSERT INTO message_words (rowid, text, names, tags) VALUES (5, 'other', '', 'c1 u1')",
      'does not find it',
    ],
    ['a file that no search finds', 'DELETE FROM file_words', 'index of names'],
    ['a wrong count of files', 'UPDATE blobs SET files = 7', 'how many files'],
    ['a wrong quota', 'UPDATE users SET used_bytes = 1', 'used_bytes'],
    ['a wrong total', 'UPDATE storage SET stored_bytes = 1', 'stored_bytes'],
    ['a lost row', 'PRAGMA foreign_keys = OFF; DELETE FROM users', 'its row of'],
  ])('finds %s', async (_, sql, expected) => {
    const { db, path } = await filled()
    db.exec(sql)
    const { problems } = await checkData(path)
    expect(problems.join('\n')).toContain(expected)
  })

  test('finds content that was changed, cut, or is gone', async () => {
    const { path, sha256 } = await filled()
    const blob = contentPath(path, sha256, 'original')
    writeFileSync(blob, 'CONTENT')
    expect((await checkData(path)).problems.join()).toContain('not what its name says')
    writeFileSync(blob, 'cut')
    expect((await checkData(path)).problems.join()).toContain('3 bytes, and not 7')
    unlinkSync(blob)
    expect((await checkData(path)).problems.join()).toContain('ENOENT')
  })

  test('finds that the key of passwords is missing', async () => {
    const { path, db } = await filled()
    db.run("UPDATE users SET password_hash = 'x'")
    expect((await checkData(path)).problems.join()).toContain('password.key is missing')
  })

  test('finds a damaged database', async () => {
    const world = await filled()
    const sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'messages_by_time'"
    const { rootpage } = world.db.get<{ rootpage: number }>(sql)!
    await world.close()
    const path = join(world.path, 'fanwire.db')
    const bytes = readFileSync(path)
    bytes.fill(0x5a, (rootpage - 1) * 4_096, rootpage * 4_096)
    writeFileSync(path, bytes)
    expect((await checkData(world.path)).problems.length).toBeGreaterThan(0)
  })

  test('refuses what is no data directory', async () => {
    await expect(checkData(temporaryFolder())).rejects.toThrow('fanwire.db')
  })
})
