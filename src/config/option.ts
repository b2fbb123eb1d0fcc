// The kinds of options that a configuration is made of: each makes a zod schema that knows how to explain itself.
// Main thread, at start. Invariant: every schema made here has its notes, so that no message has to guess.

import { z } from 'zod'
import { formatDuration, parseDuration } from './duration.ts'

export type OptionKind = 'boolean' | 'integer' | 'duration' | 'text' | 'choice' | 'list'

export type OptionNotes = Readonly<{
  kind: OptionKind
  description: string
  /** As one writes it in a file: durations are texts. */
  defaultValue: boolean | number | string | readonly string[]
  /** Type, bounds and unit; ends the sentence "it must be …". */
  allowed: string
  /** Never shown, not even in the message that refuses it. */
  secret: boolean
}>

export type SectionNotes = Readonly<{
  kind: 'section'
  description: string
  shape: Readonly<Record<string, z.ZodType>>
}>

export type SectionListNotes = Readonly<{
  kind: 'sections'
  description: string
  allowed: string
  element: SectionNotes
}>

export type Notes = OptionNotes | SectionNotes | SectionListNotes

const notesBySchema = new WeakMap<z.ZodType, Notes>()

export function notesOf(schema: z.ZodType): Notes {
  const notes = notesBySchema.get(schema)
  if (notes === undefined) throw new TypeError('a schema of the configuration was not made in option.ts')
  return notes
}

function noted<S extends z.ZodType>(schema: S, notes: Notes): S {
  notesBySchema.set(schema, notes)
  return schema
}

export function flag(description: string, defaultValue = false) {
  return noted(z.boolean().prefault(defaultValue), {
    kind: 'boolean',
    description,
    defaultValue,
    allowed: 'true or false',
    secret: false,
  })
}

type IntegerRule = Readonly<{
  default: number
  min: number
  max: number
  unit?: string
  /** A further rule and the words for it, "a power of two" say. */
  also?: readonly [string, (value: number) => boolean]
}>

export function integer(rule: IntegerRule, description: string) {
  const [alsoText, alsoTrue] = rule.also ?? ['an integer', () => true]
  return noted(z.int().min(rule.min).max(rule.max).refine(alsoTrue).prefault(rule.default), {
    kind: 'integer',
    description,
    defaultValue: rule.default,
    allowed: `${alsoText} from ${rule.min} to ${rule.max}${rule.unit === undefined ? '' : ` (${rule.unit})`}`,
    secret: false,
  })
}

type DurationRule = Readonly<{ default: string; min: string; max: string }>

export function duration(rule: DurationRule, description: string) {
  const minMs = parseDuration(rule.min)!
  const maxMs = parseDuration(rule.max)!
  const schema = z.string().transform((text, context) => {
    const ms = parseDuration(text)
    if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms
    context.addIssue({ code: 'custom' })
    return z.NEVER
  })
  return noted(schema.prefault(rule.default), {
    kind: 'duration',
    description,
    defaultValue: rule.default,
    allowed: `a duration with its unit (ms, s, m, h), from "${formatDuration(minMs)}" to "${formatDuration(maxMs)}"`,
    secret: false,
  })
}

/** What is allowed where every text is. */
export const ANY_TEXT = 'a text'

type TextRule = Readonly<{
  default?: string
  allowed?: string
  accepts?: (text: string) => boolean
  secret?: boolean
}>

export function text(rule: TextRule, description: string) {
  const defaultValue = rule.default ?? ''
  return noted(
    z
      .string()
      .refine(rule.accepts ?? (() => true))
      .prefault(defaultValue),
    {
      kind: 'text',
      description,
      defaultValue,
      allowed: rule.allowed ?? ANY_TEXT,
      secret: rule.secret ?? false,
    },
  )
}

export function choice<const V extends string>(values: readonly V[], defaultValue: V, description: string) {
  return noted(z.enum(values).prefault(defaultValue), {
    kind: 'choice',
    description,
    defaultValue,
    allowed: `one of ${values.map(value => JSON.stringify(value)).join(', ')}`,
    secret: false,
  })
}

type ListRule = Readonly<{ max: number; allowed: string; accepts: (list: readonly string[]) => boolean }>

export function list(rule: ListRule, description: string) {
  return noted(z.array(z.string()).max(rule.max).refine(rule.accepts).readonly().prefault([]), {
    kind: 'list',
    description,
    defaultValue: [],
    allowed: rule.allowed,
    secret: false,
  })
}

export function section<S extends Readonly<Record<string, z.ZodType>>>(description: string, shape: S) {
  // `{}` stands for "all defaults", which TypeScript can't see through a generic shape.
  return noted(
    z
      .strictObject(shape)
      .readonly()
      .prefault({} as never),
    { kind: 'section', description, shape },
  )
}

type SectionListRule = Readonly<{ max: number; allowed: string }>

export function sections<S extends Readonly<Record<string, z.ZodType>>>(
  shape: S,
  rule: SectionListRule,
  description: string,
) {
  return noted(z.array(z.strictObject(shape).readonly()).max(rule.max).readonly().prefault([]), {
    kind: 'sections',
    description,
    allowed: rule.allowed,
    element: { kind: 'section', description, shape },
  })
}
