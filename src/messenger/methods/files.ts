// Files as their owners and readers see them, and what shards ask while somebody takes one down. Each method is a check of
// what came in, a permission, and a call of the store. Any thread may import it.

import { z } from 'zod'
import { CallError } from '../failures.ts'
import { nameAnew, removeFile } from '../files/in-messages.ts'
import { cleanName } from '../files/names.ts'
import { isShownAsItIs, servedType } from '../files/types.ts'
import { type Method, reads, writes } from '../method.ts'
import { file, fileId, id, timeMs } from '../model.ts'
import { findFiles } from '../search/files.ts'
import { QUERY_LENGTH_MAX } from '../search/query.ts'
import { downloadsOf, mostDownloaded, ownFiles, readableAmong, sharedFiles } from '../store/file-lists.ts'
import {
  countDownload,
  type FileRow,
  fileRecord,
  ownFile,
  readableFile,
  setVisibility,
  usersOf,
} from '../store/files.ts'
import { roomOf } from '../store/uploads.ts'
import { usersByIds } from '../store/users.ts'
import { uploadMethods } from './uploads.ts'

const PAGE_MAX = 200
const CHOSEN_USERS_MAX = 1_000
const NAME_LENGTH_MAX = 1_000
/** Files whose names match are looked at so many at a time, and so often, for those that the caller may read. */
const SEARCH_STEP = 500
const SEARCH_STEPS_MAX = 10
const PREVIEW_TYPE = 'image/webp'

const bytes = z.int().min(0)
const cursor = z.int().min(0)
const nothing = z.object({})
/** What its owner sees besides. */
const ownedFile = file.extend({
  /** Downloads that came to their end, and what was downloaded in bytes. */
  downloads: z.int().min(0),
  downloaded_bytes: bytes,
  /** Chosen users. */
  users: z.array(id),
})

const open = reads({
  name: 'file.open',
  access: 'shard',
  about: 'Whether the caller may have the file, and how it is served.',
  input: z.strictObject({ id: fileId, part: z.enum(['original', 'view', 'thumbnail']) }),
  output: z.object({
    sha256: z.string(),
    name: z.string(),
    type: z.string(),
    disposition: z.enum(['inline', 'attachment']),
    isPublic: z.boolean(),
  }),
  fails: ['not_found'],
  run: ({ db, options }, caller, input) => {
    const row = readableFile(db, input.id, caller.user, options)
    const { sha256, name } = row
    const isPublic = row.visibility === 'public'
    if (input.part === 'original') {
      // Own bytes of an image carry where it was taken: they are for saving, what is shown is the view.
      const disposition = isShownAsItIs(row.type) ? ('inline' as const) : ('attachment' as const)
      return { sha256, name, type: servedType(row.type), disposition, isPublic }
    }
    if (row.width === null) throw new CallError('not_found', 'preview')
    const disposition = 'inline' as const
    return { sha256, name: cleanName(`${name}.webp`), type: PREVIEW_TYPE, disposition, isPublic }
  },
})

const downloaded = writes({
  name: 'file.downloaded',
  access: 'shard',
  about: 'A download came to its end.',
  input: z.strictObject({ id: fileId, bytes }),
  output: nothing,
  fails: ['not_found'],
  run: ({ db, options, nowMs }, caller, input) => {
    const row = readableFile(db, input.id, caller.user, options)
    countDownload(db, row.id, caller.user, input.bytes, nowMs)
    return {}
  },
})

const get = reads({
  name: 'file.get',
  access: 'user',
  about:
    'A file that the caller may read. Its owner also sees who else may, and how often it was downloaded.',
  input: z.object({ id: fileId }),
  output: z.object({ file: z.union([ownedFile, file]) }),
  fails: ['not_found'],
  run: ({ db, options }, { user }, input) => {
    const row = readableFile(db, input.id, user, options)
    const record = fileRecord(row)
    if (row.owner_id !== user) return { file: record }
    const { downloads, downloaded_bytes } = row
    return { file: { ...record, downloads, downloaded_bytes, users: usersOf(db, row.id) } }
  },
})

const page = {
  cursor: cursor.default(0),
  limit: z.int().min(1).max(PAGE_MAX).default(50),
}
const files = z.object({ files: z.array(file), next: cursor })

const list = reads({
  name: 'file.list',
  access: 'user',
  about:
    'Files, the newest first: `mine`, those that a user (`owner`) shares with the caller, or `shared`: of all others. `next` is the `cursor` of the next page; 0: that was the last one. What was only sent in conversations is listed to its owner alone.',
  input: z.object({
    of: z.enum(['mine', 'shared']).default('mine'),
    owner: id.optional(),
    ...page,
  }),
  output: files,
  fails: [],
  run: ({ db }, { user }, { of, owner, ...at }) => {
    const isMine = owner === undefined ? of === 'mine' : owner === user
    const found = isMine ? ownFiles(db, user, at) : sharedFiles(db, user, owner ?? 0, at)
    return pageOf(found)
  },
})

function pageOf({ rows, next }: ReturnType<typeof ownFiles>) {
  return { files: rows.map(fileRecord), next }
}

const search = reads({
  name: 'file.search',
  access: 'user',
  about:
    'Files that the caller may read with all words of the query in their names, the newest first; words may be parts of words, case and accents make no difference. `owner`: only those of a user. A page may be short and have a `next` one.',
  input: z.object({ query: z.string().min(1).max(QUERY_LENGTH_MAX), owner: id.optional(), ...page }),
  output: files,
  fails: [],
  run: ({ db, options }, { user }, { query, owner, cursor, limit }) => {
    const found: FileRow[] = []
    let before = cursor
    for (let step = 0; step < SEARCH_STEPS_MAX; step++) {
      const { ids, after } = findFiles(db, query, {
        limit: SEARCH_STEP,
        ...(before > 0 && { before }),
        ...(owner !== undefined && { owner }),
      })
      found.push(...readableAmong(db, user, options, ids))
      before = after
      if (found.length >= limit || after === 0) break
    }
    const isCut = found.length > limit
    found.length = Math.min(found.length, limit)
    return { files: found.map(fileRecord), next: isCut ? found.at(-1)!.id : before }
  },
})

const rename = writes({
  name: 'file.rename',
  access: 'user',
  rated: true,
  about: 'Gives a file of the caller another name. What could harm those who save it is taken out of it.',
  input: z.object({ id: fileId, name: z.string().min(1).max(NAME_LENGTH_MAX) }),
  output: z.object({ file }),
  fails: ['not_found', 'forbidden'],
  run: (context, { user }, input) => {
    const row = ownFile(context.db, input.id, user, context.options)
    const name = cleanName(input.name)
    if (name !== row.name) nameAnew(context, row, name)
    return { file: fileRecord({ ...row, name }) }
  },
})

const setFileVisibility = writes({
  name: 'file.set_visibility',
  access: 'user',
  rated: true,
  about:
    'Who may find and read a file of the caller: all users (`public`), nobody else (`private`), or chosen `users`. Members of conversations read what was sent there in any case.',
  input: z
    .object({
      id: fileId,
      visibility: z.enum(['public', 'private', 'users']),
      users: z.array(id).max(CHOSEN_USERS_MAX).default([]),
    })
    .refine(to => to.visibility === 'users' || to.users.length === 0, 'users are chosen for "users" only'),
  output: z.object({ file }),
  fails: ['not_found', 'forbidden'],
  run: ({ db, options, effects }, { user }, { id, visibility, users }) => {
    const row = ownFile(db, id, user, options)
    const known = new Set(usersByIds(db, users).map(one => one.id))
    const missing = users.find(one => !known.has(one))
    if (missing !== undefined) throw new CallError('not_found', `user ${missing}`)
    const before = usersOf(db, row.id)
    setVisibility(db, row.id, visibility, users)
    for (const one of new Set([user, ...before, ...users])) {
      effects.tell(one, { type: 'file', file: id, change: 'changed' })
    }
    return { file: fileRecord({ ...row, visibility }) }
  },
})

const remove = writes({
  name: 'file.delete',
  access: 'user',
  rated: true,
  about:
    'Deletes a file of the caller everywhere: messages that had it keep their text. Its content goes when no other file has the same.',
  input: z.object({ id: fileId }),
  output: nothing,
  fails: ['not_found', 'forbidden'],
  run: (context, { user }, input) => {
    removeFile(context, ownFile(context.db, input.id, user, context.options))
    return {}
  },
})

const downloads = reads({
  name: 'file.downloads',
  access: 'user',
  about: 'Who downloaded a file of the caller, and when, the newest first.',
  input: z.object({ id: fileId, ...page }),
  output: z.object({
    downloads: z.array(z.object({ user: id, bytes, at_ms: timeMs })),
    next: cursor,
  }),
  fails: ['not_found', 'forbidden'],
  run: ({ db, options }, { user }, { id, ...at }) => {
    const row = ownFile(db, id, user, options)
    const { rows, next } = downloadsOf(db, row.id, at)
    return { downloads: rows.map(({ user_id, bytes, at_ms }) => ({ user: user_id, bytes, at_ms })), next }
  },
})

const mostDownloadedFiles = reads({
  name: 'file.most_downloaded',
  access: 'user',
  about: 'The files that were downloaded most often, of those that the caller may read.',
  input: z.object({ limit: z.int().min(1).max(100).default(20) }),
  output: z.object({
    files: z.array(file.extend({ downloads: z.int().min(1), downloaded_bytes: bytes })),
  }),
  fails: [],
  run: ({ db, options }, { user }, { limit }) => ({
    files: mostDownloaded(db, user, options, limit).map(row => {
      const { downloads, downloaded_bytes } = row
      return { ...fileRecord(row), downloads, downloaded_bytes }
    }),
  }),
})

const usage = reads({
  name: 'file.usage',
  access: 'user',
  about: 'What the files of the caller take, with unfinished uploads, and what they may take.',
  input: nothing,
  output: z.object({
    used_bytes: bytes,
    quota_bytes: bytes,
    file_bytes_max: bytes,
    uploads: z.int().min(0),
    uploads_max: z.int().min(1),
  }),
  fails: [],
  run: ({ db, options }, { user }) => {
    const { uploads, used, quota } = roomOf(db, user, options)
    return {
      used_bytes: used,
      quota_bytes: quota,
      file_bytes_max: options.file_size,
      uploads,
      uploads_max: options.uploads_per_user,
    }
  },
})

export const filesMethods: readonly Method[] = [
  get,
  list,
  search,
  rename,
  setFileVisibility,
  remove,
  downloads,
  mostDownloadedFiles,
  usage,
  open,
  downloaded,
  ...uploadMethods,
]
