// What grows with use has an end, however long somebody goes on.

import { expect, test } from 'vitest'
import { AUDIT_ROWS_MAX, type AuditEntry, addAudit, listAudit } from '../../src/messenger/store/audit.ts'
import { addChange, CHANGES_MAX } from '../../src/messenger/store/conversations.ts'
import { countDownload, DOWNLOAD_ROWS_MAX } from '../../src/messenger/store/files.ts'
import { FILES_MAX } from '../../src/messenger/store/uploads.ts'
import { openMessenger } from '../support/messenger.ts'

test('20: of the audit log the oldest entries go when it is full', () => {
  const { db } = openMessenger()
  const entry: AuditEntry = { nowMs: 1, actor: 1, action: 'login', target: '', detail: '', address: '' }
  for (let nowMs = 1; nowMs <= 5; nowMs++) addAudit(db, { ...entry, nowMs })
  // As if so many had been written since.
  db.run("UPDATE sqlite_sequence SET seq = ? WHERE name = 'audit'", AUDIT_ROWS_MAX + 2)
  addAudit(db, { ...entry, nowMs: 6 })
  const kept = listAudit(db, { before: 0, actor: 0, action: '', limit: 100 })
  expect(kept.map(({ at_ms }) => at_ms)).toEqual([6, 5, 4])
})

test('20: of single downloads the oldest go when there are too many', () => {
  const { db, addUser } = openMessenger()
  const { id } = addUser('ann')
  db.run('INSERT INTO blobs (sha256, size, files, created_ms) VALUES (?, 0, 0, 0)', 'a'.repeat(64))
  db.run(
    `INSERT INTO files (id, public_id, owner_id, sha256, size, name, type, visibility, created_ms)
     VALUES (1, 'f', ?, ?, 0, 'f', '', 'private', 0)`,
    id,
    'a'.repeat(64),
  )
  for (let nowMs = 1; nowMs <= 5; nowMs++) countDownload(db, 1, id, 0, nowMs)
  db.run("UPDATE sqlite_sequence SET seq = ? WHERE name = 'downloads'", DOWNLOAD_ROWS_MAX + 2)
  countDownload(db, 1, id, 0, 6)
  const kept = db.all<{ at_ms: number }>('SELECT at_ms FROM downloads ORDER BY id')
  expect(kept.map(({ at_ms }) => at_ms)).toEqual([4, 5, 6])
  expect(db.get('SELECT downloads FROM files')).toEqual({ downloads: 6 })
})

test('20: to end all other logins again and again leaves one entry of what was ended', async () => {
  const { addUser, db } = openMessenger()
  const ann = addUser('ann')
  for (let count = 0; count < 5; count++) await ann.call('auth.logout_everywhere', { except_current: true })
  expect(listAudit(db, { before: 0, actor: ann.id, action: '', limit: 100 })).toEqual([])
})

test('20: of what changed in a conversation besides messages the newest is kept, and read on from any rev', async () => {
  const { addUser, db } = openMessenger()
  const ann = addUser('ann')
  const { conversation } = await ann.call('conversation.create_group', { name: 'a' })
  const { id } = conversation
  db.exec('BEGIN')
  for (let rev = 1; rev <= CHANGES_MAX + 50; rev++) {
    addChange(db, id, rev, { type: 'conversation', rev, name: `${rev}`, retention_days: 0 })
  }
  db.run('UPDATE conversations SET rev = ? WHERE id = ?', CHANGES_MAX + 50, id)
  db.exec('COMMIT')
  const revs: number[] = []
  for (let isComplete = false; !isComplete; ) {
    const page = await ann.call('message.changes', { conversation: id, after_rev: revs.at(-1) ?? 0 })
    revs.push(...page.changes.map(({ rev }: any) => rev))
    isComplete = page.complete
  }
  expect(revs).toEqual(Array.from({ length: CHANGES_MAX }, (_, index) => index + 51))
})

test('20: a user has so many files, however small they are', async () => {
  const { addUser, db, call } = openMessenger()
  const ann = addUser('ann')
  const sha256 = 'a'.repeat(64)
  db.exec('BEGIN')
  db.run('INSERT INTO blobs (sha256, size, files, created_ms) VALUES (?, 0, 0, 0)', sha256)
  db.run(
    `INSERT INTO files (public_id, owner_id, sha256, size, name, type, visibility, created_ms)
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
     SELECT 'f' || i, ?, ?, 0, 'f', '', 'private', 0 FROM n`,
    FILES_MAX,
    ann.id,
    sha256,
  )
  db.exec('COMMIT')
  const wanted = {
    id: 'A'.repeat(22),
    size: 0,
    name: 'one more',
    visibility: 'private',
    holder: 'holder-1',
    resumable: true,
  }
  const who = { kind: 'login', ...ann.login } as const
  const create = () => call(who, 'upload.create', wanted, { transport: 'shard' })
  await expect(create()).rejects.toMatchObject({ code: 1008 })
  db.run("DELETE FROM files WHERE public_id = 'f1'")
  expect(await create()).toEqual({ name: 'one more' })
})

test('20: who changes what many are told of does so no oftener than to write messages', async () => {
  const { addUser } = openMessenger({ message_rate: 5 })
  const ann = addUser('ann')
  const { conversation } = await ann.call('conversation.create_group', { name: 'a' })
  const rename = (name: string) => ann.call('conversation.rename', { conversation: conversation.id, name })
  for (let count = 0; count < 9; count++) await rename(`name ${count}`)
  await expect(rename('once more')).rejects.toMatchObject({ code: 111 })
  await expect(ann.call('user.update_profile', { display_name: 'x' })).rejects.toMatchObject({ code: 111 })
})

test('21: a user begins so many conversations in an hour, since each takes a place of others', async () => {
  const most = 10
  const { addUser, clock } = openMessenger({ conversations_per_hour: most })
  const [ann, ben] = [addUser('ann'), addUser('ben')]
  const begin = () => ann.call('conversation.create_group', { name: 'spam', members: [ben.id] })
  for (let count = 0; count < most; count++) {
    const { conversation } = await begin()
    // That the one who made it has left makes no difference.
    await ann.call('conversation.leave', { conversation: conversation.id })
    clock.nowMs += 1_000
  }
  const refused = { code: 111, temporary: true, retryAfterMs: 3_600_000 - most * 1_000 }
  await expect(begin()).rejects.toMatchObject(refused)
  await expect(ann.call('conversation.direct', { user: ben.id })).rejects.toMatchObject(refused)
  await ben.call('conversation.direct', { user: ann.id })
  clock.nowMs += refused.retryAfterMs
  await begin()
})
