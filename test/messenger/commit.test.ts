// The group commit on a real database: one transaction for all that came together, and what failures leave behind.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { configSchema } from '../../src/config/schema.ts'
import { GroupCommit, type Outcome } from '../../src/messenger/commit.ts'
import type { Effect } from '../../src/messenger/effects.ts'
import { CallError } from '../../src/messenger/failures.ts'
import type { WriteContext } from '../../src/messenger/method.ts'
import { Database } from '../../src/messenger/store/database.ts'
import { slotCount, slots } from '../../src/metrics/slots.ts'

function open() {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-commit-'))
  const path = join(folder, 'test.db')
  const db = Database.openWriter(path)
  db.exec(
    'CREATE TABLE settings (key TEXT); CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)',
  )
  const reader = Database.openReader(path)
  onTestFinished(() => {
    reader.close()
    db.close()
    rmSync(folder, { recursive: true })
  })
  const row = new Float64Array(slotCount)
  const happened: unknown[] = []
  const faults: unknown[] = []
  const log: string[] = []
  const add = (_: object, text: string) => void log.push(text)
  const commit = new GroupCommit({
    db,
    options: configSchema.parse({}).messenger,
    nowMs: () => 1,
    row,
    log: { info: add, warn: add, error: add },
    carryOut: (effects: readonly Effect[]) => happened.push(...effects),
    onFault: error => faults.push(error),
  })
  const texts = () =>
    reader.all<{ text: string }>('SELECT text FROM notes ORDER BY id').map(({ text }) => text)
  const write = <T>(work: (context: WriteContext) => T) =>
    new Promise<Outcome<T>>(resolve => commit.write(work, resolve))
  return { db, commit, row, happened, faults, log, texts, write }
}

const note =
  (text: string) =>
  ({ db, effects }: WriteContext): string => {
    db.run('INSERT INTO notes (text) VALUES (?)', text)
    effects.notice('note', text)
    return text
  }

test('what comes in one turn is one transaction, answered in order when others can read it', async () => {
  const { commit, row, texts, happened } = open()
  const answered: string[] = []
  for (const text of ['a', 'b', 'c']) {
    commit.write(note(text), outcome => {
      expect(outcome).toEqual({ ok: true, value: text })
      expect(texts()).toEqual(['a', 'b', 'c'])
      // Nothing is told before it is answered.
      expect(happened).toEqual([])
      answered.push(text)
    })
  }
  expect(texts()).toEqual([])
  await commit.whenIdle()
  expect(answered).toEqual(['a', 'b', 'c'])
  expect(row[slots.messengerCommits]).toBe(1)
  expect(happened).toEqual(['a', 'b', 'c'].map(text => ({ kind: 'notice', topic: 'note', text })))
})

test('a refused call undoes all of its own and nothing of others', async () => {
  const { write, texts, happened, faults } = open()
  const refused = (context: WriteContext) => {
    note('half')(context)
    throw new CallError('conflict', 'no')
  }
  const all = await Promise.all([write(note('a')), write(refused), write(note('b'))])
  expect(all.map(({ ok }) => ok)).toEqual([true, false, true])
  expect(all[1]).toMatchObject({ error: { kind: 'conflict' } })
  expect(texts()).toEqual(['a', 'b'])
  expect(happened).toHaveLength(2)
  expect(faults).toEqual([])
})

test('an error of the program is internal to its caller, and undoes no more', async () => {
  const { write, texts, faults } = open()
  const all = await Promise.all([write(note('a')), write(note('a')), write(note('b'))])
  expect(all[1]).toMatchObject({ ok: false, error: { kind: 'internal' } })
  expect(texts()).toEqual(['a', 'b'])
  expect(faults).toHaveLength(1)
})

test('a full disk refuses all of the transaction with its reason, tells nobody, and recovers by itself', async () => {
  const { db, write, texts, happened, log } = open()
  await write(note('before'))
  const pages = db.get<{ page_count: number }>('PRAGMA page_count')!.page_count
  db.exec(`PRAGMA max_page_count = ${pages}`)
  const large = (context: WriteContext) => note('x'.repeat(1_000_000))(context)
  for (let round = 0; round < 3; round++) {
    const all = await Promise.all([
      write(note(`small ${round}`)),
      write(large),
      write(note(`other ${round}`)),
    ])
    for (const outcome of all) {
      expect(outcome).toMatchObject({ ok: false, error: { kind: 'storage' } })
      if (!outcome.ok) expect(outcome.error.error.message).toBe('could not be stored: the disk is full')
    }
  }
  expect(texts()).toEqual(['before'])
  expect(happened).toHaveLength(1)
  db.exec(`PRAGMA max_page_count = ${pages + 10_000}`)
  expect(await write(large)).toMatchObject({ ok: true })
  expect(texts()).toHaveLength(2)
  expect(log).toEqual(['calls can not be stored', 'calls can be stored again'])
})

test('a connection that is gone is opened anew', async () => {
  const { db, write, texts } = open()
  await write(note('before'))
  db.raw.close()
  expect(await write(note('lost'))).toMatchObject({ ok: false, error: { kind: 'storage' } })
  expect(await write(note('after'))).toMatchObject({ ok: true })
  expect(texts()).toEqual(['before', 'after'])
})

test('beyond so many that wait the next are refused at once', async () => {
  const { commit } = open()
  const outcomes: Outcome<unknown>[] = []
  for (let call = 0; call < 10_001; call++) {
    commit.write(
      () => call,
      outcome => outcomes.push(outcome),
    )
  }
  expect(outcomes).toMatchObject([{ ok: false, error: { kind: 'busy' } }])
  await commit.whenIdle()
  expect(outcomes.filter(({ ok }) => ok)).toHaveLength(10_000)
})

test('what is written while answers are given comes in the next transaction', async () => {
  const { commit, row, texts } = open()
  commit.write(note('a'), () => commit.write(note('b'), () => {}))
  await commit.whenIdle()
  expect(texts()).toEqual(['a', 'b'])
  expect(row[slots.messengerCommits]).toBe(2)
})

test('what is to be done at last comes behind all calls, of those that were not refused', async () => {
  const { write, texts } = open()
  const atLast =
    (text: string, isRefused = false) =>
    (context: WriteContext) => {
      context.effects.atLast(db => void db.run('INSERT INTO notes (text) VALUES (?)', text))
      if (isRefused) throw new CallError('conflict')
    }
  await Promise.all([write(atLast('last')), write(atLast('never', true)), write(note('a')), write(note('b'))])
  expect(texts()).toEqual(['a', 'b', 'last'])
})

test('what fails at last fails all of the transaction', async () => {
  const { write, texts, happened } = open()
  const failing = ({ effects }: WriteContext) =>
    effects.atLast(db => void db.run('INSERT INTO notes (text) VALUES (NULL)'))
  const all = await Promise.all([write(note('a')), write(failing)])
  expect(all.map(({ ok }) => ok)).toEqual([false, false])
  expect(texts()).toEqual([])
  expect(happened).toEqual([])
  expect(await write(note('b'))).toMatchObject({ ok: true })
})
