// Copies a data directory while the relay goes on working. Main thread of a process of its own. Invariants: the copy of the
// database is of one moment; each file that it names is in the copy; what stands at the destination is whole, for it gets
// its name last.

import { constants } from 'node:fs'
import { copyFile, link, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { backup } from 'node:sqlite'
import { syncPath } from '../base/durable-files.ts'
import { reasonOf, StartError } from '../base/errors.ts'
import { contentPath, DIRECTORIES, type Part } from './files/paths.ts'
import { allBlobs } from './store/content.ts'
import { Database } from './store/database.ts'
import { DATABASE_FILE } from './store/schema.ts'
import { renewArchive } from './store/settings.ts'

export type BackupReport = Readonly<{ databaseBytes: number; blobs: number; blobBytes: number }>

const MODE = 0o700
const FILE_MODE = 0o600
const PREVIEWS: readonly Part[] = ['view', 'thumbnail']
/** How often it begins anew when files went between the copy of the database and their own turn. */
const TRIES = 3

/** Throws StartError and says why; nothing is left at the destination then. */
export async function backUp(dataPath: string, to: string): Promise<BackupReport> {
  await mustBeData(dataPath)
  const partial = join(dirname(to), `.${basename(to)}.partial`)
  try {
    await mustBeMissing(to)
    await rm(partial, { recursive: true, force: true })
    await mkdir(partial, { recursive: true, mode: MODE })
    const report = await copyAll(dataPath, partial)
    await rename(partial, to)
    await syncPath(dirname(to))
    return report
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    if (error instanceof StartError) throw error
    throw new StartError(`${to}: ${reasonOf(error)}`)
  }
}

async function mustBeData(dataPath: string): Promise<void> {
  const path = join(dataPath, DATABASE_FILE)
  const stat = await lstat(path).catch(() => undefined)
  if (!stat?.isFile()) throw new StartError(`${path} is not there: is ${dataPath} the data directory?`)
}

async function mustBeMissing(path: string): Promise<void> {
  const stat = await lstat(path).catch(() => undefined)
  if (stat !== undefined) throw new StartError(`${path} is there already; a backup needs a new directory`)
}

async function copyAll(dataPath: string, to: string): Promise<BackupReport> {
  await copyKeys(dataPath, to)
  // Files are deleted while this runs. What is there before the database is copied stays in the copy, so that only a
  // file that came and went within that time can be missing.
  await copyFolder(join(dataPath, DIRECTORIES.blobs), join(to, DIRECTORIES.blobs))
  for (let tries = 1; ; tries++) {
    const databaseBytes = await copyDatabase(dataPath, to)
    const { missing, ...copied } = await completeBlobs(dataPath, to)
    if (missing === undefined) {
      await syncTree(to)
      return { databaseBytes, ...copied }
    }
    if (tries === TRIES) throw new StartError(`${missing} is named in the database, and is not there`)
  }
}

/** Without them no password can be checked. */
async function copyKeys(dataPath: string, to: string): Promise<void> {
  const names = await readdir(dataPath)
  for (const name of names.filter(name => name.endsWith('.key'))) {
    await copyFile(join(dataPath, name), join(to, name), constants.COPYFILE_EXCL)
  }
}

/** In one step: a copy in several begins anew with each message that is written in between. */
async function copyDatabase(dataPath: string, to: string): Promise<number> {
  const path = join(to, DATABASE_FILE)
  await rm(path, { force: true })
  const source = Database.openReader(join(dataPath, DATABASE_FILE))
  try {
    await backup(source.raw, path, { rate: -1 })
  } finally {
    source.close()
  }
  // A restored archive is another one. Without the log beside it a copy can be read where nothing can be written.
  const copy = Database.openWriter(path)
  try {
    renewArchive(copy)
    copy.exec('PRAGMA journal_mode = DELETE')
  } finally {
    copy.close()
  }
  const file = await open(path, constants.O_RDWR)
  try {
    await file.chmod(FILE_MODE)
    await file.sync()
    return (await file.stat()).size
  } finally {
    await file.close()
  }
}

/** Files that came since the folder was copied, and previews; and takes out what the database doesn't name. */
async function completeBlobs(dataPath: string, to: string) {
  const db = Database.openReader(join(to, DATABASE_FILE))
  const named = new Set<string>()
  let blobBytes = 0
  let missing: string | undefined
  try {
    for (const { sha256, size } of allBlobs(db)) {
      const path = contentPath(dataPath, sha256, 'original')
      if (!(await place(path, contentPath(to, sha256, 'original')))) missing ??= path
      for (const part of PREVIEWS)
        await place(contentPath(dataPath, sha256, part), contentPath(to, sha256, part))
      named.add(sha256)
      blobBytes += size
    }
  } finally {
    db.close()
  }
  // What reading leaves beside a database.
  for (const ending of ['-wal', '-shm']) await rm(join(to, `${DATABASE_FILE}${ending}`), { force: true })
  await dropOthers(join(to, DIRECTORIES.blobs), named)
  return { missing, blobs: named.size, blobBytes }
}

async function copyFolder(from: string, to: string): Promise<void> {
  const folders = await readdir(from).catch(() => [])
  for (const folder of folders) {
    for (const name of await readdir(join(from, folder))) {
      await place(join(from, folder, name), join(to, folder, name))
    }
  }
}

/** Content never changes, so a second name of the same file is a copy; on another disk it is one in truth. */
async function place(from: string, to: string): Promise<boolean> {
  await mkdir(dirname(to), { recursive: true, mode: MODE })
  try {
    await link(from, to)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return true
    if (code === 'ENOENT') return false
  }
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
    await syncPath(to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

async function dropOthers(folder: string, named: ReadonlySet<string>): Promise<void> {
  for (const part of await readdir(folder).catch(() => [])) {
    for (const name of await readdir(join(folder, part))) {
      if (!named.has(name)) await rm(join(folder, part, name))
    }
  }
}

/** A name is on the disk when its directory is. */
async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await syncTree(path)
    else if (entry.name.endsWith('.key')) await syncPath(path)
  }
  await syncPath(folder)
}
