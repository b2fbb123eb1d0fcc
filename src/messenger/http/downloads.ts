// Downloads: whether the caller may have the file is asked at each request, then it is streamed from the disk. Runs on a
// shard. Invariants: a browser shows nothing but what is safe to show, and never as a page of ours; a slow reader costs
// one chunk; who may not have a file gets the same answer as for one that does not exist.

import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Context } from 'hono'
import { RANDOM_ID } from '../../base/random-id.ts'
import { contentPath, type Part } from '../files/paths.ts'
import { type CallMethod, type HttpEnv, HttpFailure } from './calls.ts'
import { dispositionOf } from './disposition.ts'
import { isKnown, rangeOf } from './range.ts'

/** Read at once. */
const CHUNK_BYTES = 128 * 1_024

/** What `file.open` answers. */
export type Opened = Readonly<{
  sha256: string
  name: string
  /** As it is served. */
  type: string
  disposition: 'inline' | 'attachment'
  /** All users may have it. */
  isPublic: boolean
}>

export type DownloadsOptions = Readonly<{ call: CallMethod; dataPath: string }>

/** GET and HEAD of a part of a file. */
export async function download(
  c: Context<HttpEnv>,
  part: Part,
  { call, dataPath }: DownloadsOptions,
): Promise<Response> {
  const id = c.req.param('id') ?? ''
  if (!RANDOM_ID.test(id)) throw HttpFailure.of('not_found', 'file')
  const opened = (await call(c, 'file.open', { id, part }, 'shard')) as Opened
  const etag = `"${opened.sha256}${part === 'original' ? '' : `-${part}`}"`
  const headers = headersOf(opened, etag, c.req.query('download') === '1')
  if (isKnown(c.req.header('if-none-match'), etag)) return new Response(null, { status: 304, headers })
  const file = await openContent(contentPath(dataPath, opened.sha256, part))
  let isStreaming = false
  try {
    const { size } = await file.stat()
    const isHead = c.req.raw.method === 'HEAD'
    const range = rangeOf(isHead ? undefined : c.req.header('range'), c.req.header('if-range'), etag, size)
    if (range.kind === 'unsatisfiable') {
      throw HttpFailure.of('bad_request', 'Range', { 'content-range': `bytes */${size}` }, 416)
    }
    const { first, last } = range.kind === 'part' ? range : { first: 0, last: size - 1 }
    if (range.kind === 'part') headers.set('content-range', `bytes ${first}-${last}/${size}`)
    headers.set('content-length', String(last - first + 1))
    const status = range.kind === 'part' ? 206 : 200
    if (isHead) return new Response(null, { status, headers })
    const onEnd = () => {
      if (part !== 'original' || last !== size - 1) return
      // Only a statistic: whoever has the file is not to learn that it could not be counted.
      call(c, 'file.downloaded', { id, bytes: last - first + 1 }, 'shard').catch(() => {})
    }
    isStreaming = true
    return new Response(streamOf(file, first, last, c.req.raw.signal, onEnd), { status, headers })
  } finally {
    if (!isStreaming) await file.close()
  }
}

function headersOf(opened: Opened, etag: string, isForced: boolean): Headers {
  const { name, type, isPublic } = opened
  const disposition = isForced ? 'attachment' : opened.disposition
  return new Headers({
    'content-type': type,
    'content-disposition': dispositionOf(name, disposition),
    etag,
    'accept-ranges': 'bytes',
    // What is private leaves no copy on a shared machine; what all users may have is asked for again each time.
    'cache-control': isPublic ? 'private, no-cache' : 'private, no-store',
    'x-content-type-options': 'nosniff',
    // As a document of its own it has no origin and may load nothing.
    'content-security-policy': "default-src 'none'; sandbox",
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
  })
}

async function openContent(path: string): Promise<FileHandle> {
  try {
    // A link or a pipe under this name is none of ours.
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    if ((await file.stat()).isFile()) return file
    await file.close()
  } catch {
    // What the client gets is the same: it is not to learn how things lie on our disk.
  }
  throw HttpFailure.of('storage', 'the content is not there')
}

/** Closes the file when all is read, when the reader cancels, and when the connection is gone before it began to read. */
function streamOf(
  file: FileHandle,
  first: number,
  last: number,
  signal: AbortSignal,
  onEnd: () => void,
): ReadableStream<Uint8Array> {
  let position = first
  let isClosed = false
  const close = async () => {
    if (isClosed) return
    isClosed = true
    signal.removeEventListener('abort', onAbort)
    await file.close()
  }
  const onAbort = () => void close().catch(() => {})
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const length = Math.min(CHUNK_BYTES, last - position + 1)
        try {
          const { bytesRead, buffer } =
            length === 0
              ? { bytesRead: 0, buffer: new Uint8Array(0) }
              : await file.read(new Uint8Array(length), 0, length, position)
          if (length > 0 && bytesRead === 0) throw new Error('the content ends too early')
          position += bytesRead
          if (bytesRead > 0) controller.enqueue(buffer.subarray(0, bytesRead))
        } catch (error) {
          await close()
          throw error
        }
        if (position <= last) return
        await close()
        controller.close()
        onEnd()
      },
      cancel: close,
    },
    { highWaterMark: 0 },
  )
}
