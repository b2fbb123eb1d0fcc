// Uploads on a disk that is full: refused before the first byte where that can be known, else with a reason, and gone on
// with when there is room. Needs a file system of its own, which only root can mount.

import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openFiles, sha256Of } from './files-world.ts'

const isRoot = process.getuid?.() === 0
const MEBIBYTE = 1_024 * 1_024
const TUS = { 'tus-resumable': '1.0.0' }
const STORAGE = 1009

function smallDisk(size: string): string {
  const path = mkdtempSync(join(tmpdir(), 'fanwire-disk-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path])
  onTestFinished(() => {
    spawnSync('umount', ['-l', path])
    rmSync(path, { recursive: true, force: true })
  })
  return path
}

test.skipIf(!isRoot)('a file that does not fit on the disk is refused before its first byte', async () => {
  const world = openFiles({ path: smallDisk('70m') })
  const ada = world.addUser('ada')
  const headers = { ...TUS, 'upload-length': String(20 * MEBIBYTE) }
  const response = await world.request(ada, '/uploads', { method: 'POST', headers })
  expect(response.status).toBe(503)
  expect(await response.json()).toMatchObject({
    error: { code: STORAGE, message: expect.stringContaining('disk is full') },
  })
  expect(world.names('uploads')).toEqual([])
  expect((await ada.call('file.usage')).used_bytes).toBe(0)
})

test.skipIf(!isRoot)(
  'a disk that fills up meanwhile: refused, and gone on with when there is room',
  async () => {
    const path = smallDisk('90m')
    const world = openFiles({ path })
    const ada = world.addUser('ada')
    const bytes = randomBytes(10 * MEBIBYTE)
    const headers = { ...TUS, 'upload-length': String(bytes.length) }
    const created = await world.request(ada, '/uploads', { method: 'POST', headers })
    const at = created.headers.get('location')!.replace('/messenger', '')
    writeFileSync(join(path, 'other'), Buffer.alloc(83 * MEBIBYTE))
    const patch = (offset: number) =>
      world.request(ada, at, {
        method: 'PATCH',
        headers: {
          ...TUS,
          'upload-offset': String(offset),
          'content-type': 'application/offset+octet-stream',
        },
        body: bytes.subarray(offset),
      })
    const refused = await patch(0)
    expect(refused.status).toBe(503)
    expect(await refused.json()).toMatchObject({ error: { code: STORAGE } })
    rmSync(join(path, 'other'))
    const head = await world.request(ada, at, { method: 'HEAD', headers: TUS })
    const offset = Number(head.headers.get('upload-offset'))
    expect(offset).toBeLessThan(bytes.length)
    expect((await patch(offset)).status).toBe(204)
    const id = at.split('/').at(-1)
    expect(sha256Of(await world.bytes(ada, `/files/${id}`))).toBe(sha256Of(bytes))
    expect(world.faults).toEqual([])
  },
)
