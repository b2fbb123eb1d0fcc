// GET /messenger/conversations/ID/export: a conversation as one file. Runs on a shard. Invariant: the file that was made
// for it has no name any more when its first byte goes out, so nothing stays of it, however the request ends.

import { constants } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { create as contentDisposition } from 'content-disposition'
import type { Context } from 'hono'
import { type CallMethod, type HttpEnv, HttpFailure } from './calls.ts'

/** Read at once. */
const CHUNK_BYTES = 128 * 1_024

/** What `export.prepare` answers. */
type Prepared = Readonly<{ path: string; bytes: number; name: string; type: string }>

export async function serveExport(
  c: Context<HttpEnv>,
  call: CallMethod,
  dataPath: string,
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
  const content = file.createReadStream({ highWaterMark: CHUNK_BYTES })
  return new Response(Readable.toWeb(content, { strategy: { highWaterMark: 1 } }) as ReadableStream, {
    headers: {
      'content-type': made.type,
      'content-length': String(made.bytes),
      'content-disposition': contentDisposition(made.name, { type: 'attachment', fallback: plainName(made) }),
      'content-security-policy': "default-src 'none'; sandbox",
    },
  })
}

function plainName({ name }: Prepared): string {
  return name.replace(/[^\x20-\x7e]|[%"\\]/gu, '_')
}
