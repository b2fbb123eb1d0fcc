// Resumable uploads: tus 1.0 (https://tus.io/protocols/resumable-upload) by its reference server, on our data directory.
// Runs on a shard. Invariants: no byte is taken for which no room is reserved; an upload is seen by its owner only; what
// is complete becomes a file exactly once, under the upload's own id.

import { AsyncLocalStorage } from 'node:async_hooks'
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { FileStore } from '@tus/file-store'
import { Server, Upload } from '@tus/server'
import type { Context } from 'hono'
import { assert } from '../../base/assert.ts'
import { RANDOM_ID, randomId } from '../../base/random-id.ts'
import type { MessengerOptions } from '../../config/schema.ts'
import { CallError } from '../failures.ts'
import { DIRECTORIES, uploadPath } from '../files/paths.ts'
import { refusalAnswer } from './answers.ts'
import { type CallMethod, type HttpEnv, HttpFailure } from './calls.ts'
import { type LockAnswer, UploadLocks } from './upload-locks.ts'

/** A writer that was asked to stop gets so long for what it has read already. */
const DRAIN_MS = 100
/** Its metadata, in the header `Upload-Metadata`; of a name some 200 bytes are kept. */
const METADATA_LENGTH_MAX = 4_096

/** A request that is being served. */
type Exchange = {
  c: Context<HttpEnv>
  /** Names this request in the table of locks. */
  holder: string
  /** The upload that it has made; ''. */
  made: string
  upload: LockAnswer | undefined
  /** What is said to an error that is none of the protocol. */
  refusal: Response | undefined
}

/** As the library has them. */
type Refusal = { status_code: number; body: string }

export type TusOptions = Readonly<{
  call: CallMethod
  dataPath: string
  /** Below which uploads stand, as clients see it. */
  path: string
  options: Pick<MessengerOptions, 'file_size' | 'upload_expiry'>
  nowMs: () => number
}>

export class TusUploads {
  readonly #o: TusOptions
  readonly #locks: UploadLocks
  readonly #server: Server
  readonly #exchanges = new AsyncLocalStorage<Exchange>()

  constructor(options: TusOptions) {
    this.#o = options
    this.#locks = new UploadLocks(options.nowMs)
    this.#server = this.#createServer()
  }

  /** The messenger asks whoever writes to this upload to stop. */
  release(id: string): void {
    this.#locks.release(id)
  }

  async serve(c: Context<HttpEnv>): Promise<Response> {
    const { method } = c.req.raw
    if ((c.req.header('upload-metadata')?.length ?? 0) > METADATA_LENGTH_MAX) {
      throw HttpFailure.of('bad_request', 'Upload-Metadata is too long')
    }
    const exchange: Exchange = { c, holder: randomId(), made: '', upload: undefined, refusal: undefined }
    const response = await this.#exchanges.run(exchange, () => this.#server.handleWeb(c.req.raw))
    if (exchange.made !== '' && !response.ok) await this.#drop(exchange)
    const { upload, refusal } = exchange
    refusal?.headers.forEach((value, name) => {
      response.headers.set(name, value)
    })
    if (response.ok && upload !== undefined) this.#sayExpiry(response, upload)
    if (method !== 'HEAD') return response
    if (upload?.state === 'finished') return finishedHead(upload)
    if (response.ok && upload !== undefined && response.headers.get('upload-offset') === `${upload.size}`) {
      // All bytes came, and then something went wrong. The client takes this for the end: so it has to be.
      await this.#finish(exchange, idOf(c.req.raw.url))
    }
    return response
  }

  /** The store's own expiry would count from the creation; and of what is complete it would miss the file. */
  #sayExpiry({ headers }: Response, { size }: LockAnswer): void {
    const isOpen = headers.has('upload-offset') && headers.get('upload-offset') !== `${size}`
    const { nowMs, options } = this.#o
    if (isOpen) headers.set('upload-expires', new Date(nowMs() + options.upload_expiry).toUTCString())
  }

  #createServer(): Server {
    const { dataPath, path, options } = this.#o
    const datastore = new FileStore({
      directory: join(dataPath, DIRECTORIES.uploads),
      // The table of uploads is what they are known by; the file beside is made by the store.
      configstore: {
        get: async id => this.#recordOf(id),
        set: async () => {},
        delete: async id => {
          await this.#call('upload.drop', { id })
        },
      },
    })
    // Without a size there is nothing to reserve.
    datastore.extensions = datastore.extensions.filter(name => name !== 'creation-defer-length')
    return new Server({
      path,
      datastore,
      relativeLocation: true,
      // Pages of other origins have no business here.
      allowedOrigins: () => false,
      maxSize: options.file_size,
      lockDrainTimeout: DRAIN_MS,
      // An address may have a query, which the library takes for a part of the id.
      getFileIdFromRequest: ({ url }) => {
        const id = idOf(url)
        return RANDOM_ID.test(id) ? id : undefined
      },
      namingFunction: randomId,
      locker: { newLock: id => this.#lockOf(id) },
      onUploadCreate: async (_request, upload) => this.#create(upload),
      onUploadFinish: async (_request, upload) => {
        await this.#finish(this.#exchange(), upload.id)
        return {}
      },
      onResponseError: (_request, error) => this.#refusalOf(error),
    })
  }

  /** Errors of the protocol are told in its own words, ours as everywhere, and no others. */
  async #refusalOf(error: Error | Refusal): Promise<Refusal | undefined> {
    if ('status_code' in error && (error.status_code < 500 || error.status_code === 501)) return undefined
    // What else can fail is writing to the disk, as the messenger's own writing would.
    const refusal = refusalAnswer(error) ?? refusalAnswer(new CallError('storage'))!
    this.#exchange().refusal = refusal
    return { status_code: refusal.status, body: await refusal.text() }
  }

  #exchange(): Exchange {
    const exchange = this.#exchanges.getStore()
    assert(exchange !== undefined, 'a request is being served')
    return exchange
  }

  #call(method: string, input: unknown): Promise<unknown> {
    return this.#o.call(this.#exchange().c, method, input, 'shard')
  }

  async #create(upload: Upload): Promise<{ metadata: Record<string, string> }> {
    const exchange = this.#exchange()
    const { id, size = 0, metadata } = upload
    const visibility = metadata?.visibility ?? 'private'
    const name = metadata?.filename ?? metadata?.name ?? ''
    const wanted = { id, size, name, visibility, holder: exchange.holder, resumable: true }
    const made = (await this.#call('upload.create', wanted)) as { name: string }
    exchange.made = id
    exchange.upload = { state: 'locked', size, name: made.name }
    return { metadata: { filename: made.name } }
  }

  #lockOf(id: string) {
    const exchange = this.#exchange()
    const { holder } = exchange
    let stop = () => {}
    return {
      lock: async (signal: AbortSignal, cancel: () => void) => {
        stop = cancel
        if (exchange.made === id) return this.#locks.keep(id, cancel)
        const ask = (force: boolean) =>
          this.#call('upload.lock', { id, holder, force }) as Promise<LockAnswer>
        exchange.upload = await this.#locks.take(id, ask, cancel, signal)
        if (exchange.upload === undefined) throw new CallError('busy', 'the upload')
        if (exchange.upload.state === 'finished') throw new CallError('conflict', 'the upload is complete')
      },
      unlock: async () => {
        this.#locks.leave(id, stop)
        // Whoever comes next waits a little longer, or forces it.
        await this.#call('upload.unlock', { id, holder }).catch(() => {})
      },
    }
  }

  #recordOf(id: string): Upload | undefined {
    const { upload } = this.#exchange()
    if (upload === undefined) return undefined
    return new Upload({
      id,
      offset: 0,
      size: upload.size,
      metadata: { filename: upload.name },
    })
  }

  async #finish({ c, holder }: Exchange, id: string): Promise<void> {
    await this.#o.call(c, 'upload.finish', { id, holder }, 'shard')
  }

  /** The client never learns of an upload whose making failed, so it can't go on with it. */
  async #drop({ c, made }: Exchange): Promise<void> {
    await this.#o.call(c, 'upload.drop', { id: made }, 'shard').catch(() => {})
    await unlink(join(this.#o.dataPath, uploadPath(made))).catch(() => {})
  }
}

function idOf(url: string): string {
  return new URL(url).pathname.split('/').at(-1)!
}

/** Its client may have missed the answer to its last bytes. */
function finishedHead({ size, name }: LockAnswer): Response {
  const filename = Buffer.from(name).toString('base64')
  return new Response(null, {
    headers: {
      'tus-resumable': '1.0.0',
      'upload-offset': `${size}`,
      'upload-length': `${size}`,
      'upload-metadata': `filename ${filename}`,
      'cache-control': 'no-store',
    },
  })
}
