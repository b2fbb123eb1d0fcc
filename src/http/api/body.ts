// Typed reads of the body of an API request. Runs on a shard; pure.
// Invariant: unknown fields are refused, so that a misspelt option is never silently without effect.

import { detailed, type ErrorCode, errors } from '../../protocol/codes.ts'
import { rawMember } from '../../protocol/raw-json.ts'

export class ApiError extends Error {
  readonly error: ErrorCode

  constructor(error: ErrorCode) {
    super(error.message)
    this.error = error
  }
}

export function badRequest(why: string): ApiError {
  return new ApiError(detailed(errors.badRequest, why))
}

/** Options of Centrifugo's API that have no meaning here: tolerated while they are unset. */
const UNSUPPORTED = ['b64data', 'b64info', 'delta', 'version', 'version_epoch', 'session', 'key']

export class ApiBody {
  readonly #text: string
  readonly #fields: Readonly<Record<string, unknown>>
  readonly #path: string

  constructor(text: string, known: readonly string[], path = '') {
    this.#text = text
    this.#path = path
    this.#fields = parseObject(text, path)
    for (const name of Object.keys(this.#fields)) {
      if (known.includes(name)) continue
      if (!UNSUPPORTED.includes(name)) throw badRequest(`unknown field "${path}${name.slice(0, 64)}"`)
      if (Boolean(this.#fields[name]) === true) {
        throw new ApiError(detailed(errors.notAvailable, `"${path}${name}" is not supported`))
      }
    }
  }

  text(name: string, lengthMax = 1024): string {
    const value = this.#fields[name] ?? ''
    if (typeof value !== 'string') throw badRequest(`${this.#path}${name} is a string`)
    if (value.length > lengthMax) throw badRequest(`${this.#path}${name} has at most ${lengthMax} characters`)
    if (!value.isWellFormed())
      throw badRequest(`${this.#path}${name} has a lone surrogate, which is no Unicode text`)
    return value
  }

  required(name: string): string {
    const value = this.text(name)
    if (value === '') throw badRequest(`${this.#path}${name} is required`)
    return value
  }

  flag(name: string): boolean {
    const value = this.#fields[name] ?? false
    if (typeof value !== 'boolean') throw badRequest(`${this.#path}${name} is true or false`)
    return value
  }

  wholeNumber(name: string, min: number): number {
    const value = this.#fields[name] ?? 0
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min) {
      throw badRequest(`${this.#path}${name} is a whole number from ${min}`)
    }
    return value
  }

  texts(name: string, countMax: number): string[] {
    const value = this.#fields[name] ?? []
    if (!Array.isArray(value)) throw badRequest(`${this.#path}${name} is a list of strings`)
    if (value.length > countMax) throw badRequest(`${this.#path}${name} has at most ${countMax} entries`)
    for (const entry of value) {
      if (typeof entry !== 'string' || !entry.isWellFormed())
        throw badRequest(`${this.#path}${name} is a list of strings`)
    }
    return value as string[]
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined && this.#fields[name] !== null
  }

  /** The exact text of a JSON value; undefined when it is absent or null. */
  raw(name: string): string | undefined {
    if (!this.has(name)) return undefined
    const found = rawMember(this.#text, name)
    if (found.kind === 'too_deep') throw badRequest(`${this.#path}${name} nests deeper than 64 levels`)
    return found.kind === 'found' ? found.text : undefined
  }

  /** An object within, to be read with the same care. */
  object(name: string, known: readonly string[]): ApiBody | undefined {
    const text = this.raw(name)
    return text === undefined ? undefined : new ApiBody(text, known, `${this.#path}${name}.`)
  }
}

function parseObject(text: string, path: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw badRequest('the body is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw badRequest(path === '' ? 'the body is a JSON object' : `${path.slice(0, -1)} is an object`)
  }
  return value as Record<string, unknown>
}
