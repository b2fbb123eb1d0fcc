// A small file in one request: its bytes are the body. Runs on a shard. Invariants: its length is known and its room
// reserved before the first byte is read; nothing stays of what was not whole.

import { open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { parse as parseDisposition } from 'content-disposition'
import type { Context } from 'hono'
import { randomId } from '../../base/random-id.ts'
import { uploadPath } from '../files/paths.ts'
import type { FileRecord } from '../model.ts'
import { type CallMethod, type HttpEnv, HttpFailure } from './calls.ts'

/** Larger files go up in a way that can be resumed. */
const SMALL_BYTES_MAX = 5 * 1_024 * 1_024
const MODE = 0o600
const LENGTH = /^\d{1,15}$/

export type SmallUploadOptions = Readonly<{ call: CallMethod; dataPath: string }>

export async function uploadSmall(
  c: Context<HttpEnv>,
  { call, dataPath }: SmallUploadOptions,
): Promise<Response> {
  const size = lengthOf(c)
  const id = randomId()
  const holder = randomId()
  const visibility = c.req.query('visibility') ?? 'private'
  const wanted = { id, size, name: nameOf(c), visibility, holder, resumable: false }
  await call(c, 'upload.create', wanted, 'shard')
  try {
    await receive(c, join(dataPath, uploadPath(id)), size)
    const { file } = (await call(c, 'upload.finish', { id, holder }, 'shard')) as { file: FileRecord }
    return c.json({ file }, 201, { location: `/messenger/files/${id}`, 'cache-control': 'no-store' })
  } catch (error) {
    await unlink(join(dataPath, uploadPath(id))).catch(() => {})
    await call(c, 'upload.drop', { id }, 'shard').catch(() => {})
    throw error
  }
}

function lengthOf(c: Context<HttpEnv>): number {
  const length = c.req.header('content-length')
  if (length === undefined || !LENGTH.test(length)) throw HttpFailure.of('length_required')
  const size = Number(length)
  if (size <= SMALL_BYTES_MAX) return size
  throw HttpFailure.of('too_large', `${size} bytes in one request, of at most ${SMALL_BYTES_MAX}`)
}

function nameOf(c: Context<HttpEnv>): string {
  const name = c.req.query('name')
  if (name !== undefined) return name
  const disposition = c.req.header('content-disposition')
  return (disposition && parseDisposition(disposition).parameters.filename) || ''
}

async function receive(c: Context<HttpEnv>, path: string, size: number): Promise<void> {
  const file = await create(path)
  let bytes = 0
  try {
    for await (const chunk of c.req.raw.body ?? []) {
      bytes += chunk.byteLength
      if (bytes > size) break
      await write(file, chunk)
    }
  } finally {
    await file.close()
  }
  if (bytes !== size) throw HttpFailure.of('bad_request', 'the body has not the length that was announced')
}

async function create(path: string) {
  try {
    return await open(path, 'wx', MODE)
  } catch {
    throw HttpFailure.of('storage')
  }
}

async function write(file: Awaited<ReturnType<typeof create>>, chunk: Uint8Array): Promise<void> {
  try {
    await file.writeFile(chunk)
  } catch {
    throw HttpFailure.of('storage')
  }
}
