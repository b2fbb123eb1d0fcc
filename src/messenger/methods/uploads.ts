// What shards ask while somebody sends a file up: room for it, the lock of one writer over all shards, and at the end the
// file. The messenger's thread, never reachable from outside. Invariant: an upload is seen by its owner only.

import { existsSync, statfsSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { Caller } from '../caller.ts'
import { RELEASE_UPLOAD } from '../effects.ts'
import { CallError } from '../failures.ts'
import { cleanName } from '../files/names.ts'
import { contentPath, uploadPath } from '../files/paths.ts'
import { inSteps, type Method, type StepsContext, type WriteContext, writes } from '../method.ts'
import { file, fileId } from '../model.ts'
import type { Database } from '../store/database.ts'
import { addFile, type FileRow, fileOfOwner, fileRecord } from '../store/files.ts'
import {
  dropUpload,
  FINISHING,
  holdUpload,
  releaseUpload,
  reserveUpload,
  type UploadRow,
  uploadOf,
} from '../store/uploads.ts'
import type { Tasks } from '../tasks.ts'

/** Room that files leave to the database. */
const FREE_BYTES_MIN = 64 * 1_024 * 1_024
/** The same content may be deleted elsewhere while it is stored; then it is stored again. */
const STORE_TRIES_MAX = 3
/** So many may wait for the pool itself; beyond it is asked again. */
const POOL_RETRY_MS = 250
const POOL_WAIT_MS_MAX = 20_000

/** One request that writes. */
const holder = z.string().min(8).max(64)

const create = writes({
  name: 'upload.create',
  access: 'shard',
  about: 'Reserves room for a file before its first byte; the one who asks holds it.',
  input: z.strictObject({
    id: fileId,
    size: z.int().min(0),
    name: z.string(),
    visibility: z.enum(['public', 'private', 'conversation']),
    holder,
    resumable: z.boolean(),
  }),
  output: z.object({ name: z.string() }),
  fails: ['too_large', 'rate', 'quota', 'storage'],
  run: ({ db, nowMs, options }, caller, input) => {
    mustFitOnDisk(options.path, input.size)
    const name = cleanName(input.name)
    const resumable = Number(input.resumable)
    reserveUpload(db, { ...input, name, resumable, owner_id: caller.user, used_ms: nowMs }, options)
    return { name }
  },
})

const lock = writes({
  name: 'upload.lock',
  access: 'shard',
  about: 'Makes a request the one that writes to an upload. The one that does so now is asked to stop.',
  input: z.strictObject({ id: fileId, holder, force: z.boolean() }),
  output: z.object({
    state: z.enum(['held', 'locked', 'finished']),
    size: z.int(),
    name: z.string(),
  }),
  fails: ['not_found'],
  run: (context, caller, { id, holder, force }) => {
    const { db, nowMs, effects } = context
    const upload = uploadOf(db, id, caller.user)
    if (upload === undefined) {
      const { size, name } = finishedFile(db, id, caller.user)
      return { state: 'finished' as const, size, name }
    }
    const { size, name } = upload
    if (upload.holder === FINISHING) return { state: 'held' as const, size, name }
    if (upload.holder !== '' && upload.holder !== holder && !force) {
      effects.notice(RELEASE_UPLOAD, id)
      return { state: 'held' as const, size, name }
    }
    holdUpload(db, id, holder, nowMs)
    return { state: 'locked' as const, size, name }
  },
})

const unlock = writes({
  name: 'upload.unlock',
  access: 'shard',
  about: 'The request no longer writes.',
  input: z.strictObject({ id: fileId, holder }),
  output: z.object({}),
  fails: [],
  run: ({ db, nowMs }, _caller, { id, holder }) => {
    releaseUpload(db, id, holder, nowMs)
    return {}
  },
})

const drop = writes({
  name: 'upload.drop',
  access: 'shard',
  about: 'An upload will not be finished.',
  input: z.strictObject({ id: fileId }),
  output: z.object({}),
  fails: ['not_found'],
  run: ({ db }, caller, { id }) => {
    ownUpload(db, id, caller)
    dropUpload(db, id)
    return {}
  },
})

const finish = inSteps({
  name: 'upload.finish',
  access: 'shard',
  about: 'All bytes are there: makes a file of the upload. Asking again gives the same file.',
  input: z.strictObject({ id: fileId, holder }),
  output: z.object({ file }),
  fails: ['not_found', 'busy', 'storage'],
  run: async (context, caller, { id, holder }) => {
    const begun = await context.write(({ db, nowMs }) => {
      const upload = uploadOf(db, id, caller.user)
      if (upload === undefined) return { file: fileRecord(finishedFile(db, id, caller.user)) }
      if (upload.holder !== '' && upload.holder !== holder) throw new CallError('busy', 'the upload')
      holdUpload(db, id, FINISHING, nowMs)
      return { upload }
    })
    if (begun.file !== undefined) return { file: begun.file }
    try {
      return { file: await store(context, begun.upload) }
    } catch (error) {
      await context.write(({ db, nowMs }) => releaseUpload(db, id, FINISHING, nowMs))
      throw error
    }
  },
})

export const uploadMethods: readonly Method[] = [create, lock, unlock, drop, finish]

async function store({ write, pool, options }: StepsContext, upload: UploadRow) {
  const path = uploadPath(upload.id)
  for (let tries = 0; tries < STORE_TRIES_MAX; tries++) {
    const stored = await inTurn(() => pool.run('storeUpload', { path, size: upload.size }))
    const row = await write(context => keep(context, upload, stored))
    if (row === undefined) continue
    // What is left would go at the next start anyway.
    await unlink(join(options.path, path)).catch(() => {})
    return fileRecord(row)
  }
  throw new CallError('busy', 'the same content is being deleted')
}

/**
 * All bytes are here already: to wait is better than to have them sent again. Rejects with `busy` when the pool has had no
 * place for too long.
 */
async function inTurn<T>(run: () => Promise<T>): Promise<T> {
  for (let waitedMs = 0; ; waitedMs += POOL_RETRY_MS) {
    try {
      return await run()
    } catch (error) {
      const isBusy = error instanceof CallError && error.kind === 'busy'
      if (!isBusy || waitedMs >= POOL_WAIT_MS_MAX) throw error
    }
    await sleep(POOL_RETRY_MS)
  }
}

/** Undefined: the content is not on the disk any more, since the sweep took it for unused. It runs in this thread, too. */
function keep(
  { db, nowMs, options, effects }: WriteContext,
  upload: UploadRow,
  { sha256, type, image }: Tasks['storeUpload']['output'],
): FileRow | undefined {
  const parts = image === undefined ? (['original'] as const) : (['original', 'view', 'thumbnail'] as const)
  if (!parts.every(part => existsSync(contentPath(options.path, sha256, part)))) return undefined
  const { id, owner_id, size, name, visibility } = upload
  if (uploadOf(db, id, owner_id) === undefined) throw new CallError('not_found', 'upload')
  dropUpload(db, id)
  const row = addFile(db, {
    publicId: id,
    owner: owner_id,
    sha256,
    size,
    name,
    type,
    image,
    visibility,
    nowMs,
  })
  effects.tell(owner_id, { type: 'file', file: id, change: 'added' })
  return row
}

function ownUpload(db: Database, id: string, caller: Caller): UploadRow {
  const upload = uploadOf(db, id, caller.user)
  if (upload === undefined) throw new CallError('not_found', 'upload')
  return upload
}

/** The file that an upload has become: its owner may not have heard of it. */
function finishedFile(db: Database, id: string, owner: number): FileRow {
  const row = fileOfOwner(db, id, owner)
  if (row === undefined) throw new CallError('not_found', 'upload')
  return row
}

function mustFitOnDisk(path: string, size: number): void {
  const { bavail, bsize } = statfsSync(path)
  if (size + FREE_BYTES_MIN > bavail * bsize) throw new CallError('storage', 'the disk is full')
}
