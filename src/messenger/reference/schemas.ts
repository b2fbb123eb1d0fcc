// The schemas of methods as JSON Schema, as the reference shows them. Any thread; used when it is written.

import { z } from 'zod'
import type { Method } from '../method.ts'

/** What of JSON Schema ours use. */
export type Schema = Readonly<{
  $ref?: string
  type?: string
  description?: string
  const?: unknown
  enum?: readonly unknown[]
  default?: unknown
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  format?: string
  minItems?: number
  maxItems?: number
  items?: Schema
  properties?: Readonly<Record<string, Schema>>
  required?: readonly string[]
  additionalProperties?: boolean | Schema
  propertyNames?: Schema
  anyOf?: readonly Schema[]
  oneOf?: readonly Schema[]
  $defs?: Readonly<Record<string, Schema>>
}>

const RECORD_PREFIX = '#/$defs/'

/** The name of the record that a schema stands for; undefined: it stands for itself. */
export function recordOf(schema: Schema): string | undefined {
  return schema.$ref?.startsWith(RECORD_PREFIX) ? schema.$ref.slice(RECORD_PREFIX.length) : undefined
}

export type DescribedMethod = Readonly<{ method: Method; input: Schema; output: Schema }>
export type Description = Readonly<{
  methods: readonly DescribedMethod[]
  /** By name. */
  records: ReadonlyMap<string, Schema>
}>

/** Those that anybody but our own shards can call. */
export function describeMethods(methods: Iterable<Method>): Description {
  const records = new Map<string, Schema>()
  const described = [...methods]
    .filter(({ access }) => access !== 'shard')
    .map(method => ({
      method,
      input: plainSchema(method.input, 'input', records),
      output: plainSchema(method.output, 'output', records),
    }))
  return { methods: described, records: new Map([...records].sort(([a], [b]) => (a < b ? -1 : 1))) }
}

function plainSchema(type: z.ZodType, io: 'input' | 'output', records: Map<string, Schema>): Schema {
  const { $defs = {}, ...schema } = simplified(z.toJSONSchema(type, { io })) as Schema
  for (const [name, record] of Object.entries($defs)) records.set(name, record)
  return schema
}

/** Without what says nothing: the bounds of all integers of JavaScript, and that answers have no other fields (yet). */
function simplified(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(simplified)
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(
    ([name, entry]) =>
      name !== '$schema' &&
      !(name === 'additionalProperties' && entry === false) &&
      !(name === 'maximum' && entry === Number.MAX_SAFE_INTEGER) &&
      !(name === 'minimum' && entry === Number.MIN_SAFE_INTEGER),
  )
  return Object.fromEntries(kept.map(([name, entry]) => [name, simplified(entry)]))
}
