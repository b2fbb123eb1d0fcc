// The lock on a folder that one relay at a time may use. Main thread.
// Invariant: it ends with its process, however that ends.

import { lstatSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Server } from 'node:net'
import { join } from 'node:path'

const LOCK = 'fanwire.lock'

export type FolderLock = Readonly<{
  /** Throws if another relay has it meanwhile. */
  check: () => void
  release: () => void
}>

/**
 * A socket in the folder, which the kernel closes with our process however it ends: nobody answers at one that was
 * left behind. A number of a process would say nothing to a relay in another container. The path of a socket has 107
 * bytes at most. Rejects when another relay has it, or when it can't be made.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = join(folder, LOCK)
  const server = await listenAlone(path)
  const { ino } = lstatSync(path)
  return {
    // Two relays that start at the same moment may both find a lock that was left behind, and one removes the other's.
    check() {
      if (lstatSync(path, { throwIfNoEntry: false })?.ino !== ino)
        throw new Error('another relay has taken the folder')
    },
    release: () => void server.close(),
  }
}

async function listenAlone(path: string): Promise<Server> {
  try {
    return await listenAt(path)
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw error
  }
  if (await isAnswered(path)) throw new Error('another relay uses it')
  rmSync(path, { force: true })
  return listenAt(path)
}

function listenAt(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy())
    server.once('error', reject)
    server.listen(path, () => resolve(server.unref()))
  })
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => {
      socket.destroy()
      resolve(true)
    })
    // Anything else (a file of somebody else, say) is not ours to remove.
    socket.once('error', error => {
      if (codeOf(error) === 'ECONNREFUSED' || codeOf(error) === 'ENOENT') resolve(false)
      else reject(error)
    })
  })
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
