// Reads the result files that a comparison is made of. Main thread.
// Invariant: what comes out has the shape that this version writes; else an OptionError says what is wrong where.

import { readFile } from 'node:fs/promises'
import { OptionError, reasonOf } from '../errors.ts'
import { RESULT_SCHEMA, type RunResult } from '../model.ts'

/** A file holds one run, or repeated ones. */
export async function readRuns(path: string): Promise<readonly RunResult[]> {
  const content = await contentOf(path)
  const runs = isRecord(content) && Array.isArray(content.runs) ? content.runs : [content]
  if (runs.length === 0) throw new OptionError(`${path} holds no run`)
  return runs.map((run, index) => {
    const place = runs.length === 1 ? path : `${path}, run ${index + 1}`
    checkRun(run, place)
    return run
  })
}

async function contentOf(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw new OptionError(`${path} can't be read as a result: ${reasonOf(error)}`)
  }
}

/** What a comparison reads: sections of a result, with the numbers that each must have. */
const NUMBERS: Readonly<Record<string, readonly string[]>> = {
  latency: [],
  ledger: ['lost', 'duplicated', 'outOfOrder'],
  load: ['subscribers', 'channels', 'rate'],
  machine: ['cores'],
  target: [],
  verdict: ['exitCode'],
}

function checkRun(run: unknown, place: string): asserts run is RunResult {
  const refuse = (why: string): never => {
    throw new OptionError(`${place} is no result of a load run: ${why}`)
  }
  if (!isRecord(run)) return refuse('it is no object')
  if (run.schema !== RESULT_SCHEMA) {
    return refuse(`its schema is ${JSON.stringify(run.schema)}, and this version reads ${RESULT_SCHEMA}`)
  }
  for (const [name, numbers] of Object.entries(NUMBERS)) {
    const section = run[name]
    if (!isRecord(section)) return refuse(`${name} is missing`)
    const missing = numbers.find(number => typeof section[number] !== 'number')
    if (missing !== undefined) return refuse(`${name}.${missing} is missing`)
  }
  const { all, last } = run.latency as Record<string, unknown>
  if (!isRecord(all) || !isRecord(last)) return refuse('latency.all or latency.last is missing')
  if (!Array.isArray(run.findings)) return refuse('findings is missing')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
