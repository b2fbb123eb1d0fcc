// Before all tests, in their main process: makes the programs and threads that tests start quick to load. Their sources
// are stripped of types once for all of them, by Node itself, and what V8 compiled is kept: a third of what a relay's
// start costs is either, and the tests start hundreds.
// Invariant: a source is known by its text, so one that was changed meanwhile is never mistaken for its older self.

import { hash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
const SOURCES = ['src', 'load']
/** One folder a day, and only the last one stays: so much may gather while sources are edited. */
const CACHE = join(ROOT, 'node_modules/.cache/fanwire-tests')

export default function prepare(): void {
  const today = new Date().toISOString().slice(0, 10)
  const stripped = join(CACHE, today, 'stripped')
  mkdirSync(stripped, { recursive: true })
  for (const day of readdirSync(CACHE)) {
    if (day !== today) rmSync(join(CACHE, day), { recursive: true, force: true })
  }
  for (const path of SOURCES.flatMap(sourcesIn)) strip(readFileSync(path, 'utf8'), stripped)
  const preload = new URL('stripped.mjs', import.meta.url)
  preload.searchParams.set('folder', stripped)
  process.env.NODE_OPTIONS = [process.env.NODE_OPTIONS, `--import=${preload}`].filter(Boolean).join(' ')
  process.env.NODE_COMPILE_CACHE ??= join(CACHE, today, 'compiled')
}

function sourcesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.includes('node_modules'))
    .map(name => join(ROOT, folder, name))
}

/** Whole or not at all: other runs of the tests may read the same folder. */
function strip(text: string, folder: string): void {
  const file = join(folder, hash('sha1', text))
  if (existsSync(file)) return
  const part = `${file}.${process.pid}`
  writeFileSync(part, stripTypeScriptTypes(text))
  renameSync(part, file)
}
