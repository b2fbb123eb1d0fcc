// What becomes of files that nobody needs: unused blobs, uploads that were given up, files whose message never came. The
// messenger's thread, each second and at the start. Invariants: a blob goes in the same transaction as its row, and no
// upload can become a file with it in between, since both happen in this thread; what is on the disk without a row is
// what a crash left.

import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { randomId } from '../../base/random-id.ts'
import type { MessengerOptions } from '../../config/schema.ts'
import type { WriteContext } from '../method.ts'
import { forgottenFiles } from '../store/attachments.ts'
import type { Database } from '../store/database.ts'
import { deleteFile, dropBlob, hasBlob, unusedBlobs } from '../store/files.ts'
import {
  dropUpload,
  expiredUploads,
  forgetRequests,
  holdUpload,
  type UploadRow,
  uploadIds,
} from '../store/uploads.ts'
import { contentPath, DIRECTORIES, type Part, temporaryPath, uploadPath } from './paths.ts'

const BLOBS_PER_SWEEP = 50
const UPLOADS_PER_SWEEP = 50
const FILES_PER_SWEEP = 500
/** What takes more than a look is done so often. */
const SLOW_INTERVAL_MS = 10_000
/** A file that was sent up for a message has so long to be sent with it. */
const FORGOTTEN_AFTER_MS = 24 * 3_600_000
/** Clocks of file systems are coarse. */
const CLOCK_SLACK_MS = 2_000
/** An upload that is being stored for so long: its owner's login ended meanwhile, and it could not be given back. */
const STUCK_AFTER_MS = 48 * 3_600_000
const PARTS: readonly Part[] = ['original', 'view', 'thumbnail']
const BLOB_NAME = /^[0-9a-f]{64}$/
const PREVIEW_NAME = /^([0-9a-f]{64})(?:\.view)?\.webp$/

export type FileSweepOptions = Readonly<{
  db: Database
  options: MessengerOptions
  write: <T>(work: (context: WriteContext) => T) => Promise<T>
  /** The next sweep tries again. */
  onError: (error: unknown) => void
}>

export class FileSweep {
  readonly #o: FileSweepOptions
  #running: Promise<void> | undefined
  #startedMs: number | undefined
  #slowMs = 0
  /** Files up to this id were looked at. */
  #cursor = 0

  constructor(options: FileSweepOptions) {
    this.#o = options
  }

  /** Before the first call: makes the folders, and clears what the process before left half done. */
  begin(): void {
    const { path } = this.#o.options
    for (const folder of Object.values(DIRECTORIES)) {
      mkdirSync(join(path, folder), { recursive: true, mode: 0o700 })
    }
    const temporary = join(path, DIRECTORIES.temporary)
    for (const name of readdirSync(temporary)) rmSync(join(temporary, name), { recursive: true })
    forgetRequests(this.#o.db)
  }

  /** While the one before is still at work, nothing. */
  sweep(nowMs: number): void {
    this.#running ??= this.#sweep(nowMs)
      .catch(this.#o.onError)
      .finally(() => {
        this.#running = undefined
      })
  }

  /** Resolves when nothing is under way. No sweep may begin any more. */
  async close(): Promise<void> {
    await this.#running
  }

  async #sweep(nowMs: number): Promise<void> {
    if (this.#startedMs === undefined) {
      this.#startedMs = nowMs
      await this.#clearOrphans(nowMs)
    }
    await this.#sweepBlobs()
    if (nowMs - this.#slowMs < SLOW_INTERVAL_MS) return
    this.#slowMs = nowMs
    await this.#sweepUploads(nowMs)
    await this.#sweepForgotten(nowMs)
  }

  /** Once, while calls are served already: what lies on the disk and has no row. */
  async #clearOrphans(startedMs: number): Promise<void> {
    const { path } = this.#o.options
    const known = uploadIds(this.#o.db)
    const uploads = join(path, DIRECTORIES.uploads)
    for (const name of await readdir(uploads)) {
      if (!known.has(name) && (await isOlder(join(uploads, name), startedMs)))
        await unlink(join(uploads, name))
    }
    await this.#clearContent(DIRECTORIES.blobs, startedMs, name => (BLOB_NAME.test(name) ? name : undefined))
    await this.#clearContent(DIRECTORIES.thumbs, startedMs, name => PREVIEW_NAME.exec(name)?.[1])
  }

  /** `hashOf`: the hash that a name begins with; undefined: the file is none of ours. */
  async #clearContent(
    kind: 'blobs' | 'thumbs',
    startedMs: number,
    hashOf: (name: string) => string | undefined,
  ): Promise<void> {
    const root = join(this.#o.options.path, kind)
    for (const folder of await readdir(root)) {
      for (const name of await readdir(join(root, folder))) {
        const sha256 = hashOf(name)
        if (sha256 !== undefined) await this.#clearBlob(sha256, join(root, folder, name), startedMs)
      }
    }
  }

  /**
   * Which ones is read before: that nothing needs them is durable. What a call of the same transaction deletes may come
   * back with it when it fails, and then its content must still be there.
   */
  async #sweepBlobs(): Promise<void> {
    const unused = unusedBlobs(this.#o.db, BLOBS_PER_SWEEP)
    if (unused.length === 0) return
    const { path } = this.#o.options
    const moved = await this.#o.write(({ db }) =>
      unused.flatMap(sha256 => (dropBlob(db, sha256) ? retire(path, sha256) : [])),
    )
    for (const one of moved) await unlink(one).catch(() => {})
  }

  /** A file that came before this start and has no row: a crash came in between. */
  async #clearBlob(sha256: string, path: string, startedMs: number): Promise<void> {
    const { db, write } = this.#o
    if (hasBlob(db, sha256)) return
    if (!(await isOlder(path, startedMs))) return
    const moved = await write(context =>
      hasBlob(context.db, sha256) ? [] : retire(context.options.path, sha256),
    )
    for (const one of moved) await unlink(one).catch(() => {})
  }

  async #sweepUploads(nowMs: number): Promise<void> {
    const { db, options, write } = this.#o
    const beforeMs = nowMs - options.upload_expiry
    for (const upload of expiredUploads(db, beforeMs, nowMs - STUCK_AFTER_MS, UPLOADS_PER_SWEEP)) {
      const path = join(options.path, uploadPath(upload.id))
      // The table hears of an upload when requests begin and end; one may be under way for hours.
      const touchedMs = await changedMs(path)
      if (touchedMs >= beforeMs) await write(context => touch(context, upload, touchedMs))
      else {
        await write(context => dropUpload(context.db, upload.id))
        await unlink(path).catch(() => {})
      }
    }
  }

  async #sweepForgotten(nowMs: number): Promise<void> {
    const { db, write } = this.#o
    const files = forgottenFiles(db, this.#cursor, nowMs - FORGOTTEN_AFTER_MS, FILES_PER_SWEEP)
    this.#cursor = files.length < FILES_PER_SWEEP ? 0 : files.at(-1)!.id
    const forgotten = files.filter(({ isForgotten }) => isForgotten)
    if (forgotten.length === 0) return
    await write(context => {
      // It may have been sent meanwhile.
      for (const { id } of forgotten) if (isForgottenStill(context.db, id, nowMs)) deleteFile(context.db, id)
    })
  }
}

function isForgottenStill(db: Database, id: number, nowMs: number): boolean {
  const [row] = forgottenFiles(db, id - 1, nowMs - FORGOTTEN_AFTER_MS, 1)
  return row?.id === id && Boolean(row.isForgotten)
}

function touch({ db }: WriteContext, { id, holder }: UploadRow, usedMs: number): void {
  holdUpload(db, id, holder, Math.floor(usedMs))
}

/** Takes content from where it could be found, at once; deleting large files takes its time. Answers what to delete. */
function retire(dataPath: string, sha256: string): string[] {
  return PARTS.flatMap(part => {
    const to = temporaryPath(dataPath, randomId())
    try {
      renameSync(contentPath(dataPath, sha256, part), to)
      return [to]
    } catch {
      // Most content has no preview.
      return []
    }
  })
}

async function isOlder(path: string, thanMs: number): Promise<boolean> {
  return (await changedMs(path)) < thanMs - CLOCK_SLACK_MS
}

/** 0: it is not there. */
async function changedMs(path: string): Promise<number> {
  try {
    const { mtimeMs, ctimeMs } = await stat(path)
    return Math.max(mtimeMs, ctimeMs)
  } catch {
    return 0
  }
}
