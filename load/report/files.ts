// Where results are kept: <time>-<scenario>.json, and the page beside it. Main thread.
// Invariant: no file of another run is written over, and none is left half written.

import { constants } from 'node:fs'
import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { LoadError, OptionError, reasonOf } from '../errors.ts'
import type { RepeatedRuns, RunResult } from '../model.ts'
import { renderReport } from './page.ts'

/** Runs that begin in the same second get a number behind their names. */
const SAME_NAME_MAX = 100

/**
 * Makes the folder if it isn't there: what can't be kept is told before a run and not after it.
 * @throws OptionError
 */
export async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
    await access(folder, constants.W_OK)
  } catch (error) {
    throw new OptionError(`--out: ${JSON.stringify(folder)} can't be written to: ${reasonOf(error)}`)
  }
}

/**
 * @param folder is there (prepareFolder)
 * @param shown the run that the page shows
 * @param label ends the names, where several files come of one command
 * @returns the paths of what was written, as one would type them
 * @throws LoadError
 */
export async function writeResult(
  folder: string,
  result: RunResult | RepeatedRuns,
  shown: RunResult,
  withPage: boolean,
  label = '',
): Promise<readonly string[]> {
  const name = join(folder, `${timeName(new Date(shown.startedAt))}-${shown.scenario}${label}`)
  const stem = await writeUnderFreeName(name, `${JSON.stringify(result)}\n`)
  const files = [`${stem}.json`]
  if (withPage) {
    files.push(`${stem}.html`)
    await writeWhole(`${stem}.html`, await renderReport(shown), 'w')
  }
  return files.map(file => relative('', file))
}

/**
 * @param name of the file, without its ending; its folder is there (prepareFolder)
 * @returns the name that was free, without its ending
 * @throws LoadError
 */
export async function writeUnderFreeName(name: string, text: string): Promise<string> {
  for (let number = 1; number <= SAME_NAME_MAX; number++) {
    const stem = number === 1 ? name : `${name}-${number}`
    if (await writeWhole(`${stem}.json`, text, 'wx')) return stem
  }
  throw new LoadError(`there are ${SAME_NAME_MAX} results called ${name} already`)
}

/** @returns false where there is such a file that must not be written over */
async function writeWhole(path: string, text: string, flag: 'w' | 'wx'): Promise<boolean> {
  try {
    await writeFile(path, text, { flag })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    await rm(path, { force: true }).catch(() => {})
    throw new LoadError(`the result can't be written to ${path}: ${reasonOf(error)}`)
  }
}

/** Local time: `20260131-235959`. */
export function timeName(at: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${at.getFullYear()}${two(at.getMonth() + 1)}${two(at.getDate())}`
  return `${day}-${two(at.getHours())}${two(at.getMinutes())}${two(at.getSeconds())}`
}
