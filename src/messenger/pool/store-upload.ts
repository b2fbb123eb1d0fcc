// An upload that is complete becomes a blob: synced, hashed, sniffed, and linked to where its hash says. A thread of the
// pool. Invariants: what a blob's name says is the hash of its bytes; a blob is on the disk, with its name, before
// anything refers to it; the upload stays where it is until the messenger has written that down.

import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, lstat, mkdir, open, rename, unlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileTypeFromBuffer } from 'file-type'
import { assert } from '../../base/assert.ts'
import { syncPath } from '../../base/durable-files.ts'
import { randomId } from '../../base/random-id.ts'
import type { MessengerOptions } from '../../config/schema.ts'
import { CallError } from '../failures.ts'
import { contentPath, temporaryPath, uploadPath } from '../files/paths.ts'
import { bareType } from '../files/types.ts'
import type { Tasks } from '../tasks.ts'
import { makePreview, type Preview } from './images.ts'

type StoreUpload = Tasks['storeUpload']

/** Read at once while hashing. */
const CHUNK_BYTES = 1_024 * 1_024
/** What the type is told by. */
const SAMPLE_BYTES = 64 * 1_024
const MODE = 0o600

/** Of the system, where it is the disk that refuses, in words. */
const STORAGE_ERRORS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk is full',
  EIO: 'i/o error',
  EROFS: 'the disk is read-only',
}

/** Rejects with CallError('storage') when the disk does not take it. */
export async function storeUpload(
  input: StoreUpload['input'],
  options: Pick<MessengerOptions, 'path' | 'image_pixels'>,
): Promise<StoreUpload['output']> {
  try {
    return await store(input, options)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    const reason = typeof code === 'string' ? STORAGE_ERRORS[code] : undefined
    throw reason === undefined ? error : new CallError('storage', reason)
  }
}

async function store(
  { path, size }: StoreUpload['input'],
  options: Pick<MessengerOptions, 'path' | 'image_pixels'>,
): Promise<StoreUpload['output']> {
  assert(path === uploadPath(basename(path)), 'only uploads become blobs')
  const from = join(options.path, path)
  const { sha256, sample } = await readAll(from, size)
  const sniffed = await fileTypeFromBuffer(sample)
  const type = bareType(sniffed?.mime)
  const preview = await makePreview(from, type, size, options.image_pixels)
  if (preview !== undefined) await keepPreview(options.path, sha256, preview)
  await placeBlob(options.path, from, sha256, size)
  const image = preview && { width: preview.width, height: preview.height, blur: preview.blur }
  return { sha256, type, image }
}

/** Syncs the file on the way: what was hashed is what is on the disk. */
async function readAll(path: string, size: number): Promise<{ sha256: string; sample: Buffer }> {
  const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW)
  try {
    const stat = await file.stat()
    if (!stat.isFile() || stat.size !== size) throw new Error(`${stat.size} bytes came of ${size}`)
    await file.sync()
    const sample = Buffer.alloc(Math.min(size, SAMPLE_BYTES))
    await file.read(sample, 0, sample.length, 0)
    return { sha256: await hash(file), sample }
  } finally {
    await file.close()
  }
}

async function hash(file: FileHandle): Promise<string> {
  const sha256 = createHash('sha256')
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  for (let position = 0; ; ) {
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, position)
    if (bytesRead === 0) return sha256.digest('hex')
    sha256.update(chunk.subarray(0, bytesRead))
    position += bytesRead
  }
}

async function keepPreview(dataPath: string, sha256: string, preview: Preview): Promise<void> {
  for (const part of ['view', 'thumbnail'] as const) {
    const path = contentPath(dataPath, sha256, part)
    const temporary = temporaryPath(dataPath, randomId())
    await makeFolder(dirname(path))
    await writeFile(temporary, preview[part], { flag: 'wx', mode: MODE, flush: true })
    await rename(temporary, path)
    await syncPath(dirname(path))
  }
}

/**
 * The same content that is there already stays; something else under that name (a link that somebody put there) is
 * replaced.
 */
async function placeBlob(dataPath: string, from: string, sha256: string, size: number): Promise<void> {
  const path = contentPath(dataPath, sha256, 'original')
  await makeFolder(dirname(path))
  if (!(await isBlob(path, size))) {
    const temporary = temporaryPath(dataPath, randomId())
    await link(from, temporary)
    await rename(temporary, path)
    // A rename between two names of one file does nothing, and leaves both.
    await unlink(temporary).catch(() => {})
  }
  await syncPath(dirname(path))
}

async function isBlob(path: string, size: number): Promise<boolean> {
  try {
    const stat = await lstat(path)
    return stat.isFile() && stat.size === size
  } catch {
    return false
  }
}

async function makeFolder(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 })
  if (made !== undefined) await syncPath(dirname(made))
}
