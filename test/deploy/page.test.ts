// The page on deployment against the project: its numbers are those of the overview, what it names is there.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { optionsByKey } from '../../src/config/tree.ts'

const ROOT = join(import.meta.dirname, '../..')
const page = readFileSync(join(ROOT, 'docs/deployment.md'), 'utf8')

test('takes its measured numbers from the overview', () => {
  const overview = readFileSync(join(ROOT, 'README.md'), 'utf8')
  for (const figure of ['4.43 µs', '0.255 µs', '28.3 µs', '2.8 KB', '7,894', '128 MB']) {
    expect(page).toContain(figure)
    expect(overview, figure).toContain(figure)
  }
})

test('names files that are there', () => {
  const named = [...page.matchAll(/`(deploy\/[\w./-]+|Dockerfile|compose\.yaml)`/g)].map(([, path]) => path!)
  expect(named.length).toBeGreaterThan(5)
  expect(named.filter(path => !existsSync(join(ROOT, path)))).toEqual([])
})

test('links to pages and sections that are there', () => {
  const missing = [...page.matchAll(/\]\(([^)#]*)(?:#([^)]+))?\)/g)].filter(([, path, section]) => {
    const file = join(ROOT, 'docs', path === '' ? 'deployment.md' : path!)
    return (
      !existsSync(file) ||
      (section !== undefined && !sectionsOf(readFileSync(file, 'utf8')).includes(section))
    )
  })
  expect(missing.map(([link]) => link)).toEqual([])
})

/** Anchors as they are made of headings. */
function sectionsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replace(/\s/g, '-'),
  )
}

test('names options that exist', () => {
  const named = [
    ...page.matchAll(/`((?:client|channel|shutdown|http_api|http_server|messenger|tcp)\.[\w.]+)`/g),
  ].map(([, key]) => key!)
  expect(named.length).toBeGreaterThan(5)
  expect(named.filter(key => !optionsByKey.has(key))).toEqual([])
})
