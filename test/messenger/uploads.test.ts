// Resumable uploads: cut anywhere, gone on with at another shard, and never another file than what was sent.

import { randomBytes, randomInt } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Upload } from 'tus-js-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { randomId } from '../../src/base/random-id.ts'
import { contentPath } from '../../src/messenger/files/paths.ts'
import { layCable } from '../support/cable.ts'
import type { TestUser } from '../support/messenger.ts'
import { type FilesWorld, openFiles, sha256Of } from './files-world.ts'

const TUS = { 'tus-resumable': '1.0.0' }
const MEBIBYTE = 1_024 * 1_024

const until = async (condition: () => boolean | Promise<boolean>) => {
  for (let tries = 0; tries < 1_000; tries++) {
    if (await condition()) return
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  throw new Error('it did not come to that')
}

/** Location of a new upload. */
async function begin(world: FilesWorld, user: TestUser, size: number, metadata = ''): Promise<string> {
  const headers = {
    ...TUS,
    'upload-length': `${size}`,
    ...(metadata !== '' && { 'upload-metadata': metadata }),
  }
  const response = await world.request(user, '/uploads/', { method: 'POST', headers })
  expect(response.status, await response.text()).toBe(201)
  return response.headers.get('location')!.replace('/messenger', '')
}

function patch(world: FilesWorld, user: TestUser, at: string, offset: number, body: Uint8Array) {
  const headers = { ...TUS, 'upload-offset': `${offset}`, 'content-type': 'application/offset+octet-stream' }
  return world.request(user, at, { method: 'PATCH', headers, body })
}

async function offsetOf(world: FilesWorld, user: TestUser, at: string): Promise<number | string> {
  const response = await world.request(user, at, { method: 'HEAD', headers: TUS })
  return response.ok ? Number(response.headers.get('upload-offset')) : response.status
}

const idOf = (location: string) => location.split('/').at(-1)!

async function ofUpload(user: TestUser, at: string): Promise<any> {
  return (await user.call('file.get', { id: idOf(at) })).file
}

describe('tus-js-client', () => {
  test('whose connection is cut at random points resumes to the same hash', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const cable = await layCable(Number(new URL(world.url).port))
    onTestFinished(() => cable.close())
    for (let round = 0; round < 5; round++) {
      const bytes = randomBytes(3 * MEBIBYTE + randomInt(1_000))
      const cuts = Array.from({ length: 4 }, () => randomInt(bytes.length)).sort((a, b) => a - b)
      let times = 0
      let created = ''
      await new Promise<void>((resolve, reject) => {
        const upload = new Upload(bytes, {
          endpoint: `http://127.0.0.1:${cable.port}/messenger/uploads/`,
          retryDelays: Array.from({ length: 40 }, () => 20),
          chunkSize: round % 2 === 0 ? Number.POSITIVE_INFINITY : 700_000,
          uploadDataDuringCreation: false,
          metadata: { filename: `round ${round}.bin` },
          headers: { authorization: `Bearer ${ada.token}` },
          onProgress(sent) {
            if (cuts[0] === undefined || sent < cuts[0]) return
            while (cuts[0] !== undefined && sent >= cuts[0]) cuts.shift()
            times += 1
            cable.cut()
            setTimeout(cable.mend, 30)
          },
          onUploadUrlAvailable() {
            created = upload.url!
          },
          onSuccess: () => resolve(),
          onError: reject,
        })
        upload.start()
      })
      expect(times).toBeGreaterThan(0)
      const file = await ofUpload(ada, created)
      expect(file).toMatchObject({ name: `round ${round}.bin`, size: bytes.length, sha256: sha256Of(bytes) })
      expect((await world.bytes(ada, `/files/${file.id}`)).equals(bytes)).toBe(true)
    }
    expect(world.names('uploads')).toEqual([])
    expect(world.faults).toEqual([])
  })
})

describe('an upload', () => {
  test('goes up in pieces, and is a file under its own id when the last has come', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const bytes = randomBytes(100_000)
    const at = await begin(world, ada, bytes.length, `filename ${Buffer.from('../x.bin').toString('base64')}`)
    expect((await patch(world, ada, at, 0, bytes.subarray(0, 60_000))).headers.get('upload-offset')).toBe(
      '60000',
    )
    expect(await offsetOf(world, ada, at)).toBe(60_000)
    expect((await patch(world, ada, at, 50_000, bytes.subarray(50_000))).status).toBe(409)
    expect((await patch(world, ada, at, 60_000, bytes.subarray(60_000))).status).toBe(204)
    expect(await ofUpload(ada, at)).toMatchObject({ name: '_x.bin', sha256: sha256Of(bytes) })
    // Its client may have missed the last answer.
    const head = await world.request(ada, at, { method: 'HEAD', headers: TUS })
    expect([head.status, head.headers.get('upload-offset')]).toEqual([200, '100000'])
    expect((await patch(world, ada, at, 100_000, new Uint8Array(0))).status).toBe(409)
  })

  test('may come with its creation, and may be empty', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const bytes = randomBytes(5_000)
    const headers = { ...TUS, 'upload-length': '5000', 'content-type': 'application/offset+octet-stream' }
    const whole = await world.request(ada, '/uploads', { method: 'POST', headers, body: bytes })
    expect([whole.status, whole.headers.get('upload-offset')]).toEqual([201, '5000'])
    expect((await ofUpload(ada, whole.headers.get('location')!)).sha256).toBe(sha256Of(bytes))
    const at = await begin(world, ada, 0)
    expect((await ofUpload(ada, at)).size).toBe(0)
  })

  test('leaves nothing when its creation was cut: the client can not go on with it', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const { port } = new URL(world.url)
    const socket = connect(Number(port), '127.0.0.1')
    socket.on('error', () => {})
    socket.write(
      [
        'POST /messenger/uploads HTTP/1.1',
        'Host: localhost',
        `Authorization: Bearer ${ada.token}`,
        'Tus-Resumable: 1.0.0',
        'Upload-Length: 50000',
        'Content-Type: application/offset+octet-stream',
        'Content-Length: 50000',
        '\r\n',
      ].join('\r\n'),
    )
    socket.write(randomBytes(20_000))
    await until(() => world.names('uploads').length === 1)
    socket.resetAndDestroy()
    await until(() => world.names('uploads').length === 0)
    await until(async () => (await ada.call('file.usage')).used_bytes === 0)
  })

  test("is seen by its owner only: 404 for others' HEAD, PATCH and DELETE, 401 for strangers", async () => {
    const world = openFiles()
    const [ada, bob] = [world.addUser('ada'), world.addUser('bob', 'admin')]
    const at = await begin(world, ada, 10)
    expect(await offsetOf(world, bob, at)).toBe(404)
    expect((await patch(world, bob, at, 0, randomBytes(10))).status).toBe(404)
    expect((await world.request(bob, at, { method: 'DELETE', headers: TUS })).status).toBe(404)
    expect((await world.request(undefined, at, { method: 'HEAD', headers: TUS })).status).toBe(401)
    expect((await world.request(ada, at)).status).toBe(404)
    expect(await offsetOf(world, ada, at)).toBe(0)
  })

  test('32: reserves its room before the first byte, and gives it back', async () => {
    const world = openFiles({ user_quota: 1_000, file_size: 2_048, uploads_per_user: 2 })
    const ada = world.addUser('ada')
    const create = async (length: string) =>
      (await world.request(ada, '/uploads', { method: 'POST', headers: { ...TUS, 'upload-length': length } }))
        .status
    expect(await create('2049')).toBe(413)
    expect(await create('1001')).toBe(507)
    expect(await create('-1')).toBe(400)
    expect(await create('1e3')).toBe(400)
    const defer = { ...TUS, 'upload-defer-length': '1' }
    expect((await world.request(ada, '/uploads', { method: 'POST', headers: defer })).status).toBe(501)
    const at = await begin(world, ada, 900)
    expect(await ada.call('file.usage')).toMatchObject({ used_bytes: 900, uploads: 1 })
    expect(await create('200')).toBe(507)
    expect(await create('50')).toBe(201)
    expect(await create('50')).toBe(429)
    expect((await world.request(ada, at, { method: 'DELETE', headers: TUS })).status).toBe(204)
    expect(await offsetOf(world, ada, at)).toBe(404)
    expect(await ada.call('file.usage')).toMatchObject({ used_bytes: 50, uploads: 1 })
    expect(world.names('uploads')).toHaveLength(1)
  })

  test('is refused in the words of all other answers, with the time to wait', async () => {
    const world = openFiles({ uploads_per_user: 1 })
    const ada = world.addUser('ada')
    await begin(world, ada, 10)
    const headers = { ...TUS, 'upload-length': '10' }
    const refused = await world.request(ada, '/uploads', { method: 'POST', headers })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '2'])
    expect(refused.headers.get('content-type')).toBe('application/json')
    expect(refused.headers.get('tus-resumable')).toBe('1.0.0')
    const error = { code: 111, message: 'too many requests: 1 unfinished uploads', temporary: true }
    expect(await refused.json()).toEqual({ error: { ...error, retry_after_ms: 2_000 } })
    const stranger = await world.request(undefined, '/uploads', { method: 'POST', headers })
    expect([stranger.status, stranger.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
  })

  test('gets no byte more than was reserved', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const at = await begin(world, ada, 1_000)
    expect((await patch(world, ada, at, 0, randomBytes(1_001))).status).toBe(413)
    const endless = new ReadableStream({
      pull(controller) {
        controller.enqueue(randomBytes(600))
      },
    })
    const headers = { ...TUS, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }
    const init = { method: 'PATCH', headers, body: endless, duplex: 'half' } as RequestInit
    const status = await world.request(ada, at, init).then(
      response => response.status,
      () => 0,
    )
    expect(status === 0 || status >= 400).toBe(true)
    await until(async () => typeof (await offsetOf(world, ada, at)) === 'number')
    expect(await offsetOf(world, ada, at)).toBeLessThanOrEqual(1_000)
    await expect(ofUpload(ada, at)).rejects.toThrow('not found')
  })

  test('whose connection hangs is gone on with by another one at once, and the old one writes no more', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const bytes = randomBytes(400_000)
    const at = await begin(world, ada, bytes.length)
    const { port } = new URL(world.url)
    const old = connect(Number(port), '127.0.0.1')
    onTestFinished(() => void old.destroy())
    old.on('error', () => {})
    old.write(
      [
        `PATCH /messenger${at} HTTP/1.1`,
        'Host: localhost',
        `Authorization: Bearer ${ada.token}`,
        'Tus-Resumable: 1.0.0',
        'Upload-Offset: 0',
        'Content-Type: application/offset+octet-stream',
        `Content-Length: ${bytes.length}`,
        '\r\n',
      ].join('\r\n'),
    )
    old.write(bytes.subarray(0, 150_000))
    await until(() => world.names('uploads').length === 1)
    let offset = 0
    // The old one is asked to stop; what it had read of its bytes stays.
    await until(async () => {
      offset = Number(await offsetOf(world, ada, at))
      return offset > 0
    })
    const rest = patch(world, ada, at, offset, bytes.subarray(offset))
    old.write(randomBytes(bytes.length - 150_000))
    expect((await rest).status).toBe(204)
    const file = await ofUpload(ada, at)
    expect(file.sha256).toBe(sha256Of(bytes))
    old.write(randomBytes(10_000))
    expect(sha256Of(await world.bytes(ada, `/files/${file.id}`))).toBe(file.sha256)
    expect(world.relay.notices.some(({ topic }) => topic === 'upload.release')).toBe(true)
  })

  test('of which many requests send the same part at once is right in the end', async () => {
    const world = openFiles()
    const ada = world.addUser('ada')
    const bytes = randomBytes(200_000)
    const at = await begin(world, ada, bytes.length)
    const statuses = await Promise.all(
      Array.from({ length: 6 }, async () => (await patch(world, ada, at, 0, bytes)).status),
    )
    expect(
      statuses.every(status => [204, 400, 409, 410, 404, 500, 503].includes(status)),
      `${statuses}`,
    ).toBe(true)
    for (let offset = await offsetOf(world, ada, at); Number(offset) < bytes.length; ) {
      await patch(world, ada, at, Number(offset), bytes.subarray(Number(offset)))
      offset = await offsetOf(world, ada, at)
    }
    expect((await ofUpload(ada, at)).sha256).toBe(sha256Of(bytes))
    expect(world.db.get('SELECT count(*) AS n FROM files')).toEqual({ n: 1 })
    expect(world.faults).toEqual([])
  })

  test('is gone on with after a restart of the relay, also when all its bytes had come', async () => {
    const path = mkdtempSync(join(tmpdir(), 'fanwire-uploads-'))
    onTestFinished(() => rmSync(path, { recursive: true }))
    const bytes = randomBytes(50_000)
    const before = openFiles({ path })
    const ada = before.addUser('ada')
    const half = await begin(before, ada, bytes.length)
    await patch(before, ada, half, 0, bytes.subarray(0, 20_000))
    const complete = await begin(before, ada, bytes.length)
    await patch(before, ada, complete, 0, bytes.subarray(0, 20_000))
    // As a crash leaves it: all is written, and the request that would have stored it is no more.
    writeFileSync(join(path, 'uploads', idOf(complete)), bytes)
    before.db.run("UPDATE uploads SET holder = 'finishing' WHERE id = ?", idOf(complete))
    writeFileSync(join(path, 'tmp', 'left'), 'x')
    await before.close()
    const after = openFiles({ path })
    expect(after.names('tmp')).toEqual([])
    expect(await offsetOf(after, ada, half)).toBe(20_000)
    expect((await patch(after, ada, half, 20_000, bytes.subarray(20_000))).status).toBe(204)
    expect(await offsetOf(after, ada, complete)).toBe(bytes.length)
    for (const at of [half, complete]) {
      expect(sha256Of(await after.bytes(ada, `/files/${idOf(at)}`))).toBe(sha256Of(bytes))
    }
  })

  test('that nothing comes for ends, with what it had', async () => {
    const world = openFiles({ upload_expiry: 60_000 })
    const ada = world.addUser('ada')
    const at = await begin(world, ada, 1_000)
    await patch(world, ada, at, 0, randomBytes(10))
    world.messenger.sweep(world.clock.nowMs)
    expect(await offsetOf(world, ada, at)).toBe(10)
    world.clock.nowMs += 61_000
    await until(async () => {
      world.clock.nowMs += 10_000
      world.messenger.sweep(world.clock.nowMs)
      return world.names('uploads').length === 0
    })
    expect(await offsetOf(world, ada, at)).toBe(404)
    expect(world.db.get('SELECT reserved_bytes FROM storage')).toEqual({ reserved_bytes: 0 })
  })

  test('that comes while the start still clears up stays, though no row has it yet', async () => {
    const world = openFiles()
    const bytes = randomBytes(10)
    const sha256 = sha256Of(bytes)
    const coming = join(world.path, 'uploads', randomId())
    const stored = contentPath(world.path, sha256, 'original')
    mkdirSync(dirname(stored))
    for (const path of [coming, stored]) writeFileSync(path, bytes)
    world.messenger.sweep(world.clock.nowMs)
    // Ends behind the sweep.
    await world.close()
    expect([coming, stored].filter(path => !existsSync(path))).toEqual([])
  })

  test('for a message that never came goes after a day; what a crash left on the disk at the start', async () => {
    const path = mkdtempSync(join(tmpdir(), 'fanwire-uploads-'))
    onTestFinished(() => rmSync(path, { recursive: true }))
    const world = openFiles({ path })
    const ada = world.addUser('ada')
    const [kept, gone] = [
      await world.upload(ada, randomBytes(10)),
      await world.upload(ada, randomBytes(10), { visibility: 'conversation' }),
    ]
    world.clock.nowMs += 25 * 3_600_000
    await until(() => {
      world.clock.nowMs += 10_000
      world.messenger.sweep(world.clock.nowMs)
      return !world.hasContent(gone.sha256)
    })
    expect(world.hasContent(kept.sha256)).toBe(true)
    // No row has it, as when a crash came in between.
    world.db.run('DELETE FROM files WHERE public_id = ?', kept.id)
    world.db.run('DELETE FROM blobs WHERE sha256 = ?', kept.sha256)
    writeFileSync(join(path, 'uploads', 'A'.repeat(22)), 'x')
    mkdirSync(join(path, 'thumbs', 'ab'), { recursive: true })
    for (const ending of ['.webp', '.view.webp']) {
      writeFileSync(join(path, 'thumbs', 'ab', `${'ab'.repeat(32)}${ending}`), 'x')
    }
    await world.close()
    const after = openFiles({ path })
    after.clock.nowMs += 3_600_000
    after.messenger.sweep(after.clock.nowMs)
    await until(() => !after.hasContent(kept.sha256) && after.names('uploads').length === 0)
    await until(() => after.names('thumbs').every(name => !name.endsWith('.webp')))
  })
})
