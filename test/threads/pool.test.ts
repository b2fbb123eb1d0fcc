// The pool with real threads and a real database.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLog } from '../../src/base/log.ts'
import { configSchema } from '../../src/config/schema.ts'
import type { Caller } from '../../src/messenger/caller.ts'
import { CallError } from '../../src/messenger/failures.ts'
import { Database } from '../../src/messenger/store/database.ts'
import { migrate } from '../../src/messenger/store/migrate.ts'
import { DATABASE_FILE } from '../../src/messenger/store/schema.ts'
import { slotCount, slots } from '../../src/metrics/slots.ts'
import { createPool, type RunningPool } from '../../src/threads/pool.ts'

const path = mkdtempSync(join(tmpdir(), 'fanwire-pool-'))
const row = new Float64Array(slotCount)
const caller: Caller = {
  user: 1,
  role: 'user',
  session: 's',
  client: '',
  address: '127.0.0.1',
  device: '',
  transport: 'tcp',
}
let pool: RunningPool

beforeAll(() => {
  const db = Database.openWriter(join(path, DATABASE_FILE))
  migrate(db)
  db.close()
  pool = createPool(
    { ...configSchema.parse({}).messenger, path, pool_threads: 1 },
    row,
    createLog('silent', 'messenger'),
  )
})

afterAll(async () => {
  await pool.close()
  rmSync(path, { recursive: true })
})

const read = (method: string, data: unknown) => pool.run('read', { method, caller, data })

test('a method reads in another thread', async () => {
  expect(JSON.parse(await read('user.get', { ids: [1] }))).toEqual({ users: [] })
})

test('what the caller is to be told comes back as it was thrown', async () => {
  const error = await read('message.list', { conversation: 7, limit: 1 }).catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(CallError)
  expect(error).toMatchObject({ kind: 'not_found', error: { code: 1000, temporary: false } })
})

test('an error of ours is none of the caller, and the thread goes on', async () => {
  const error = await read('no.such', {}).catch((caught: unknown) => caught)
  expect(error).not.toBeInstanceOf(CallError)
  expect(JSON.parse(await read('user.get', { ids: [1] }))).toEqual({ users: [] })
})

test('so many may wait, and what comes beyond is refused at once; the others are all done', async () => {
  const waiting = row[slots.messengerPoolWaiting]!
  expect(waiting).toBe(0)
  // One runs, a thousand wait.
  const all = Array.from({ length: 1_001 }, () => read('user.get', { ids: [1] }))
  expect(row[slots.messengerPoolWaiting]).toBe(1_000)
  await expect(read('user.get', { ids: [1] })).rejects.toMatchObject({ kind: 'busy' })
  await Promise.all(all)
  expect(row[slots.messengerPoolWaiting]).toBe(0)
})

test('passwords wait apart from what reads', async () => {
  const passwords = Array.from({ length: 3 }, () =>
    pool.run('hashPassword', { password: 'one of the tests' }),
  )
  expect(row[slots.messengerPoolWaiting]).toBe(2)
  await read('user.get', { ids: [1] })
  const hashes = await Promise.all(passwords)
  expect(new Set(hashes).size).toBe(3)
})
