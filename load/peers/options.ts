// The command line of `npm run load:peers` as options. Main thread.
// Invariant: whatever comes out can be carried out; what can't is an OptionError that names flag, value, and what may be.

import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { closest } from 'fastest-levenshtein'
import { OptionError, reasonOf } from '../errors.ts'
import type { Peer } from './peer.ts'
import type { Shape } from './result.ts'

export const PARTS = ['cost', 'knee', 'memory'] as const
export type Part = (typeof PARTS)[number]

export type PeersOptions = Readonly<{
  peers: readonly Peer[]
  parts: readonly Part[]
  rounds: number
  secondsEach: number
  size: number
  shapes: readonly Shape[]
  kneeP99Ms: number
  kneeSubscribers: number
  /** Publications a second: where the search begins, and beyond which it doesn't go. */
  kneeRateMin: number
  kneeRateMax: number
  idleConnections: number
  /** Of each of the phases before and after they connect. */
  idleSeconds: number
  receivers: number | undefined
  markdown: boolean
  json: boolean
  folder: string
  command: string
}>

const ROUNDS_MAX = 100
const SECONDS_MAX = 3600
const P99_MS_MAX = 60_000
const RECEIVERS_MAX = 64
const CONNECTIONS_MAX = 1_000_000

const SHAPES: readonly Shape[] = [
  shapeOf('wide', 1000, 50),
  shapeOf('middle', 100, 500),
  shapeOf('fast', 100, 10_000),
]
/** Its figures mean nothing. */
const SMOKE = {
  rounds: 1,
  secondsEach: 1,
  shapes: [shapeOf('smoke', 10, 100)],
  kneeSubscribers: 5,
  kneeRateMin: 50,
  kneeRateMax: 100,
  idleConnections: 20,
  idleSeconds: 1,
} as const

const FLAGS = {
  only: { type: 'string' },
  parts: { type: 'string' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  'knee-p99': { type: 'string' },
  connections: { type: 'string' },
  receivers: { type: 'string' },
  out: { type: 'string' },
  markdown: { type: 'boolean' },
  json: { type: 'boolean' },
  smoke: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

export function peersHelp(all: readonly Peer[]): string {
  return `The same fan-out, receivers and publisher against fanwire and other servers.

  npm run load:peers                    all of them, about an hour:
                                        ${SHAPES.map(({ title }) => title).join(',\n                                        ')}
  npm run load:peers -- --smoke         so small that it ends soon; the figures mean nothing

  --only NAMES      of ${all.map(({ name }) => name).join(', ')};
                    the first one is what the others are compared with
  --parts PARTS     of ${PARTS.join(', ')}; default all
  --rounds N        in which the servers take turns; default 3
  --seconds N       of each measured phase; default 5
  --knee-p99 MS     clean is a rate at which p99 to the last recipient is not above this; default 100
  --connections N   idle ones, for memory; default 10000
  --receivers N     worker threads that receive
  --out DIR         where the result is written; default load/results
  --markdown        prints the tables for a README
  --json            prints the result itself
`
}

/** @param argv without the program; @throws OptionError */
export function parsePeersOptions(argv: readonly string[], all: readonly Peer[]): PeersOptions | 'help' {
  const values = valuesOf(argv)
  if (values.help) return 'help'
  const defaults = { ...DEFAULTS, ...(values.smoke ? SMOKE : {}) }
  return {
    ...defaults,
    peers: listOf('only', values.only, all, ({ name }) => name),
    parts: listOf('parts', values.parts, PARTS, part => part),
    rounds: count('rounds', values.rounds, ROUNDS_MAX) ?? defaults.rounds,
    secondsEach: count('seconds', values.seconds, SECONDS_MAX) ?? defaults.secondsEach,
    kneeP99Ms: count('knee-p99', values['knee-p99'], P99_MS_MAX) ?? defaults.kneeP99Ms,
    idleConnections: count('connections', values.connections, CONNECTIONS_MAX) ?? defaults.idleConnections,
    receivers: count('receivers', values.receivers, RECEIVERS_MAX),
    markdown: values.markdown ?? false,
    json: values.json ?? false,
    folder: values.out ?? fileURLToPath(new URL('../results', import.meta.url)),
    command: ['npm run load:peers', ...(argv.length > 0 ? ['--', ...argv] : [])].join(' '),
  }
}

const DEFAULTS = {
  rounds: 3,
  secondsEach: 5,
  size: 128,
  shapes: SHAPES,
  kneeP99Ms: 100,
  kneeSubscribers: 100,
  kneeRateMin: 100,
  kneeRateMax: 100_000,
  idleConnections: 10_000,
  // V8 gives back what starting and connecting left only after some time.
  idleSeconds: 25,
} as const

function shapeOf(name: string, subscribers: number, rate: number): Shape {
  const number = (value: number) => value.toLocaleString('en-US')
  return { name, title: `${number(subscribers)} subscribers × ${number(rate)}/s`, subscribers, rate }
}

function valuesOf(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: FLAGS }).values
  } catch (error) {
    throw new OptionError(reasonOf(error))
  }
}

function listOf<T>(
  flag: string,
  text: string | undefined,
  all: readonly T[],
  nameOf: (one: T) => string,
): readonly T[] {
  if (text === undefined) return all
  return text.split(',').map(name => {
    const found = all.find(one => nameOf(one) === name)
    if (found !== undefined) return found
    const names = all.map(nameOf)
    throw new OptionError(
      `--${flag}: ${JSON.stringify(name)} is not one of ${names.join(', ')}; the nearest is ${closest(name, names)}`,
    )
  })
}

function count(flag: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= 1 && value <= max) return value
  throw new OptionError(
    `--${flag}: ${JSON.stringify(text)} is not allowed; it must be a whole number from 1 to ${max}`,
  )
}
