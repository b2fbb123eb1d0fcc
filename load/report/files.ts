// Where results are kept: <time>-<scenario>.json, and the page beside it. Main thread.

import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { RepeatedRuns, RunResult } from '../model.ts'
import { renderReport } from './page.ts'

/**
 * @param shown the run that the page shows
 * @param label ends the names, where several files come of one command
 * @returns the paths of what was written, as one would type them
 */
export async function writeResult(
  folder: string,
  result: RunResult | RepeatedRuns,
  shown: RunResult,
  withPage: boolean,
  label = '',
): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true })
  const stem = join(folder, `${timeName(new Date(shown.startedAt))}-${shown.scenario}${label}`)
  const files = [`${stem}.json`, ...(withPage ? [`${stem}.html`] : [])]
  await writeFile(files[0]!, `${JSON.stringify(result)}\n`)
  if (withPage) await writeFile(files[1]!, await renderReport(shown))
  return files.map(file => relative('', file))
}

/** Local time: `20260131-235959`. */
export function timeName(at: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${at.getFullYear()}${two(at.getMonth() + 1)}${two(at.getDate())}`
  return `${day}-${two(at.getHours())}${two(at.getMinutes())}${two(at.getSeconds())}`
}
