// Frames between shards, and between them and the messenger: a MessagePack array as head and, where there is a payload, its bytes behind it, untouched.
// Any thread; pure. Only our own threads write them: nothing that a client sent is ever decoded with msgpackr.
// An ask has exactly one answer; a tell has none.

import { Packr } from 'msgpackr'
import { assert } from '../base/assert.ts'
import type { Call, Login } from './call.ts'
import type { ErrorCode } from './codes.ts'

/** What a thread can ask another: fields in wire order. `payload` names the field that travels as raw bytes. */
export type Asks = {
  publish: {
    ask: {
      channel: string
      /** Raw JSON of the data. */
      data: string
      /** A clientInfo text, '' for none (a publication of the API). */
      info: string
      /** Raw JSON of the tags, '' for none. */
      tags: string
      skipHistory: boolean
      /** '' for none. */
      idempotencyKey: string
    }
    answer: { epoch: string; offset: number }
  }
  subscribe: {
    ask: {
      channel: string
      client: string
      user: string
      /** A clientInfo text. */
      info: string
      presence: boolean
      emitsJoinLeave: boolean
      recover: boolean
      epoch: string
      offset: number
    }
    /** `publications`: JSON texts joined by commas. */
    answer: { epoch: string; offset: number; recovered: boolean; publications: string }
  }
  catchUp: {
    ask: { channel: string; epoch: string; offset: number; bytesMax: number }
    /** `lines`: push lines, each ended by a line break; `offset` of the last one; complete: it is the newest. */
    answer: { complete: boolean; offset: number; count: number; lines: string }
  }
  history: {
    ask: {
      channel: string
      limit: number
      countMax: number
      hasSince: boolean
      sinceEpoch: string
      sinceOffset: number
      reverse: boolean
    }
    answer: { epoch: string; offset: number; publications: string }
  }
  historyRemove: { ask: { channel: string }; answer: { removed: number } }
  presence: { ask: { channel: string }; answer: { members: string } }
  presenceStats: { ask: { channel: string }; answer: { clients: number; users: number } }
  /** Channels at home on the asked shard that have subscribers; `channels`: JSON members joined by commas. */
  channels: { ask: { pattern: string }; answer: { channels: string } }
  /** An operation of the server API on the sessions of a user at the asked shard; `order` is JSON. */
  sessions: { ask: { order: string }; answer: { sessions: number } }
  /** To the messenger. `data`: raw JSON. `login`: JSON of the login that the connection has from now on, '' for none. */
  call: { ask: Call; answer: { data: string; login: string } }
  /** To the messenger; `admission` is JSON. */
  admit: { ask: Login; answer: { admission: string } }
}

export type AskKind = keyof Asks
export type Ask<K extends AskKind> = Asks[K]['ask']
export type Answer<K extends AskKind> = Asks[K]['answer']

export type Tells = {
  /** From a home: a publication for the subscribers there. `line`: the push, without its line break. */
  deliver: { channel: string; offset: number; acceptedUs: number }
  /** From a home: a join or leave event for those who watch. */
  announce: { channel: string }
  /** To a home: the subscription of a member has ended. */
  leave: { channel: string; client: string; presence: boolean; emitsJoinLeave: boolean }
  /** To a new home, after the old one was lost: who was a member. */
  restore: {
    channel: string
    client: string
    user: string
    info: string
    presence: boolean
    emitsJoinLeave: boolean
  }
  /** From the messenger: something that a shard keeps itself (a lock, say) has changed. The payload is a text. */
  notice: { topic: string }
}

export type TellKind = keyof Tells

type Shape = Readonly<{ number: number; fields: readonly string[]; payload?: string }>

const ASK_SHAPES: { readonly [K in AskKind]: Shape & { readonly answer: Omit<Shape, 'number'> } } = {
  publish: {
    number: 1,
    fields: ['channel', 'info', 'tags', 'skipHistory', 'idempotencyKey'],
    payload: 'data',
    answer: { fields: ['epoch', 'offset'] },
  },
  subscribe: {
    number: 2,
    fields: ['channel', 'client', 'user', 'info', 'presence', 'emitsJoinLeave', 'recover', 'epoch', 'offset'],
    answer: { fields: ['epoch', 'offset', 'recovered'], payload: 'publications' },
  },
  catchUp: {
    number: 3,
    fields: ['channel', 'epoch', 'offset', 'bytesMax'],
    answer: { fields: ['complete', 'offset', 'count'], payload: 'lines' },
  },
  history: {
    number: 4,
    fields: ['channel', 'limit', 'countMax', 'hasSince', 'sinceEpoch', 'sinceOffset', 'reverse'],
    answer: { fields: ['epoch', 'offset'], payload: 'publications' },
  },
  historyRemove: { number: 5, fields: ['channel'], answer: { fields: ['removed'] } },
  presence: { number: 6, fields: ['channel'], answer: { fields: [], payload: 'members' } },
  presenceStats: { number: 7, fields: ['channel'], answer: { fields: ['clients', 'users'] } },
  channels: { number: 8, fields: ['pattern'], answer: { fields: [], payload: 'channels' } },
  sessions: { number: 9, fields: [], payload: 'order', answer: { fields: ['sessions'] } },
  call: {
    number: 10,
    fields: ['method', 'who', 'client', 'address', 'device', 'transport'],
    payload: 'data',
    answer: { fields: ['login'], payload: 'data' },
  },
  admit: {
    number: 11,
    fields: ['user', 'session'],
    answer: { fields: [], payload: 'admission' },
  },
}

const TELL_SHAPES: { readonly [K in TellKind]: Shape } = {
  deliver: { number: 33, fields: ['channel', 'offset', 'acceptedUs'] },
  announce: { number: 34, fields: ['channel'] },
  leave: { number: 35, fields: ['channel', 'client', 'presence', 'emitsJoinLeave'] },
  restore: { number: 36, fields: ['channel', 'client', 'user', 'info', 'presence', 'emitsJoinLeave'] },
  notice: { number: 37, fields: ['topic'] },
}

const ANSWER = 64
const FAILURE = 65

const packr = new Packr({ useRecords: false })

type Fields = Record<string, unknown>
export type Encoded = Readonly<{ head: Uint8Array; payload: string }>

export function encodeAsk<K extends AskKind>(kind: K, seq: number, ask: Ask<K>): Encoded {
  return encode([ASK_SHAPES[kind].number, seq], ASK_SHAPES[kind], ask)
}

export function encodeAnswer<K extends AskKind>(kind: K, seq: number, answer: Answer<K>): Encoded {
  return encode([ANSWER, seq], ASK_SHAPES[kind].answer, answer)
}

export function encodeFailure(seq: number, error: ErrorCode): Encoded {
  const { code, message, temporary, retryAfterMs } = error
  const values = [FAILURE, seq, code, message, temporary]
  if (retryAfterMs !== undefined) values.push(retryAfterMs)
  return { head: packr.pack(values), payload: '' }
}

/** The head of a tell; its payload, if any, is the caller's. */
export function encodeTell<K extends TellKind>(kind: K, tell: Tells[K]): Uint8Array {
  return encode([TELL_SHAPES[kind].number], TELL_SHAPES[kind], tell).head
}

export type Received =
  | { [K in AskKind]: { type: 'ask'; kind: K; seq: number; ask: Ask<K> } }[AskKind]
  | { [K in TellKind]: { type: 'tell'; kind: K; tell: Tells[K] } }[TellKind]
  | { type: 'answer'; seq: number; values: unknown[] }
  | { type: 'failure'; seq: number; error: ErrorCode }

/**
 * Decodes a head. `payloadText` is called for asks that have a payload, before this returns: the bytes are a view
 * on the ring. Payloads of tells and answers are the receiver's to read.
 */
export function decodeHead(head: Uint8Array, payloadText: () => string): Received {
  const values = packr.unpack(head) as unknown[]
  const number = values[0] as number
  if (number === ANSWER) return { type: 'answer', seq: values[1] as number, values: values.slice(2) }
  if (number === FAILURE) {
    const [, seq, ...failure] = values as [number, number, number, string, boolean, number?]
    const [code, message, temporary, retryAfterMs] = failure
    const error = { code, message, temporary, ...(retryAfterMs !== undefined && { retryAfterMs }) }
    return { type: 'failure', seq, error }
  }
  const tell = TELLS_BY_NUMBER.get(number)
  if (tell !== undefined) {
    return { type: 'tell', kind: tell, tell: record(TELL_SHAPES[tell], values, 1) } as unknown as Received
  }
  const kind = ASKS_BY_NUMBER.get(number)
  assert(kind !== undefined, `a frame of unknown kind ${number}`)
  const ask = record(ASK_SHAPES[kind], values, 2)
  const { payload } = ASK_SHAPES[kind]
  if (payload !== undefined) ask[payload] = payloadText()
  return { type: 'ask', kind, seq: values[1] as number, ask } as unknown as Received
}

/** The answer to an ask of this kind, from what decodeHead gave. */
export function answerOf<K extends AskKind>(
  kind: K,
  values: unknown[],
  payloadText: () => string,
): Answer<K> {
  const shape = ASK_SHAPES[kind].answer
  const answer = record(shape, values, 0)
  if (shape.payload !== undefined) answer[shape.payload] = payloadText()
  return answer as Answer<K>
}

const ASKS_BY_NUMBER = byNumber(ASK_SHAPES)
const TELLS_BY_NUMBER = byNumber(TELL_SHAPES)

function byNumber<K extends string>(shapes: { readonly [Key in K]: Shape }): Map<number, K> {
  return new Map((Object.keys(shapes) as K[]).map(kind => [shapes[kind].number, kind]))
}

function encode(start: unknown[], shape: Omit<Shape, 'number'>, body: Fields): Encoded {
  for (const field of shape.fields) start.push(body[field])
  return {
    head: packr.pack(start),
    payload: shape.payload === undefined ? '' : (body[shape.payload] as string),
  }
}

function record(shape: Omit<Shape, 'number'>, values: unknown[], from: number): Fields {
  const fields: Fields = {}
  for (let i = 0; i < shape.fields.length; i++) fields[shape.fields[i]!] = values[from + i]
  return fields
}
