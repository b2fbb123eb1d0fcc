import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('searches and pages are measured in the smoke size', async () => {
  const run = new URL('../bench/messenger/run.ts', import.meta.url).pathname
  const { stdout } = await promisify(execFile)(process.execPath, [run, '--smoke'])
  expect(stdout).toMatch(/search: median [\d.]+ ms/)
  expect(stdout).toMatch(/page: median [\d.]+ ms/)
  expect(stdout).toMatch(/meanwhile \d+ messages acknowledged, 0 refused/)
}, 60_000)
