// The command line of `npm run load` as options: what is asked for is known, allowed and fits together. Main thread.
// Invariant: whatever comes out can be tried; what can't is an OptionError that names flag, value and what is allowed.

import { fileURLToPath } from 'node:url'
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { closest } from 'fastest-levenshtein'
import { RUNS_MIN } from './compare/comparison.ts'
import { OptionError } from './errors.ts'
import { flags } from './flags.ts'
import { CHANNELS_MAX, PAYLOAD_BYTES_MIN } from './generator/payload.ts'
import type { Load } from './model.ts'
import type { Scenario } from './scenario.ts'
import { shownUrl } from './shown-url.ts'
import { parseSources } from './sources.ts'

export type Options = Readonly<{
  scenario: Scenario
  load: Load
  target: TargetOptions
  /** What the names of channels begin with; the run's id follows. Undefined: the own relay's namespace. */
  prefix: string | undefined
  out: OutOptions
  /** Runs, one after another. */
  repeat: number
  knee: KneeOptions | undefined
  /** Another git revision, whose relay takes turns with ours. */
  against: string | undefined
  /** To get the same again; without secrets. */
  command: string
}>

/** What a run is about; the rest of the options says what is done with it. */
export type RunPlan = Pick<Options, 'scenario' | 'load' | 'prefix' | 'command'>

export type TargetOptions =
  | Readonly<{
      kind: 'own'
      shards: number
      /** Another checkout, whose relay it is. */
      root?: URL
    }>
  | Readonly<{
      kind: 'deployed'
      websocket?: string
      tcp?: Readonly<{ host: string; port: number }>
      api?: string
      apiKey?: string
      token?: string
      metricsUrl?: string
    }>

export type OutOptions = Readonly<{ json: boolean; folder: string; report: boolean; quiet: boolean }>
export type KneeOptions = Readonly<{ by: 'rate' | 'subscribers'; p99Ms: number }>

const SUBSCRIBERS_MAX = 1_000_000
const RATE_MAX = 5_000_000
const DURATION_S_MAX = 7 * 24 * 3600
const THREADS_MAX = 64
const SHARDS_MAX = 64
const PUBLISHERS_MAX = 10_000
const SEED_MAX = 2 ** 32 - 1
const REPEAT_MAX = 1000
const KNEE_P99_MS = 100
/** The relay's default limits, less what stands around the data: a client's frame, the body of an API request. */
const SIZE_MAX = { client: 60_000, api: 500_000 } as const

const RESULTS_FOLDER = fileURLToPath(new URL('./results', import.meta.url))

type Values = ReadonlyMap<string, string>

/** @param argv without the program; @throws OptionError */
export function parseOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  scenarios: readonly Scenario[],
): Options {
  const values = valuesOf(argv)
  const scenario = scenarioOf(values, scenarios)
  refuseIgnored(values, scenario)
  const load = loadOf(values, scenario)
  checkAgainst(values)
  const target = targetOf(values, env)
  checkTogether(load, target, scenario)
  return {
    scenario,
    load,
    target,
    prefix: values.get('prefix'),
    out: {
      json: values.has('json'),
      folder: values.get('out') ?? RESULTS_FOLDER,
      report: !values.has('no-report'),
      quiet: values.has('quiet'),
    },
    repeat: count(values, 'repeat', 1, REPEAT_MAX) ?? (values.has('against') ? RUNS_MIN : 1),
    knee: kneeOf(values, scenario),
    against: values.get('against'),
    command: commandOf(argv),
  }
}

/** All that is given, each flag at most once. */
function valuesOf(argv: readonly string[]): Values {
  const known: ParseArgsConfig['options'] = Object.fromEntries(
    flags.map(({ name, value }) => [name, { type: value === undefined ? 'boolean' : 'string' }]),
  )
  // Not strict: what is wrong is told below, in our words.
  const { tokens } = parseArgs({ args: [...argv], options: known, strict: false, tokens: true })
  const values = new Map<string, string>()
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue
    if (token.kind === 'positional') {
      throw new OptionError(`${JSON.stringify(token.value)} is not a command or flag${nearest(token.value)}`)
    }
    const flag = flags.find(({ name }) => token.rawName === `--${name}`)
    if (flag === undefined) throw new OptionError(`unknown flag ${token.rawName}${nearest(token.rawName)}`)
    const { name } = flag
    if (values.has(name)) throw new OptionError(`--${name} is given twice`)
    if (flag.value === undefined) {
      if (token.value !== undefined)
        throw new OptionError(`--${name} takes no value, got ${JSON.stringify(token.value)}`)
      values.set(name, '')
    } else {
      if (token.value === undefined || (!token.inlineValue && token.value.startsWith('--'))) {
        throw new OptionError(`--${name} needs a value: --${name} ${flag.value}`)
      }
      values.set(name, token.value)
    }
  }
  return values
}

function nearest(word: string): string {
  const names = flags.map(({ name }) => `--${name}`)
  return `; the nearest known one is ${closest(word, [...names, 'compare'])} (see --help)`
}

function scenarioOf(values: Values, scenarios: readonly Scenario[]): Scenario {
  const name = values.get('scenario') ?? scenarios[0]!.name
  const found = scenarios.find(scenario => scenario.name === name)
  if (found !== undefined) return found
  const names = scenarios.map(scenario => scenario.name)
  return refuse('scenario', name, `one of ${names.join(', ')}; the nearest is ${closest(name, names)}`)
}

const FLAG_OF_LOAD: Readonly<Partial<Record<keyof Load, string>>> = { durationS: 'duration' }

function refuseIgnored(values: Values, { name, ignores = [] }: Scenario): void {
  for (const key of ignores) {
    const flag = FLAG_OF_LOAD[key] ?? key
    if (values.has(flag)) throw new OptionError(`--${flag} has no effect in the scenario ${name}`)
  }
}

function loadOf(values: Values, scenario: Scenario): Load {
  const defaults: Load = { ...scenario.defaults, ...(values.has('smoke') ? scenario.smoke : {}) }
  const publish = choice(values, 'publish', ['api', 'client']) ?? defaults.publish
  const sources = values.get('sources')
  return {
    subscribers: count(values, 'subscribers', 1, SUBSCRIBERS_MAX) ?? defaults.subscribers,
    channels: count(values, 'channels', 1, CHANNELS_MAX - 1) ?? defaults.channels,
    rate: count(values, 'rate', 1, RATE_MAX) ?? defaults.rate,
    size: count(values, 'size', PAYLOAD_BYTES_MIN, SIZE_MAX[publish], 'bytes') ?? defaults.size,
    durationS: seconds(values, 'duration') ?? defaults.durationS,
    transport: choice(values, 'transport', ['ws', 'tcp', 'mixed']) ?? defaults.transport,
    publish,
    publishers: count(values, 'publishers', 1, PUBLISHERS_MAX) ?? defaults.publishers,
    receivers: count(values, 'receivers', 1, THREADS_MAX) ?? defaults.receivers,
    sources: sources === undefined ? defaults.sources : parseSources(sources),
    seed: count(values, 'seed', 0, SEED_MAX) ?? defaults.seed,
  }
}

const DEPLOYED_FLAGS = ['url', 'tcp', 'api', 'api-key', 'token', 'metrics', 'prefix'] as const

function checkAgainst(values: Values): void {
  if (!values.has('against')) return
  const given = DEPLOYED_FLAGS.find(name => values.has(name))
  if (given !== undefined) {
    throw new OptionError(`--against starts the relays itself: --${given} is for a deployed one`)
  }
  if (values.has('find-knee')) throw new OptionError('--against and --find-knee are two questions')
}

function targetOf(values: Values, env: Readonly<Record<string, string | undefined>>): TargetOptions {
  const given = DEPLOYED_FLAGS.find(name => values.has(name))
  if (given === undefined) return { kind: 'own', shards: count(values, 'shards', 1, SHARDS_MAX) ?? 0 }
  if (values.has('shards')) {
    throw new OptionError(
      '--shards is for the own relay; with an address the relay has the shards that it has',
    )
  }
  if (!values.has('url') && !values.has('tcp')) {
    throw new OptionError(
      `--${given} is for a deployed relay: give its --url ws://HOST:8000 or --tcp HOST:PORT, too`,
    )
  }
  return withoutUndefined({
    kind: 'deployed',
    websocket: address(values, 'url', ['ws:', 'wss:'], url => {
      if (url.pathname === '/') url.pathname = '/connection/websocket'
      return url.href
    }),
    tcp: hostAndPort(values),
    api: address(values, 'api', ['http:', 'https:'], url => {
      const path = url.pathname.replace(/\/+$/, '')
      return `${url.origin}${path === '' ? '/api' : path}`
    }),
    apiKey: values.get('api-key') ?? env.FANWIRE_LOAD_API_KEY,
    token: values.get('token') ?? env.FANWIRE_LOAD_TOKEN,
    metricsUrl: address(values, 'metrics', ['http:', 'https:'], url => url.href),
  })
}

/** What the type system can't see: whether the parts fit together. */
function checkTogether(load: Load, target: TargetOptions, scenario: Scenario): void {
  if (target.kind === 'own') return
  if (scenario.ownRelayOnly) {
    throw new OptionError(
      `the scenario ${scenario.name} stops and starts its relay: it can't be run against a deployed one`,
    )
  }
  const needs = (flag: string, why: string) => new OptionError(`${why} needs --${flag}`)
  if (load.transport !== 'tcp' && target.websocket === undefined)
    throw needs('url', `--transport ${load.transport}`)
  if (load.transport !== 'ws' && target.tcp === undefined) throw needs('tcp', `--transport ${load.transport}`)
  const publishes = load.rate > 0
  if (publishes && load.publish === 'api' && target.api === undefined) {
    throw new OptionError(
      'publishing by the server API needs --api URL; or let clients publish: --publish client',
    )
  }
}

function kneeOf(values: Values, scenario: Scenario): KneeOptions | undefined {
  if (!values.has('find-knee')) {
    for (const flag of ['knee-by', 'knee-p99']) {
      if (values.has(flag)) throw new OptionError(`--${flag} has no effect without --find-knee`)
    }
    return undefined
  }
  if (!scenario.hasKnee) {
    throw new OptionError(`--find-knee raises a steady load, which the scenario ${scenario.name} has not`)
  }
  if (values.has('repeat')) throw new OptionError('--find-knee and --repeat do not go together')
  return {
    by: choice(values, 'knee-by', ['rate', 'subscribers']) ?? 'rate',
    p99Ms: count(values, 'knee-p99', 1, 600_000, 'ms') ?? KNEE_P99_MS,
  }
}

function count(values: Values, flag: string, min: number, max: number, unit = ''): number | undefined {
  const text = values.get(flag)
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min && value <= max) return value
  const of = unit === '' ? '' : ` ${unit}`
  return refuse(flag, text, `a whole number from ${min} to ${max}${of}`)
}

const SECONDS = { s: 1, m: 60, h: 3600 } as const

function seconds(values: Values, flag: string): number | undefined {
  const text = values.get(flag)
  if (text === undefined) return undefined
  const [, digits, unit = 's'] = /^(\d+)([smh])?$/.exec(text) ?? []
  const value = Number(digits) * SECONDS[unit as keyof typeof SECONDS]
  if (value >= 1 && value <= DURATION_S_MAX) return value
  return refuse(flag, text, 'a time from 1s to 168h: seconds, or a number with s, m or h')
}

function choice<T extends string>(values: Values, flag: string, allowed: readonly T[]): T | undefined {
  const text = values.get(flag)
  if (text === undefined || allowed.includes(text as T)) return text as T | undefined
  return refuse(flag, text, `${allowed.join(' or ')}; the nearest is ${closest(text, [...allowed])}`)
}

function address(
  values: Values,
  flag: string,
  protocols: readonly string[],
  complete: (url: URL) => string,
): string | undefined {
  const text = values.get(flag)
  if (text === undefined) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  const takesUser = flag === 'metrics'
  if (url !== undefined && (url.username !== '' || url.password !== '') && !takesUser) {
    throw new OptionError(
      `--${flag}: ${shownUrl(text)} has a user or a password in it, which it does not take`,
    )
  }
  if (url !== undefined && protocols.includes(url.protocol) && url.hostname !== '') return complete(url)
  return refuse(
    flag,
    shownUrl(text),
    `a URL that begins with ${protocols.map(protocol => `${protocol}//`).join(' or ')}`,
  )
}

function hostAndPort(values: Values): { host: string; port: number } | undefined {
  const text = values.get('tcp')
  if (text === undefined) return undefined
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(text) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (host !== undefined && port >= 1 && port <= 65_535) return { host, port }
  return refuse('tcp', text, 'HOST:PORT, an IPv6 address in brackets')
}

const SECRETS = ['api-key', 'token']

function commandOf(argv: readonly string[]): string {
  const shown = argv.map((word, index) => {
    const secret = SECRETS.find(name => word.startsWith(`--${name}=`))
    if (secret !== undefined) return `--${secret}=…`
    if (SECRETS.includes((argv[index - 1] ?? '').slice(2))) return '…'
    return quoted(
      word.replace(/^(--[a-z-]+=)?([a-z]+:\/\/.*)$/s, (_, flag = '', url) => flag + shownUrl(url)),
    )
  })
  return ['npm run load', ...(shown.length > 0 ? ['--', ...shown] : [])].join(' ')
}

function quoted(word: string): string {
  return /^[\w./:=,@%+…-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

function refuse(flag: string, value: string, allowed: string): never {
  throw new OptionError(`--${flag}: ${JSON.stringify(value)} is not allowed; it must be ${allowed}`)
}

/** Optional fields are absent, not undefined. */
function withoutUndefined<T extends object>(record: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: NonNullable<T[K]>
  }
}
