// Makes the one configuration out of flags, environment, file and defaults (in this order of precedence). Main thread,
// at start; the only reader of the environment, the flags of options and the file. Invariant: the result is frozen.

import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import { ConfigError } from '../base/errors.ts'
import { type Conflict, findConflict, findOpenAddress } from './checks.ts'
import { readConfigText, unknownKeyMessage } from './file.ts'
import { CONFIG_FILE_BYTES_MAX } from './limits.ts'
import { developmentLayer, type Profile, profileOf } from './profile.ts'
import { type Config, configSchema } from './schema.ts'
import { type Environment, type Layer, readEnvironment, readFlags } from './sources.ts'
import { keyOf, notesAt, optionsByKey, type Path } from './tree.ts'

export type LoadedConfig = Readonly<{
  config: Config
  profile: Profile
  /** Path of the configuration file, as it was given. */
  file: string | undefined
}>

export type LoadInput = Readonly<{
  /** Flags only, without a command. */
  argv: readonly string[]
  env?: Environment
  readFile?: (path: string) => string
}>

/** @throws ConfigError with one message that names the key, the value, where it was set and what is allowed. */
export function loadConfig({
  argv,
  env = process.env,
  readFile = readFileSyncUtf8,
}: LoadInput): LoadedConfig {
  const flags = readFlags(argv)
  const environment = readEnvironment(env)
  const file = flags.file ?? environment.file
  const profile = profileOf(file?.path, [flags.layer, environment.layer])
  const base = file === undefined ? emptyLayer : readConfigText(textOf(file, readFile), file.path)
  const lowest = profile === 'development' ? developmentLayer : emptyLayer
  // Of equal keys the last counts.
  const settings: Layer = new Map([...lowest, ...base, ...environment.layer, ...flags.layer])

  const parsed = configSchema.safeParse(treeOf(settings))
  if (!parsed.success) throw new ConfigError(messageOfIssue(parsed.error.issues[0]!, settings))
  const config = parsed.data
  const conflict = findConflict(config) ?? (profile === 'development' ? findOpenAddress(config) : undefined)
  if (conflict !== undefined) throw new ConfigError(messageOfConflict(conflict, settings))
  return { config, profile, file: file?.path }
}

const emptyLayer: Layer = new Map()

function readFileSyncUtf8(path: string): string {
  return readFileSync(path, 'utf8')
}

function textOf(file: { path: string; origin: string }, readFile: (path: string) => string): string {
  let text: string
  try {
    text = readFile(file.path)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    throw new ConfigError(
      `the configuration file ${JSON.stringify(file.path)} (${file.origin}) can't be read: ${code}`,
    )
  }
  if (Buffer.byteLength(text) > CONFIG_FILE_BYTES_MAX) {
    throw new ConfigError(
      `the configuration file ${JSON.stringify(file.path)} (${file.origin}) is larger than ${CONFIG_FILE_BYTES_MAX} bytes`,
    )
  }
  return text
}

type Tree = { [key: string]: unknown }

/** Only keys of the schema are in the layers, so none of them can reach into a prototype. */
function treeOf(settings: Layer): Tree {
  const tree: Tree = {}
  for (const [key, { value }] of settings) {
    const path = optionsByKey.get(key)!.path
    let section = tree
    for (const name of path.slice(0, -1)) {
      section[name] ??= {}
      section = section[name] as Tree
    }
    section[path.at(-1)!] = value
  }
  return tree
}

function messageOfIssue(issue: z.core.$ZodIssue, settings: Layer): string {
  const path = issue.path as Path
  if (issue.code === 'unrecognized_keys') {
    const unknown = [...path, issue.keys[0]!]
    return unknownKeyMessage(unknown, placeOf(unknown, settings).origin)
  }
  const notes = notesAt(path)
  const allowed =
    notes.kind === 'section'
      ? `a section with the keys ${Object.keys(notes.shape).join(', ')}`
      : notes.allowed
  return messageOfConflict({ path, why: `it must be ${allowed}` }, settings)
}

function messageOfConflict({ path, why }: Conflict, settings: Layer): string {
  const { shown, origin } = placeOf(path, settings)
  return `${keyOf(path)}: ${shown} is not allowed (${origin}); ${why}`
}

/** What stands at a path, as text for a message, and where it was written. */
function placeOf(path: Path, settings: Layer): { shown: string; origin: string } {
  const notes = notesAt(path)
  const secret = 'secret' in notes && notes.secret
  const defaultValue = 'defaultValue' in notes ? notes.defaultValue : undefined
  // Lists are one setting; what is inside them has the origin of the list.
  const depth = path.findIndex(part => typeof part === 'number')
  const key = keyOf(depth < 0 ? path : path.slice(0, depth))
  const setting = settings.get(key)
  const value = depth < 0 ? setting?.value : path.slice(depth).reduce(valueInside, setting?.value)
  if (setting === undefined || (value === undefined && defaultValue !== undefined)) {
    return { shown: showValue(defaultValue, secret), origin: 'the default' }
  }
  return { shown: showValue(value, secret), origin: setting.originOf(path) }
}

function valueInside(value: unknown, part: string | number): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, part)
    ? (value as Tree)[part]
    : undefined
}

const SHOWN_LENGTH_MAX = 120

function showValue(value: unknown, secret: boolean): string {
  if (secret) return '(hidden)'
  const shown = JSON.stringify(value) ?? 'nothing'
  return shown.length > SHOWN_LENGTH_MAX ? `${shown.slice(0, SHOWN_LENGTH_MAX)}…` : shown
}
