// Where settings come from: the flags and the environment. Each becomes a layer: dotted key → value and its origin.
// Main thread, at start. Invariant: a value that is no text of its kind stays a text, and the schema refuses it.

import { ConfigError } from '../base/errors.ts'
import type { OptionKind } from './option.ts'
import { nearestKey, nearestName, type Option, options, optionsByKey, type Path } from './tree.ts'

export type Setting = Readonly<{
  /** As a file would have it: durations are texts, lists are arrays. */
  value: unknown
  /** Says where the value at this path, which is in the setting, was written. */
  originOf: (path: Path) => string
}>

export type Layer = ReadonlyMap<string, Setting>

export type Environment = Readonly<Record<string, string | undefined>>

/** A layer, and the path of a configuration file if the source names one. */
type Source = Readonly<{ layer: Layer; file: { path: string; origin: string } | undefined }>

const VARIABLE_PREFIX = 'FANWIRE_'
const FILE_VARIABLE = 'FANWIRE_CONFIG'
/** Variables for the operator's own use, never ours. */
const FREE_PREFIX = 'FANWIRE_VAR_'
const FILE_FLAG = 'config'

const optionsByVariable = new Map(options.map(option => [option.variable, option] as const))

/** The variables FANWIRE_…; an empty one counts as not set. */
export function readEnvironment(env: Environment): Source {
  const layer = new Map<string, Setting>()
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(VARIABLE_PREFIX) || name.startsWith(FREE_PREFIX) || name === FILE_VARIABLE) continue
    const option = optionsByVariable.get(name)
    if (option === undefined) {
      const nearest = nearestName(name, [...optionsByVariable.keys(), FILE_VARIABLE])
      throw new ConfigError(`unknown environment variable ${name}; the nearest known one is ${nearest}`)
    }
    if (text === undefined || text === '') continue
    const origin = `set by the environment variable ${name}`
    layer.set(option.key, { value: valueOfText(option, text), originOf: () => origin })
  }
  const path = env[FILE_VARIABLE]
  const file = path ? { path, origin: `the environment variable ${FILE_VARIABLE}` } : undefined
  return { layer, file }
}

/** --config FILE, --key value, --key=value; a boolean may stand alone. The last of several equal flags counts. */
export function readFlags(argv: readonly string[]): Source {
  const layer = new Map<string, Setting>()
  let file: Source['file']
  for (const { key, text } of splitFlags(argv)) {
    if (key === FILE_FLAG) {
      if (!text) throw new ConfigError('the flag --config needs the path of a file')
      file = { path: text, origin: 'the flag --config' }
      continue
    }
    const option = optionsByKey.get(key)
    if (option === undefined) {
      throw new ConfigError(`unknown flag --${key}; the nearest known one is --${nearestFlag(key)}`)
    }
    if (text === undefined && option.notes.kind !== 'boolean') {
      throw new ConfigError(`the flag --${key} needs a value; it must be ${option.notes.allowed}`)
    }
    const origin = `set by the flag --${key}`
    layer.set(key, { value: text === undefined ? true : valueOfText(option, text), originOf: () => origin })
  }
  return { layer, file }
}

/** Cuts the words into flags; the text of a flag is after "=" or is the next word. */
function* splitFlags(argv: readonly string[]): Generator<{ key: string; text: string | undefined }> {
  let at = 0
  while (at < argv.length) {
    const word = argv[at++]!
    // The word itself is not shown: it may be the rest of a secret that lacks its quotes.
    if (!word.startsWith('--')) {
      const before = at === 1 ? 'at the beginning' : `after ${JSON.stringify(flagBefore(argv, at - 1))}`
      throw new ConfigError(
        `unexpected argument ${before}; flags begin with --, and a value with spaces needs quotes`,
      )
    }
    const equals = word.indexOf('=')
    if (equals >= 0) yield { key: word.slice(2, equals), text: word.slice(equals + 1) }
    else if (argv[at]?.startsWith('--') === false) yield { key: word.slice(2), text: argv[at++]! }
    else yield { key: word.slice(2), text: undefined }
  }
}

function flagBefore(argv: readonly string[], at: number): string {
  const flag = argv.slice(0, at).findLast(word => word.startsWith('--')) ?? ''
  return flag.split('=', 1)[0]!
}

function nearestFlag(key: string): string {
  const nearest = nearestKey(key.split('.'))
  // A section is no flag: of --clint.insecure the nearest option is wanted.
  return nearestName(key, [
    FILE_FLAG,
    optionsByKey.has(nearest) ? nearest : nearestName(key, [...optionsByKey.keys()]),
  ])
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
])

const valueReaders: Readonly<Record<OptionKind | 'sections', (text: string) => unknown>> = {
  boolean: text => BOOLEANS.get(text) ?? text,
  integer: text => (/^-?\d+$/.test(text) ? Number(text) : text),
  duration: text => text,
  text: text => text,
  choice: text => text,
  list: text => text.split(/\s+/).filter(item => item !== ''),
  sections: text => {
    try {
      return JSON.parse(text)
    } catch {
      return text
    }
  },
}

function valueOfText(option: Option, text: string): unknown {
  return valueReaders[option.notes.kind](text)
}
