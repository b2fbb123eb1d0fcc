// Small files that are whole and durable, or not there, and names that are durable. Any thread; what is synchronous is for
// starts and ends.

import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

/** The file is whole under its name; the name is durable after syncFolder. Only its owner may read it. */
export function writeDurably(folder: string, name: string, content: string | Uint8Array): void {
  const path = join(folder, name)
  const file = openSync(`${path}.new`, 'w', 0o600)
  try {
    const bytes = Buffer.from(content as string)
    // One call may write less than it was given.
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(`${path}.new`, path)
}

/** Names are durable only when their folder is. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** A file, or a folder for the names in it. */
export async function syncPath(path: string): Promise<void> {
  const opened = await open(path)
  try {
    await opened.sync()
  } finally {
    await opened.close()
  }
}
