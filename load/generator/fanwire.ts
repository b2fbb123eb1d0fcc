// How one speaks with fanwire: the client protocol in JSON (docs/protocol.md), over WebSocket and TCP alike. Pure.
// Invariant: nothing here parses a publication; answers are read by their beginning and, where they are, their end.

import type { Answer, Dialect } from './dialect.ts'

const NONE: Answer = { state: 'none' }

const REPLY = '{"id":'
const PUBLICATIONS = Buffer.from(',"publications":[')
/** Of a subscribe result: what stands behind the publications, however long these are. */
const TAIL_BYTES = 200
/** Enough of an error, or of an answer's beginning. */
const HEAD_BYTES = 400
const CHANNEL_OF_PUSH = '{"push":{"channel":"'

/** The id of a reply; undefined: something else. */
function idOf(message: Buffer): number | undefined {
  if (message.length <= REPLY.length || message.toString('latin1', 0, REPLY.length) !== REPLY)
    return undefined
  const id = Number.parseInt(message.toString('latin1', REPLY.length, REPLY.length + 11), 10)
  return Number.isNaN(id) ? undefined : id
}

function errorOf(head: string): string | undefined {
  const found = /^\{"id":\d+,"error":\{"code":(\d+),"message":"((?:[^"\\]|\\.)*)"/.exec(head)
  return found === null ? undefined : `error ${found[1]}: ${found[2]}`
}

function answerOf(message: Buffer, id: number, read: (head: string) => Answer): Answer {
  if (idOf(message) !== id) return NONE
  const head = message.toString('latin1', 0, HEAD_BYTES)
  const reason = errorOf(head)
  return reason === undefined ? read(head) : { state: 'error', reason }
}

/** The result may hold half a MiB of publications, which are not looked at. */
function subscriptionOf(message: Buffer): Answer {
  const publicationsAt = message.indexOf(PUBLICATIONS)
  const withPublications = publicationsAt >= 0
  const head = message.toString('latin1', 0, withPublications ? publicationsAt : message.length)
  const tail = withPublications ? message.toString('latin1', Math.max(0, message.length - TAIL_BYTES)) : head
  const afterList = tail.slice(tail.lastIndexOf(']') + 1)
  const flags = withPublications ? afterList : head
  const epoch = /"epoch":"([^"]*)"/.exec(head)?.[1]
  const offset = Number(/"offset":(\d+)/.exec(head)?.[1] ?? 0)
  return {
    state: 'ok',
    recovered: flags.includes('"recovered":true'),
    wasRecovering: flags.includes('"was_recovering":true'),
    ...(epoch === undefined ? {} : { position: { epoch, offset } }),
  }
}

const OFFSET = Buffer.from('"offset":')
const QUOTE = 0x22
const COLON = 0x3a
/** The last one of the field's name. */
const LETTER_T = 0x74
const ZERO = 0x30

/** The offset nearly always stands at the end, before the three closing braces: read backwards. */
function offsetOf(bytes: Buffer, from: number, end: number): number | undefined {
  let at = end - 4
  let offset = 0
  for (let unit = 1; isDigit(bytes[at]!); at--, unit *= 10) offset += (bytes[at]! - ZERO) * unit
  if (bytes[at] === COLON && bytes[at - 1] === QUOTE && bytes[at - 2] === LETTER_T) return offset
  // Tags follow it, or there is none.
  const found = bytes.lastIndexOf(OFFSET, end - OFFSET.length)
  if (found < from) return undefined
  const digitsAt = found + OFFSET.length
  return Number.parseInt(bytes.toString('latin1', digitsAt, digitsAt + 16), 10)
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9
}

const DISCONNECT = '{"push":{"disconnect":{"code":'
const UNSUBSCRIBE = /^\{"push":\{"channel":"((?:[^"\\]|\\.)*)","unsubscribe":\{"code":(\d+)/

function endedOf(message: Buffer): ReturnType<NonNullable<Dialect['ended']>> {
  const head = message.toString('latin1', 0, HEAD_BYTES)
  if (head.startsWith(DISCONNECT)) return { code: Number.parseInt(head.slice(DISCONNECT.length), 10) }
  if (!head.startsWith(CHANNEL_OF_PUSH)) return undefined
  const found = UNSUBSCRIBE.exec(head)
  return found === null ? undefined : { code: Number(found[2]), channel: found[1]! }
}

export const dialect: Dialect = {
  name: 'fanwire',
  path: '/connection/websocket',
  opcode: 'text',
  lines: true,
  connect: (id, token) =>
    `{"id":${id},"connect":{${token === undefined ? '' : `"token":${JSON.stringify(token)}`}}}`,
  connected: received => answerOf(received, 1, () => ({ state: 'ok' })),
  subscribe: (id, channel, from) => {
    const recover =
      from === undefined
        ? ''
        : `,"recover":true,"epoch":${JSON.stringify(from.epoch)},"offset":${from.offset}`
    // Where the namespace neither forces nor allows recovery, the wish is passed over.
    return `{"id":${id},"subscribe":{"channel":${JSON.stringify(channel)},"recoverable":true${recover}}}`
  },
  subscribed: (received, id) => answerOf(received, id, () => subscriptionOf(received)),
  unsubscribe: (id, channel) => `{"id":${id},"unsubscribe":{"channel":${JSON.stringify(channel)}}}`,
  publish: (id, channel, data) => `{"id":${id},"publish":{"channel":"${channel}","data":${data}}}`,
  answers(message, answered) {
    const id = idOf(message)
    if (id !== undefined) answered(id, errorOf(message.toString('latin1', 0, HEAD_BYTES)))
  },
  pong: message => (message.length === 2 && message.toString('latin1') === '{}' ? '{}' : undefined),
  offset: offsetOf,
  ended: endedOf,
}
