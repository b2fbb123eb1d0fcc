// Files: up in one request, down whole or in parts, who may, and what is left on the disk.

import { randomBytes } from 'node:crypto'
import { symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Effects } from '../../src/messenger/effects.ts'
import { CallError } from '../../src/messenger/failures.ts'
import { contentPath } from '../../src/messenger/files/paths.ts'
import { FileSweep } from '../../src/messenger/files/sweep.ts'
import type { WriteContext } from '../../src/messenger/method.ts'
import { MESSAGES_PER_FILE_MAX } from '../../src/messenger/store/attachments.ts'
import { EVERYONE } from '../../src/messenger/store/schema.ts'
import { openFiles, sha256Of } from './files-world.ts'

const until = async (condition: () => boolean | Promise<boolean>) => {
  for (let tries = 0; tries < 1_000; tries++) {
    if (await condition()) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error('it did not come to that')
}

describe('a small file', () => {
  test('goes up in one request and comes down with the same bytes', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const bytes = randomBytes(300_000)
    const file = await world.upload(ada, bytes, { name: 'données.bin' })
    expect(file).toMatchObject({
      owner: ada.id,
      name: 'données.bin',
      size: 300_000,
      type: 'application/octet-stream',
      sha256: sha256Of(bytes),
      visibility: 'private',
    })
    expect((await world.bytes(ada, `/files/${file.id}`)).equals(bytes)).toBe(true)
    expect(world.names('uploads')).toEqual([])
    expect(world.names('tmp')).toEqual([])
    expect(world.faults).toEqual([])
  })

  test('may be empty, and may take its name from Content-Disposition', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const response = await world.request(ada, '/files', {
      method: 'POST',
      body: '',
      headers: {
        'content-length': '0',
        'content-disposition': "attachment; filename*=UTF-8''n%C3%A4chtlich.txt",
      },
    })
    const { file } = (await response.json()) as any
    expect(response.status).toBe(201)
    expect(file).toMatchObject({ name: 'nächtlich.txt', size: 0 })
    expect(await world.bytes(ada, `/files/${file.id}`)).toHaveLength(0)
  })

  test('32: is refused before its first byte: without a length, too large, over a quota, too many at once', async () => {
    const world = openFiles({ user_quota: 10_000, total_quota: 15_000, file_size: 8_000 })
    const ada = world.addUser('ada')
    const bob = world.addUser('bob')
    const post = async (user: typeof ada, size: number) =>
      (await world.request(user, '/files', { method: 'POST', body: randomBytes(size) })).status
    const chunked = new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array(10))
        controller.close()
      },
    })
    const init = { method: 'POST', body: chunked, duplex: 'half' } as RequestInit
    expect((await world.request(ada, '/files', init)).status).toBe(411)
    expect(await post(ada, 8_001)).toBe(413)
    expect(await post(ada, 6_000)).toBe(201)
    expect(await post(ada, 4_001)).toBe(507)
    expect(await post(bob, 8_000)).toBe(201)
    expect(await post(bob, 1_001)).toBe(507)
    expect((await world.request(undefined, '/files', { method: 'POST', body: 'x' })).status).toBe(401)
    expect(world.db.get('SELECT * FROM storage')).toMatchObject({ stored_bytes: 14_000, reserved_bytes: 0 })
    expect(await ada.call('file.usage')).toMatchObject({ used_bytes: 6_000, quota_bytes: 10_000, uploads: 0 })
    expect(world.names('uploads')).toEqual([])
  })

  test('and all that a message may have at once, whatever is still being resumed', async () => {
    const world = openFiles({ uploads_per_user: 1 })
    const ada = world.addUser('ada')
    const who = { kind: 'login', ...ada.login } as const
    const begun = { id: 'a'.repeat(22), size: 10, name: 'f', visibility: 'private', holder: 'holder-1' }
    await world.call(who, 'upload.create', { ...begun, resumable: true }, { transport: 'shard' })
    const statuses = await Promise.all(
      Array.from({ length: 10 }, async () => {
        return (await world.request(ada, '/files', { method: 'POST', body: randomBytes(100) })).status
      }),
    )
    expect(statuses).toEqual(Array.from({ length: 10 }, () => 201))
  })

  test('and many at once: together they never get more room than there is', async () => {
    const world = openFiles({ user_quota: 10_000, uploads_per_user: 100 })
    const ada = world.addUser('ada')
    const statuses = await Promise.all(
      Array.from({ length: 25 }, async () => {
        const body = randomBytes(1_000)
        return (await world.request(ada, '/files', { method: 'POST', body })).status
      }),
    )
    expect(statuses.filter(status => status === 201)).toHaveLength(10)
    expect(statuses.filter(status => status === 507)).toHaveLength(15)
    expect((await ada.call('file.usage')).used_bytes).toBe(10_000)
  })
})

test('a file whose bytes are all here waits for a place in the pool, and is not to be sent again', async () => {
  const world = openFiles()
  const ada = world.addUser('ada')
  const { run } = world.pool
  let refusals = 0
  Object.assign(world.pool, {
    run: async (kind: 'storeUpload', input: any) => {
      if (kind === 'storeUpload' && refusals++ < 2) throw new CallError('busy')
      return run(kind, input)
    },
  })
  const bytes = randomBytes(1_000)
  const file = await world.upload(ada, bytes)
  expect(refusals).toBe(3)
  expect((await world.bytes(ada, `/files/${file.id}`)).equals(bytes)).toBe(true)
})

describe('content', () => {
  test('is kept once for all files that have it, and goes with the last', async () => {
    const world = openFiles()
    const [ada, bob] = [world.addUser('ada'), world.addUser('bob')]
    const bytes = randomBytes(5_000)
    const first = await world.upload(ada, bytes)
    const second = await world.upload(bob, bytes)
    expect(first.id).not.toBe(second.id)
    expect(world.names('blobs').filter(name => name.includes('/'))).toHaveLength(1)
    await ada.call('file.delete', { id: first.id })
    world.messenger.sweep(world.clock.nowMs)
    expect((await world.bytes(bob, `/files/${second.id}`)).equals(bytes)).toBe(true)
    await bob.call('file.delete', { id: second.id })
    await until(() => {
      world.messenger.sweep(world.clock.nowMs)
      return !world.hasContent(first.sha256)
    })
    await until(() => world.names('tmp').length === 0)
    expect(world.db.get('SELECT stored_bytes FROM storage')).toEqual({ stored_bytes: 0 })
    expect(world.db.get('SELECT sum(used_bytes) AS n FROM users')).toEqual({ n: 0 })
  })

  test('that is stored again while the sweep takes it away is never missing', async () => {
    const world = openFiles({ uploads_per_user: 100 })
    const ada = world.addUser('ada')
    const bytes = randomBytes(2_000)
    for (let round = 0; round < 20; round++) {
      const before = await world.upload(ada, bytes)
      const deleted = ada.call('file.delete', { id: before.id })
      const again = world.upload(ada, bytes)
      world.messenger.sweep(world.clock.nowMs)
      await deleted
      world.messenger.sweep(world.clock.nowMs)
      const after = await again
      world.messenger.sweep(world.clock.nowMs)
      expect((await world.bytes(ada, `/files/${after.id}`)).equals(bytes)).toBe(true)
      await ada.call('file.delete', { id: after.id })
    }
    expect(world.faults).toEqual([])
    expect(world.log).toEqual([])
  })

  test('stays when the deletion of its file could not be stored', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const [kept, gone] = [await world.upload(ada, randomBytes(10)), await world.upload(ada, randomBytes(10))]
    await ada.call('file.delete', { id: gone.id })
    const { db, options, clock } = world
    // The sweep shares its transaction with a call, and then the disk is full.
    const write = async <T>(work: (context: WriteContext) => T): Promise<T> => {
      db.exec('BEGIN IMMEDIATE')
      db.run('DELETE FROM files WHERE public_id = ?', kept.id)
      work({ db, options, nowMs: clock.nowMs, effects: new Effects() })
      db.exec('ROLLBACK')
      throw new CallError('storage', 'the disk is full')
    }
    const errors: unknown[] = []
    const sweep = new FileSweep({ db, options, write, onError: error => errors.push(error) })
    sweep.sweep(clock.nowMs)
    await sweep.close()
    expect(errors).toHaveLength(1)
    expect(world.hasContent(kept.sha256)).toBe(true)
    const isGone = () => db.get('SELECT 1 FROM blobs WHERE sha256 = ?', gone.sha256) === undefined
    await until(() => {
      world.messenger.sweep(clock.nowMs)
      return isGone() && !world.hasContent(gone.sha256)
    })
  })

  test('after a start only uploads that can be resumed keep their place', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const who = { kind: 'login', ...ada.login } as const
    const reserve = (id: string, resumable: boolean) => {
      const wanted = {
        id: id.repeat(22),
        size: 10,
        name: 'f',
        visibility: 'private',
        holder: 'holder-1',
        resumable,
      }
      return world.call(who, 'upload.create', wanted, { transport: 'shard' })
    }
    await reserve('a', true)
    await reserve('b', false)
    const { db, options } = world
    const write = () => Promise.reject(new Error('nothing is written'))
    new FileSweep({ db, options, write, onError: () => {} }).begin()
    expect(db.all('SELECT id FROM uploads')).toEqual([{ id: 'a'.repeat(22) }])
    expect(db.get('SELECT reserved_bytes AS bytes FROM storage')).toEqual({ bytes: 10 })
  })

  test('30: a link under the name of a blob is not followed, and gives way to the content', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const bytes = randomBytes(1_000)
    const file = await world.upload(ada, bytes)
    const path = contentPath(world.path, file.sha256, 'original')
    const secret = join(world.path, 'secret')
    writeFileSync(secret, 'secret')
    unlinkSync(path)
    symlinkSync(secret, path)
    expect((await world.request(ada, `/files/${file.id}`)).status).toBe(503)
    const again = await world.upload(ada, bytes)
    expect((await world.bytes(ada, `/files/${again.id}`)).equals(bytes)).toBe(true)
  })

  test('30: ids that are none are not found, whatever they try', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    for (const id of ['..%2f..%2ffanwire.db', '%2e%2e', 'A'.repeat(22), `${'A'.repeat(21)}%00`, '1', '*']) {
      expect((await world.request(ada, `/files/${id}`)).status, id).toBe(404)
      const headers = { 'tus-resumable': '1.0.0' }
      expect((await world.request(ada, `/uploads/${id}`, { method: 'HEAD', headers })).status, id).toBe(404)
    }
    expect(world.faults).toEqual([])
  })
})

describe('34: whether a file may be had is asked at each request', () => {
  test('of private files only the owner, of public ones all users, of others the chosen ones', async () => {
    const world = openFiles()
    const [ada, bob, cleo] = [world.addUser('ada'), world.addUser('bob'), world.addUser('cleo', 'admin')]
    const file = await world.upload(ada, randomBytes(10))
    const seen = async () =>
      Promise.all(
        [ada, bob, cleo, undefined].map(
          async user => (await world.request(user, `/files/${file.id}`)).status,
        ),
      )
    expect(await seen()).toEqual([200, 404, 404, 401])
    await ada.call('file.set_visibility', { id: file.id, visibility: 'public' })
    expect(await seen()).toEqual([200, 200, 200, 401])
    await ada.call('file.set_visibility', { id: file.id, visibility: 'users', users: [bob.id] })
    expect(await seen()).toEqual([200, 200, 404, 401])
    await ada.call('file.set_visibility', { id: file.id, visibility: 'private' })
    expect(await seen()).toEqual([200, 404, 404, 401])
    await expect(bob.call('file.get', { id: file.id })).rejects.toThrow('not found')
    await expect(bob.call('file.rename', { id: file.id, name: 'x' })).rejects.toThrow('not found')
    await ada.call('file.set_visibility', { id: file.id, visibility: 'public' })
    for (const method of ['file.delete', 'file.downloads'])
      await expect(bob.call(method, { id: file.id })).rejects.toThrow('permission denied')
  })

  test('of what was sent to a conversation its members, as long as they are, and as long as it is there', async () => {
    const world = openFiles()
    const [ada, bob, cleo] = [world.addUser('ada'), world.addUser('bob'), world.addUser('cleo')]
    const { conversation } = await ada.call('conversation.create_group', { name: 'g', members: [bob.id] })
    const file = await world.upload(ada, randomBytes(10), { visibility: 'conversation' })
    const seen = async () =>
      Promise.all([bob, cleo].map(async user => (await world.request(user, `/files/${file.id}`)).status))
    expect(await seen()).toEqual([404, 404])
    const { message } = await ada.call('message.send', {
      conversation: conversation.id,
      client_id: '1',
      text: '',
      attachments: [file.id],
    })
    expect(await seen()).toEqual([200, 404])
    await ada.call('conversation.remove', { conversation: conversation.id, user: bob.id })
    expect(await seen()).toEqual([404, 404])
    await ada.call('message.delete', { conversation: conversation.id, seq: message.seq })
    // Nothing else has it: it is gone, and its content with it.
    expect((await world.request(ada, `/files/${file.id}`)).status).toBe(404)
    await until(() => {
      world.messenger.sweep(world.clock.nowMs)
      return !world.hasContent(file.sha256)
    })
  })

  test("nobody attaches another one's file", async () => {
    const world = openFiles()
    const [ada, bob] = [world.addUser('ada'), world.addUser('bob')]
    const file = await world.upload(ada, randomBytes(10), { visibility: 'public' })
    const send = { conversation: EVERYONE, client_id: '1', text: 'x', attachments: [file.id] }
    await expect(bob.call('message.send', send)).rejects.toThrow('not found')
  })

  test('a file goes into a bounded number of messages', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const file = await world.upload(ada, randomBytes(10))
    const send = (n: number) =>
      ada.call('message.send', { everyone: true, client_id: `${n}`, text: 'x', attachments: [file.id] })
    await Promise.all(Array.from({ length: MESSAGES_PER_FILE_MAX }, (_, n) => send(n)))
    await expect(send(MESSAGES_PER_FILE_MAX)).rejects.toMatchObject({ code: 1006 })
    await ada.call('message.delete', { conversation: EVERYONE, seq: 1 })
    await send(MESSAGES_PER_FILE_MAX)
  })

  test('a file that is named anew is so in the messages that have it, and in their search', async () => {
    const world = openFiles()
    const [ada, bob] = [world.addUser('ada'), world.addUser('bob')]
    const file = await world.upload(ada, randomBytes(10), { name: 'before.txt' })
    const send = { conversation: EVERYONE, client_id: '1', text: 'look', attachments: [file.id] }
    await ada.call('message.send', send)
    await ada.call('file.rename', { id: file.id, name: 'afterwards.txt' })
    const [changed] = (await bob.call('message.list', { conversation: EVERYONE })).messages
    expect(changed.attachments).toMatchObject([{ id: file.id, name: 'afterwards.txt' }])
    const hits = async (query: string) => (await bob.call('search.messages', { query })).hits.length
    await until(async () => (await hits('afterwards')) === 1)
    expect(await hits('before')).toBe(0)
  })

  test('a file that is deleted is gone from the messages that had it, and their readers are told', async () => {
    const world = openFiles()
    const [ada, bob] = [world.addUser('ada'), world.addUser('bob')]
    const file = await world.upload(ada, randomBytes(10))
    const send = { conversation: EVERYONE, client_id: '1', text: 'look', attachments: [file.id] }
    const { message } = await ada.call('message.send', send)
    await ada.call('file.delete', { id: file.id })
    expect((await world.request(bob, `/files/${file.id}`)).status).toBe(404)
    const [changed] = (await bob.call('message.list', { conversation: EVERYONE })).messages
    expect(changed).toMatchObject({ seq: message.seq, text: 'look', attachments: [] })
    expect(changed.rev).toBeGreaterThan(message.rev)
    await until(() => world.relay.eventsOf(`im:c:${EVERYONE}`).some(event => event.type === 'edited'))
  })
})

describe('lists', () => {
  test('of my files, of what others share with me, and of what is downloaded most', async () => {
    const world = openFiles({ uploads_per_user: 100 })
    const [ada, bob, cleo] = [world.addUser('ada'), world.addUser('bob'), world.addUser('cleo')]
    const ids: string[] = []
    for (let n = 0; n < 5; n++)
      ids.push((await world.upload(ada, randomBytes(10 + n), { name: `${n}.bin` })).id)
    await ada.call('file.set_visibility', { id: ids[1], visibility: 'public' })
    await ada.call('file.set_visibility', { id: ids[2], visibility: 'users', users: [bob.id] })
    const listed = async (user: typeof ada, input: object) =>
      (await user.call('file.list', input)).files.map((file: any) => file.id)
    expect(await listed(ada, {})).toEqual([...ids].reverse())
    const first = await ada.call('file.list', { limit: 3 })
    const second = await ada.call('file.list', { limit: 3, cursor: first.next })
    expect([...first.files, ...second.files].map(file => file.id)).toEqual([...ids].reverse())
    expect(second.next).toBe(0)
    expect(await listed(bob, { of: 'shared' })).toEqual([ids[2], ids[1]])
    expect(await listed(cleo, { owner: ada.id })).toEqual([ids[1]])
    expect(await listed(ada, { of: 'shared' })).toEqual([])
    for (const id of [ids[1], ids[1], ids[2]]) await world.bytes(bob, `/files/${id}`)
    await until(async () => (await ada.call('file.downloads', { id: ids[1] })).downloads.length === 2)
    await until(async () => (await ada.call('file.downloads', { id: ids[2] })).downloads.length === 1)
    const most = async (user: typeof ada) =>
      (await user.call('file.most_downloaded')).files.map((file: any) => [file.id, file.downloads])
    expect(await most(bob)).toEqual([
      [ids[1], 2],
      [ids[2], 1],
    ])
    expect(await most(cleo)).toEqual([[ids[1], 2]])
    expect((await ada.call('file.get', { id: ids[1] })).file).toMatchObject({
      downloads: 2,
      downloaded_bytes: 22,
    })
    expect((await ada.call('file.downloads', { id: ids[2] })).downloads).toMatchObject([
      { user: bob.id, bytes: 12 },
    ])
  })

  test('are searched by parts of names, for what the asker may read', async () => {
    const world = openFiles({ uploads_per_user: 100 })
    const [ada, bob] = [world.addUser('ada'), world.addUser('bob')]
    const visibilities = ['private', 'public', 'private', 'public', 'private'] as const
    const ids: string[] = []
    for (const [n, visibility] of visibilities.entries()) {
      ids.push((await world.upload(ada, randomBytes(9), { name: `Café-Rechnung ${n}.pdf`, visibility })).id)
    }
    const found = async (user: typeof ada, input: object) =>
      (await user.call('file.search', input)).files.map((file: any) => file.id)
    expect(await found(ada, { query: 'cafe rechn' })).toEqual([...ids].reverse())
    expect(await found(bob, { query: 'RECHNUNG' })).toEqual([ids[3], ids[1]])
    expect(await found(bob, { query: '1' })).toEqual([ids[1]])
    expect(await found(bob, { query: 'rechnung', owner: bob.id })).toEqual([])
    const first = await ada.call('file.search', { query: 'rechnung', limit: 2 })
    expect(await found(ada, { query: 'rechnung', limit: 5, cursor: first.next })).toEqual([
      ids[2],
      ids[1],
      ids[0],
    ])
    await ada.call('file.rename', { id: ids[1], name: '../../Foto\u202egpj.exe' })
    expect((await bob.call('file.get', { id: ids[1] })).file.name).toBe('_.._Fotogpj.exe')
    expect(await found(bob, { query: 'rechnung' })).toEqual([ids[3]])
    expect(await found(bob, { query: 'foto' })).toEqual([ids[1]])
  })
})
