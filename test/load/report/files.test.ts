// Where results go: what is told before a run, names of runs at the same time, and what is left of a failed write.

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LoadError, OptionError } from '../../../load/errors.ts'
import { prepareFolder, timeName, writeResult } from '../../../load/report/files.ts'
import { sampleResult } from '../sample-results.ts'

const run = sampleResult({ seconds: 12 })
const name = `${timeName(new Date(run.startedAt))}-fanout`

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fanwire-files-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('a result and its page have the time of the run and its scenario as their name', async () => {
  const files = await writeResult(folder, run, run, true)
  expect((await readdir(folder)).sort()).toEqual([`${name}.html`, `${name}.json`])
  expect(files.map(file => file.split('/').at(-1))).toEqual([`${name}.json`, `${name}.html`])
  expect(JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8'))).toEqual(run)
})

test('runs of the same second do not write over each other', async () => {
  await writeResult(folder, run, run, false, '-own')
  await Promise.all([writeResult(folder, run, run, false, '-own'), writeResult(folder, run, run, false)])
  const expected = [`${name}-own-2.json`, `${name}-own.json`, `${name}.json`]
  expect((await readdir(folder)).sort()).toEqual(expected)
})

test('a folder that can not be written to is told before the run', async () => {
  await prepareFolder(join(folder, 'new', 'one'))
  expect(await readdir(join(folder, 'new'))).toEqual(['one'])
  await writeFile(join(folder, 'file'), '')
  await expect(prepareFolder(join(folder, 'file'))).rejects.toThrow(OptionError)
  await expect(prepareFolder('')).rejects.toThrow('--out: "" can\'t be written to')
})

test('a page that can not be written leaves the result, and says so', async () => {
  await mkdir(join(folder, `${name}.html`))
  const failure = writeResult(folder, run, run, true)
  await expect(failure).rejects.toThrow(LoadError)
  await expect(failure).rejects.toThrow(`the result can't be written to ${join(folder, name)}.html: EISDIR`)
  expect(await readdir(folder)).toContain(`${name}.json`)
})
