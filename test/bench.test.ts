import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('every benchmark runs in its smoke size', async () => {
  const run = new URL('../bench/run.ts', import.meta.url).pathname
  const { stdout } = await promisify(execFile)(process.execPath, [run, '--smoke'])
  expect(stdout).toContain('from one thread to another')
})
