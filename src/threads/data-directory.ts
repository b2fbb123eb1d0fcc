// The directory with all that the messenger keeps: made, locked, and its key. Main thread, at start.
// Invariant: one relay at a time; nobody but its owner can read what is in it.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { syncFolder, writeDurably } from '../base/durable-files.ts'
import { reasonOf, StartError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { lockFolder } from './folder-lock.ts'

const KEY_FILE = 'token.key'
const KEY_BYTES = 32
/** Before any thread needs one: what the library of uploads finds missing it makes where nobody can catch its errors. */
const FOLDERS = ['blobs', 'thumbs', 'uploads', 'tmp']
/** What was under way when the last process ended. */
const TEMPORARY = 'tmp'

export type DataDirectory = Readonly<{
  /** Signs connection tokens. It outlives restarts, so that clients needn't log in anew. */
  tokenKey: Uint8Array
  /** Another relay may have it. */
  release: () => void
}>

/** Throws a StartError if it can't be used. */
export async function openDataDirectory(path: string, log: Log): Promise<DataDirectory> {
  // The database makes its files by itself, as readable as this allows.
  process.umask(0o077)
  try {
    // Not its parents: where they are missing the path is most likely a mistake.
    if (!existsSync(path)) mkdirSync(path, { mode: 0o700 })
    if ((statSync(path).mode & 0o077) !== 0)
      log.warn({ path }, 'others than its owner can read the directory of the messenger: chmod 700 it')
    const lock = await lockFolder(path)
    try {
      rmSync(join(path, TEMPORARY), { recursive: true, force: true })
      for (const folder of FOLDERS) mkdirSync(join(path, folder), { recursive: true, mode: 0o700 })
      const tokenKey = keyOf(path)
      lock.check()
      return { tokenKey, release: lock.release }
    } catch (error) {
      lock.release()
      throw error
    }
  } catch (error) {
    throw new StartError(`messenger.path ${path}: ${reasonOf(error)}`)
  }
}

function keyOf(path: string): Uint8Array {
  const file = join(path, KEY_FILE)
  if (!existsSync(file)) {
    writeDurably(path, KEY_FILE, randomBytes(KEY_BYTES))
    syncFolder(path)
  }
  const key = readFileSync(file)
  if (key.length !== KEY_BYTES)
    throw new Error(
      `${KEY_FILE} has ${key.length} bytes and not ${KEY_BYTES}: remove it, and all clients get new connection tokens`,
    )
  return key
}
