// Finding files by parts of their names.

import { expect, test } from 'vitest'
import { findFiles } from '../../../src/messenger/search/files.ts'
import { addFile, deleteFile, fileById, renameFile } from '../../../src/messenger/store/files.ts'
import { openMessenger } from '../../support/messenger.ts'

function withFiles(names: readonly string[]) {
  const { db, addUser } = openMessenger()
  const owner = addUser('ann').id
  const ids = names.map((name, n) => {
    const publicId = `${n}`.padEnd(22, 'x')
    const file = { publicId, owner, sha256: `${n}`.padStart(64, '0'), size: 1, name, type: 'text/plain' }
    return addFile(db, { ...file, image: undefined, visibility: 'private', nowMs: 0 }).id
  })
  return { db, owner, ids }
}

test('by parts, without case and accents, newest first; all words have to be there', () => {
  const { db, ids } = withFiles(['Übersicht 2024.pdf', 'bersicht.txt', 'notes.txt'])
  expect(findFiles(db, 'bersicht', { limit: 10 })).toEqual({ ids: [ids[1], ids[0]], after: 0 })
  expect(findFiles(db, 'UBER 2024', { limit: 10 }).ids).toEqual([ids[0]])
  expect(findFiles(db, 'absent', { limit: 10 })).toEqual({ ids: [], after: 0 })
  expect(findFiles(db, '', { limit: 10 })).toEqual({ ids: [], after: 0 })
  expect(() => findFiles(db, 'notes has:image', { limit: 10 })).toThrow('filters')
})

test('by what is too short for the index, too', () => {
  const { db, ids } = withFiles(['ab.pdf', 'cd.pdf', 'ab.txt'])
  expect(findFiles(db, 'ab', { limit: 10 }).ids).toEqual([ids[2], ids[0]])
  expect(findFiles(db, 'ab pdf', { limit: 10 }).ids).toEqual([ids[0]])
})

test('of one owner; under the new name when it was renamed; not when it was deleted', () => {
  const { db, owner, ids } = withFiles(['first.txt', 'second.txt'])
  expect(findFiles(db, 'first', { limit: 10, owner }).ids).toEqual([ids[0]])
  expect(findFiles(db, 'first', { limit: 10, owner: owner + 1 }).ids).toEqual([])
  renameFile(db, fileById(db, ids[0]!)!, 'third.txt')
  expect(findFiles(db, 'first', { limit: 10 }).ids).toEqual([])
  expect(findFiles(db, 'third', { limit: 10 }).ids).toEqual([ids[0]])
  deleteFile(db, ids[0]!)
  expect(findFiles(db, 'third', { limit: 10 }).ids).toEqual([])
})

test.each(['report', 're'])('page by page, each once, for %s', query => {
  const { db, ids } = withFiles(
    Array.from({ length: 25 }, (_, n) => (n % 2 === 0 ? `report ${n}` : `other ${n}`)),
  )
  const seen: number[] = []
  let before = Number.MAX_SAFE_INTEGER
  do {
    const { ids: found, after } = findFiles(db, query, { before, limit: 4 })
    seen.push(...found)
    before = after
  } while (before > 0)
  expect(seen).toEqual(ids.filter((_, n) => n % 2 === 0).reverse())
})
