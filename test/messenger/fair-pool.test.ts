// The share of the pool that each user has.

import { expect, test } from 'vitest'
import type { Caller } from '../../src/messenger/caller.ts'
import { FairPool } from '../../src/messenger/fair-pool.ts'
import type { Pool } from '../../src/messenger/ports.ts'

const CALLER: Caller = {
  user: 1,
  role: 'user',
  session: '',
  client: '',
  address: '',
  device: '',
  transport: 'http',
}

/** A pool in which nothing ends until the test says so. */
function stalled() {
  const running: { name: string; end: () => void }[] = []
  const run = ((_kind: string, input: any) =>
    new Promise(resolve => {
      running.push({ name: input.method, end: () => resolve(input.method) })
    })) as Pool['run']
  const fair = new FairPool({ run })
  const read = (user: number, method: string) =>
    fair
      .of(user)
      .run('read', { method, caller: CALLER, data: {} })
      .catch(error => error)
  return { running, read, fair }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

test('20: who asks for much waits for himself, and others are served in between', async () => {
  const { running, read } = stalled()
  const flood = Array.from({ length: 200 }, (_, index) => read(1, `flood ${index}`))
  const other = read(2, 'other')
  await turn()
  expect(running.map(({ name }) => name)).toEqual(['flood 0', 'flood 1', 'flood 2', 'flood 3', 'other'])
  // Beyond what may wait is refused at once, with the time after which it is worth trying again.
  expect(await flood.at(-1)).toMatchObject({ kind: 'rate', retryAfterMs: 1_000 })
  running.at(-1)!.end()
  expect(await other).toBe('other')
  for (let index = 0; index < running.length; index++) {
    running[index]!.end()
    await turn()
  }
  const answers = await Promise.all(flood)
  const served = answers.filter(answer => typeof answer === 'string')
  expect(served).toEqual(Array.from({ length: 124 }, (_, index) => `flood ${index}`))
  expect(running).toHaveLength(125)
})

test('20: what fails gives its place to the next one', async () => {
  let calls = 0
  const failing: Pool = { run: () => Promise.reject(new Error(`failure ${++calls}`)) }
  const fair = new FairPool(failing)
  const all = Array.from({ length: 50 }, () =>
    fair.of(1).run('read', { method: '', caller: CALLER, data: {} }),
  )
  const outcomes = await Promise.allSettled(all)
  expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true)
  expect(calls).toBe(50)
})

test('20: of a user one export is made at a time', async () => {
  const { running, fair } = stalled()
  const ask = () =>
    fair
      .of(1)
      .run('exportConversation', { conversation: 1, format: 'jsonl' })
      .catch(error => error)
  const [, , , refused] = [ask(), ask(), ask(), ask()]
  await turn()
  expect(running).toHaveLength(1)
  expect(await refused).toMatchObject({ kind: 'rate' })
})
