import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('the speed measurement runs in its smoke size, and every message arrives', async () => {
  const run = new URL('../bench/speed/run.ts', import.meta.url).pathname
  const args = [run, '--smoke', '--only', 'wide,tcp-fast,one-to-one,connect']
  const { stdout } = await promisify(execFile)(process.execPath, args)
  expect(stdout).toContain('all messages arrived')
}, 60_000)
