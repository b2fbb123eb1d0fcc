// The page on configuration against the schema: what it names is there, and of the messenger nothing is missing.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { optionsByKey } from '../../src/config/tree.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8')

/** Options of the tables, with what stands as their default; `.port` after `tcp.address` is `tcp.port`. */
const rows = [...page.matchAll(/^\| (`[a-z_]+\.[^|]+) \| ([^|]*) \|/gm)].flatMap(([, names, defaults]) => {
  let section = ''
  const values = defaults!.replace(/\([^)]*\)/g, '').split(/,\s+/)
  const keys = [...names!.matchAll(/`([\w.]+)`/g)].map(([, name]) => {
    if (!name!.startsWith('.')) section = name!.slice(0, name!.lastIndexOf('.'))
    return name!.startsWith('.') ? `${section}${name}` : name!
  })
  return keys.map((key, index) => ({ key, value: values[index]?.trim() }))
})

test('names options that exist', () => {
  expect(rows.length).toBeGreaterThan(50)
  expect(rows.filter(({ key }) => !optionsByKey.has(key)).map(({ key }) => key)).toEqual([])
})

test('names each option of the messenger, with its default', () => {
  const known = [...optionsByKey.values()].filter(({ key }) => key.startsWith('messenger.'))
  const shipped = known.map(({ key, notes }) => `${key} ${'defaultValue' in notes ? notes.defaultValue : ''}`)
  const written = rows.filter(({ key }) => key.startsWith('messenger.'))
  expect(written.map(({ key, value }) => `${key} ${value}`).sort()).toEqual(shipped.sort())
})
