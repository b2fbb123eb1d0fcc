// The load harness as a user starts it: argv in; exit code, result and what it printed out.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { RunResult } from '../../load/model.ts'

const RUN = fileURLToPath(new URL('../../load/run.ts', import.meta.url))

export type LoadOutcome = Readonly<{ code: number | null; result: RunResult; shown: string }>

/** Runs it to its end; results go to a folder of this test alone. `started` gets the process. */
export function runLoadProgram(
  argv: readonly string[],
  options: Readonly<{ env?: Record<string, string>; started?: (child: ChildProcess) => void }> = {},
): Promise<LoadOutcome> {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-load-'))
  const all = [RUN, ...argv, '--json', '--quiet', '--no-report', '--out', folder]
  const child = spawn(process.execPath, all, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  let stdout = ''
  let shown = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    shown += text
  })
  options.started?.(child)
  return new Promise((resolve, reject) => {
    child.on('close', code => {
      if (!stdout.startsWith('{')) reject(new Error(`no result, exit code ${code}: ${shown}`))
      else resolve({ code, result: JSON.parse(stdout), shown })
    })
  })
}
