// Reads the result files that a comparison is made of. Main thread.
// Invariant: what comes out has the shape that a comparison reads; else an OptionError says what is wrong where.

import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { OptionError, reasonOf } from '../errors.ts'
import { RESULT_SCHEMA, type RunResult } from '../model.ts'

/** In one file: more than anybody repeats, and few enough for each figure's values to be arguments of a call. */
const RUNS_MAX = 10_000

/** JSON has no NaN: what could not be measured may be null. */
const figure = z.number().nullish()
const latency = z.looseObject({ count: z.number(), p50Us: figure, p99Us: figure, p999Us: figure })
const finding = z.looseObject({
  key: z.string(),
  label: z.string(),
  value: figure,
  unit: z.enum(['us', 'ms', 's', 'bytes', 'bytes/s', '1/s', 'count', 'ratio', 'share', 'cores']),
  better: z.enum(['lower', 'higher']).optional(),
})

/** What a comparison reads of a result; the rest may be as it is. */
const run = z.looseObject({
  schema: z.literal(RESULT_SCHEMA),
  scenario: z.string(),
  startedAt: z.iso.datetime(),
  interrupted: z.literal(true).optional(),
  load: z.looseObject({ subscribers: z.number(), channels: z.number(), rate: z.number() }),
  target: z.looseObject({
    kind: z.string(),
    name: z.string(),
    version: z.string().optional(),
    revision: z.string().optional(),
  }),
  machine: z.looseObject({ cores: z.number() }),
  verdict: z.looseObject({ exitCode: z.number(), latencyValid: z.boolean() }),
  ledger: z.looseObject({
    delivered: z.number(),
    lost: z.number(),
    duplicated: z.number(),
    outOfOrder: z.number(),
  }),
  latency: z.looseObject({ all: latency, last: latency }),
  deliveriesPerSecond: figure,
  server: z
    .looseObject({ cores: figure, cpuUsPerDelivery: figure, bytesMax: figure, bytesAfter: figure })
    .optional(),
  findings: z.array(finding),
})

/**
 * A file holds one run, or repeated ones.
 * @throws OptionError
 */
export async function readRuns(path: string): Promise<readonly RunResult[]> {
  const content = await contentOf(path)
  const runs = isRecord(content) && Array.isArray(content.runs) ? content.runs : [content]
  if (runs.length === 0) throw new OptionError(`${path} holds no run`)
  if (runs.length > RUNS_MAX) throw new OptionError(`${path} holds ${runs.length} runs: ${RUNS_MAX} at most`)
  return runs.map((one, index) => {
    checkRun(one, runs.length === 1 ? path : `${path}, run ${index + 1}`)
    return one
  })
}

async function contentOf(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw new OptionError(`${path} can't be read as a result: ${reasonOf(error)}`)
  }
}

function checkRun(one: unknown, place: string): asserts one is RunResult {
  const refuse = (why: string): never => {
    throw new OptionError(`${place} is no result of a load run: ${why}`)
  }
  if (!isRecord(one)) return refuse('it is no object')
  if (one.schema !== RESULT_SCHEMA) {
    return refuse(`its schema is ${JSON.stringify(one.schema)}, and this version reads ${RESULT_SCHEMA}`)
  }
  const issue = run.safeParse(one).error?.issues[0]
  if (issue !== undefined) refuse(`${issue.path.join('.')}: ${issue.message}`)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
