// GET /messenger/conversations/ID/export: a conversation as one file. Runs on a shard. Invariant: the file that was made
// for it has no name any more when its first byte goes out, so nothing stays of it, however the request ends; until then it
// takes its room on the disk, and of a user there are few.

import { constants } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { Context } from 'hono'
import { CallError } from '../failures.ts'
import { type CallMethod, type HttpEnv, HttpFailure } from './calls.ts'
import { dispositionOf } from './disposition.ts'

/** Read at once. */
const CHUNK_BYTES = 128 * 1_024
/** To a user at once, by a shard: the next one may be asked for before the end of the last is known. */
const SENDING_MAX = 2
const RETRY_AFTER_MS = 10_000

/** What `export.prepare` answers. */
type Prepared = Readonly<{ path: string; bytes: number; name: string; type: string; user: number }>

export type ExportsOptions = Readonly<{
  call: CallMethod
  dataPath: string
  /** How many this shard is sending to a user. */
  sending: Map<number, number>
}>

export async function serveExport(
  c: Context<HttpEnv>,
  { call, dataPath, sending }: ExportsOptions,
): Promise<Response> {
  // To make all of it for its length alone is too much.
  if (c.req.raw.method !== 'GET') throw HttpFailure.of('bad_request', 'use GET', { allow: 'GET' }, 405)
  const format = c.req.query('format') ?? 'jsonl'
  const conversation = Number(c.req.param('id'))
  const made = (await call(c, 'export.prepare', { conversation, format }, 'shard')) as Prepared
  const path = join(dataPath, made.path)
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => {
    throw HttpFailure.of('storage', 'the export is not there')
  })
  await unlink(path).catch(() => {})
  const { user } = made
  const others = sending.get(user) ?? 0
  if (others >= SENDING_MAX) {
    await file.close()
    throw new CallError('rate', `${others} exports are being sent to you`, RETRY_AFTER_MS)
  }
  sending.set(user, others + 1)
  const content = file.createReadStream({ highWaterMark: CHUNK_BYTES })
  content.once('close', () => {
    const left = sending.get(user)! - 1
    if (left > 0) sending.set(user, left)
    else sending.delete(user)
  })
  return new Response(Readable.toWeb(content, { strategy: { highWaterMark: 1 } }) as ReadableStream, {
    headers: {
      'content-type': made.type,
      'content-length': String(made.bytes),
      'content-disposition': dispositionOf(made.name, 'attachment'),
      'content-security-policy': "default-src 'none'; sandbox",
    },
  })
}
