// Files over HTTP: up in one request or resumably, down whole or in parts. Mounted below /messenger. Runs on a shard.

import { Hono } from 'hono'
import type { MessengerOptions } from '../../config/schema.ts'
import { type CallMethod, type HttpEnv, HttpFailure } from './calls.ts'
import { download } from './downloads.ts'
import { uploadSmall } from './small-upload.ts'
import { TusUploads } from './tus.ts'

export type FilesOptions = Readonly<{
  call: CallMethod
  /** The data directory. */
  dataPath: string
  options: Pick<MessengerOptions, 'file_size' | 'upload_expiry'>
  nowMs: () => number
}>

export type FilesApp = Readonly<{
  app: Hono<HttpEnv>
  /** A notice RELEASE_UPLOAD came from the messenger. */
  releaseUpload: (id: string) => void
}>

const UPLOADS_PATH = '/messenger/uploads'

export function createFilesApp(options: FilesOptions): FilesApp {
  const tus = new TusUploads({ ...options, path: UPLOADS_PATH })
  const app = new Hono<HttpEnv>()
  app.post('/files', c => uploadSmall(c, options))
  // Hono answers HEAD by the same, without the body.
  app.get('/files/:id', c => download(c, 'original', options))
  app.get('/files/:id/view', c => download(c, 'view', options))
  app.get('/files/:id/thumbnail', c => download(c, 'thumbnail', options))
  app.on(['POST', 'OPTIONS'], ['/uploads', '/uploads/'], c => tus.serve(c))
  app.on(['GET', 'PATCH', 'DELETE', 'OPTIONS'], '/uploads/:id', c => {
    // HEAD comes here as well; what is not finished is not to be read.
    if (c.req.raw.method === 'GET') throw HttpFailure.of('not_found', 'upload')
    return tus.serve(c)
  })
  return { app, releaseUpload: id => tus.release(id) }
}
