// Reads one JSON command of the client protocol into a record of known shape. Any thread; pure.
// Invariant: nothing of the input reaches the rest of the program but strings, finite numbers and booleans that
// were checked here, and payloads as the raw text the client wrote.
// Fields: notes of the Centrifuge client protocol, version 2 (definitions/client.proto of centrifugal/protocol).

import { rawMember } from './raw-json.ts'

export type Position = Readonly<{ epoch: string; offset: number }>

export type SubscribeRequest = Readonly<{
  channel: string
  token: string
  recover: boolean
  epoch: string
  offset: number
  positioned: boolean
  recoverable: boolean
  joinLeave: boolean
}>

export type Command =
  | Readonly<{
      kind: 'connect'
      id: number
      token: string
      subs: SubscribeRequest[]
      name: string
      version: string
    }>
  | Readonly<{ kind: 'subscribe'; id: number; request: SubscribeRequest }>
  | Readonly<{ kind: 'unsubscribe'; id: number; channel: string }>
  | Readonly<{ kind: 'publish'; id: number; channel: string; data: string }>
  | Readonly<{
      kind: 'history'
      id: number
      channel: string
      limit: number
      since: Position | undefined
      reverse: boolean
    }>
  | Readonly<{ kind: 'presence'; id: number; channel: string }>
  | Readonly<{ kind: 'presence_stats'; id: number; channel: string }>
  | Readonly<{ kind: 'rpc'; id: number; method: string; data: string }>
  | Readonly<{ kind: 'refresh'; id: number; token: string }>
  | Readonly<{ kind: 'sub_refresh'; id: number; channel: string; token: string }>
  | Readonly<{ kind: 'ping'; id: number }>
  | Readonly<{ kind: 'send'; id: 0; data: string }>
  | Readonly<{ kind: 'pong'; id: 0 }>

export type CommandKind = Command['kind']

export type ReadResult =
  | Readonly<{ kind: 'command'; command: Command }>
  /** The command can be answered: error 107 with this text. */
  | Readonly<{ kind: 'refused'; id: number; why: string }>
  /** Not a command at all: the connection ends with 3501. */
  | Readonly<{ kind: 'malformed'; why: string }>

/** Lengths that official SDKs keep to (client_protocol.md of Centrifugo). */
const CLIENT_NAME_LENGTH_MAX = 16
const CLIENT_VERSION_LENGTH_MAX = 64
/** A resubscribe batch in `connect` is bounded by the frame; the count is bounded here as well. */
const CONNECT_SUBS_MAX = 1024
const METHOD_LENGTH_MAX = 255
const EPOCH_LENGTH_MAX = 64
const ID_MAX = 0xffff_ffff

const METHODS = [
  'connect',
  'subscribe',
  'unsubscribe',
  'publish',
  'history',
  'presence',
  'presence_stats',
  'rpc',
  'refresh',
  'sub_refresh',
  'ping',
  'send',
] as const
type Method = (typeof METHODS)[number]

/** A command as JSON text, without its line break. */
export function readCommand(text: string): ReadResult {
  let root: unknown
  try {
    root = JSON.parse(text)
  } catch {
    return { kind: 'malformed', why: 'not JSON' }
  }
  if (!isRecord(root)) return { kind: 'malformed', why: 'a command is a JSON object' }
  const method = METHODS.find(name => root[name] !== undefined && root[name] !== null)
  const id = root.id ?? 0
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > ID_MAX) {
    return { kind: 'malformed', why: 'id is a whole number from 1 to 4294967295' }
  }
  if (method === undefined) {
    const unknown = Object.keys(root).find(key => key !== 'id')
    if (unknown === undefined && id === 0) return { kind: 'command', command: { kind: 'pong', id: 0 } }
    const why =
      unknown === undefined
        ? 'no command beside the id'
        : `unknown command "${unknown.slice(0, 32).toWellFormed()}"`
    return { kind: 'malformed', why }
  }
  if (id === 0 && method !== 'send') return { kind: 'malformed', why: `${method} needs an id` }
  const body = root[method]
  if (!isRecord(body)) return refuse(id, `${method} is an object`)
  return readBody(method, id, body, text)
}

/** A `send` has no id, so there is nobody to tell what was wrong but the connection itself. */
function refuse(id: number, why: string): ReadResult {
  return id === 0 ? { kind: 'malformed', why } : { kind: 'refused', id, why }
}

function readBody(method: Method, id: number, body: Record<string, unknown>, text: string): ReadResult {
  try {
    const command = commandOf(method, id, new Fields(method, body, text))
    return { kind: 'command', command }
  } catch (error) {
    if (!(error instanceof WrongField)) throw error
    return refuse(id, error.message)
  }
}

function commandOf(kind: Method, id: number, fields: Fields): Command {
  switch (kind) {
    case 'connect':
      return {
        kind,
        id,
        token: fields.text('token'),
        subs: fields.subscriptions('subs'),
        name: fields.text('name', CLIENT_NAME_LENGTH_MAX),
        version: fields.text('version', CLIENT_VERSION_LENGTH_MAX),
      }
    case 'subscribe':
      return { kind, id, request: subscribeRequest(fields.channel(), fields) }
    case 'publish':
      return { kind, id, channel: fields.channel(), data: fields.payload() }
    case 'unsubscribe':
    case 'presence':
    case 'presence_stats':
      return { kind, id, channel: fields.channel() }
    case 'history':
      return {
        kind,
        id,
        channel: fields.channel(),
        limit: fields.wholeNumber('limit', -1),
        since: fields.position('since'),
        reverse: fields.flag('reverse'),
      }
    case 'rpc':
      return { kind, id, method: fields.text('method', METHOD_LENGTH_MAX), data: fields.optionalPayload() }
    case 'refresh':
      return { kind, id, token: fields.text('token') }
    case 'sub_refresh':
      return { kind, id, channel: fields.channel(), token: fields.text('token') }
    case 'ping':
      return { kind, id }
    case 'send':
      return { kind, id: 0, data: fields.optionalPayload() }
  }
}

function subscribeRequest(channel: string, fields: Fields): SubscribeRequest {
  return {
    channel,
    token: fields.text('token'),
    recover: fields.flag('recover'),
    epoch: fields.text('epoch', EPOCH_LENGTH_MAX),
    offset: fields.wholeNumber('offset', 0),
    positioned: fields.flag('positioned'),
    recoverable: fields.flag('recoverable'),
    joinLeave: fields.flag('join_leave'),
  }
}

class WrongField extends Error {}

/** Typed reads of one command's fields; absent and null are the zero value, as in protobuf's JSON. */
class Fields {
  readonly #method: string
  readonly #body: Record<string, unknown>
  readonly #text: string

  constructor(method: string, body: Record<string, unknown>, text: string) {
    this.#method = method
    this.#body = body
    this.#text = text
  }

  text(name: string, lengthMax = Number.POSITIVE_INFINITY): string {
    const value = this.#body[name] ?? ''
    if (typeof value !== 'string') throw this.#wrong(name, 'is a string')
    if (value.length > lengthMax) throw this.#wrong(name, `has at most ${lengthMax} characters`)
    if (!value.isWellFormed()) throw this.#wrong(name, 'has a lone surrogate, which is no Unicode text')
    return value
  }

  channel(): string {
    const channel = this.text('channel')
    if (channel === '') throw this.#wrong('channel', 'is required')
    return channel
  }

  flag(name: string): boolean {
    const value = this.#body[name] ?? false
    if (typeof value !== 'boolean') throw this.#wrong(name, 'is true or false')
    return value
  }

  wholeNumber(name: string, min: number): number {
    const value = this.#body[name] ?? 0
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min) {
      throw this.#wrong(name, `is a whole number from ${min}`)
    }
    return value
  }

  position(name: string): Position | undefined {
    const value = this.#body[name]
    if (value === undefined || value === null) return undefined
    if (!isRecord(value)) throw this.#wrong(name, 'is an object with offset and epoch')
    const fields = new Fields(`${this.#method}.${name}`, value, this.#text)
    return { epoch: fields.text('epoch', EPOCH_LENGTH_MAX), offset: fields.wholeNumber('offset', 0) }
  }

  subscriptions(name: string): SubscribeRequest[] {
    const value = this.#body[name]
    if (value === undefined || value === null) return []
    if (!isRecord(value)) throw this.#wrong(name, 'is an object: channel → subscribe request')
    const channels = Object.keys(value)
    if (channels.length > CONNECT_SUBS_MAX)
      throw this.#wrong(name, `has at most ${CONNECT_SUBS_MAX} channels`)
    return channels.map(channel => {
      const request = value[channel]
      if (!channel.isWellFormed() || channel === '')
        throw this.#wrong(name, 'has a channel without a proper name')
      if (!isRecord(request)) throw this.#wrong(name, 'has a subscribe request that is not an object')
      return subscribeRequest(channel, new Fields(`${this.#method}.${name}`, request, this.#text))
    })
  }

  payload(): string {
    const data = this.#raw()
    if (data === undefined || data === 'null') throw this.#wrong('data', 'is required')
    return data
  }

  optionalPayload(): string {
    return this.#raw() ?? ''
  }

  #raw(): string | undefined {
    const found = rawMember(this.#text, 'data', this.#method)
    if (found.kind === 'too_deep') throw this.#wrong('data', 'nests deeper than 64 levels')
    return found.kind === 'found' ? found.text : undefined
  }

  #wrong(name: string, rule: string): WrongField {
    return new WrongField(`${this.#method}.${name} ${rule}`)
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
