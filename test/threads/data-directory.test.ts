// The directory of the messenger, in a real folder.

import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Log } from '../../src/base/log.ts'
import { openDataDirectory } from '../../src/threads/data-directory.ts'

const umask = process.umask()

function createFolder(): {
  path: string
  open: (path: string) => ReturnType<typeof openDataDirectory>
  warnings: string[]
} {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-data-'))
  onTestFinished(() => {
    process.umask(umask)
    rmSync(folder, { recursive: true })
  })
  const warnings: string[] = []
  const log = { warn: (_: object, text: string) => warnings.push(text) } as unknown as Log
  const path = join(folder, 'data')
  return { path, warnings, open: given => openDataDirectory(given, log) }
}

const modeOf = (path: string) => statSync(path).mode & 0o777

test('it is made with all that is in it, for its owner alone', async () => {
  const { path, open, warnings } = createFolder()
  const { tokenKey, release } = await open(path)
  expect(tokenKey).toHaveLength(32)
  for (const folder of ['', 'blobs', 'thumbs', 'uploads', 'tmp'])
    expect(modeOf(join(path, folder))).toBe(0o700)
  expect(modeOf(join(path, 'token.key'))).toBe(0o600)
  expect(warnings).toEqual([])
  release()
})

test('the key stays, and what was temporary goes', async () => {
  const { path, open } = createFolder()
  const first = await open(path)
  for (const name of ['tmp/export', 'uploads/part', 'blobs/file']) writeFileSync(join(path, name), 'x')
  first.release()
  const second = await open(path)
  expect(Buffer.from(second.tokenKey)).toEqual(Buffer.from(first.tokenKey))
  expect(['tmp/export', 'uploads/part', 'blobs/file'].map(name => existsSync(join(path, name)))).toEqual([
    false,
    true,
    true,
  ])
  second.release()
})

test('one relay at a time has it', async () => {
  const { path, open } = createFolder()
  const first = await open(path)
  await expect(open(path)).rejects.toThrow(`messenger.path ${path}: another relay uses it`)
  first.release()
  const second = await open(path)
  second.release()
})

test('a key that was cut is not used, and not replaced without a word', async () => {
  const { path, open } = createFolder()
  const first = await open(path)
  first.release()
  writeFileSync(join(path, 'token.key'), 'short')
  await expect(open(path)).rejects.toThrow('token.key has 5 bytes and not 32')
  expect(readFileSync(join(path, 'token.key'), 'utf8')).toBe('short')
})

test('its parents are not made', async () => {
  const { path, open } = createFolder()
  await expect(open(join(path, 'below'))).rejects.toThrow('no such file or directory')
})

test('a directory that others can read is said so', async () => {
  const { path, open, warnings } = createFolder()
  const first = await open(path)
  first.release()
  chmodSync(path, 0o755)
  const second = await open(path)
  second.release()
  expect(warnings).toHaveLength(1)
})
