// Where files lie below the data directory. Any thread; pure. Invariant: nothing that a user has typed is part of a path:
// each is built from a hash in hex or a random id, checked here.

import { join } from 'node:path'
import { assert } from '../../base/assert.ts'
import { RANDOM_ID } from '../../base/random-id.ts'

export const DIRECTORIES = { blobs: 'blobs', thumbs: 'thumbs', uploads: 'uploads', temporary: 'tmp' } as const

const SHA256 = /^[0-9a-f]{64}$/

/** What there is of a file to read. `view`: an image as it is shown, without metadata. */
export type Part = 'original' | 'view' | 'thumbnail'

export function contentPath(dataPath: string, sha256: string, part: Part): string {
  assert(SHA256.test(sha256), 'the name of a blob is a hash')
  const folder = sha256.slice(0, 2)
  switch (part) {
    case 'original':
      return join(dataPath, DIRECTORIES.blobs, folder, sha256)
    case 'view':
      return join(dataPath, DIRECTORIES.thumbs, folder, `${sha256}.view.webp`)
    case 'thumbnail':
      return join(dataPath, DIRECTORIES.thumbs, folder, `${sha256}.webp`)
  }
}

/** Relative to the data directory, as tasks of the pool get it. */
export function uploadPath(id: string): string {
  assert(RANDOM_ID.test(id), 'the name of an upload is its id')
  return join(DIRECTORIES.uploads, id)
}

export function temporaryPath(dataPath: string, id: string): string {
  assert(RANDOM_ID.test(id), 'the name of a temporary file is random')
  return join(dataPath, DIRECTORIES.temporary, id)
}
