// The plain protocol of the servers that have none of their own (raw uWebSockets.js, ws): lines of a letter, the
// channel and the data. What subscribers get is a JSON text, as one would send it. Pure; servers and dialects share it.

import type { Dialect } from '../generator/dialect.ts'
import { NONE, OK } from './peer.ts'

const SUBSCRIBE = 'S'
const PUBLISH = 'P'
/** Ends the channel's name. */
const SPACE = ' '

export type Command =
  | Readonly<{ kind: 'subscribe'; channel: string; answer: string }>
  | Readonly<{ kind: 'publish'; channel: string; message: string }>

/** What a client sent: several commands may share a frame, as with the relay. */
export function readCommands(frame: string): Command[] {
  return frame.split('\n').map(line => {
    const end = line.indexOf(SPACE)
    const channel = line.slice(1, end)
    const rest = line.slice(end + 1)
    if (line[0] === SUBSCRIBE) return { kind: 'subscribe', channel, answer: answerTo(rest) }
    return { kind: 'publish', channel, message: `{"channel":"${channel}","data":${rest}}` }
  })
}

function answerTo(id: string): string {
  return `{"subscribed":${id}}`
}

export function linesDialect(name: string): Dialect {
  return {
    name,
    path: '/',
    opcode: 'text',
    connected: () => OK,
    subscribe: (id, channel) => `${SUBSCRIBE}${channel}${SPACE}${id}`,
    subscribed: (received, id) => (received.includes(answerTo(String(id))) ? OK : NONE),
    publish: (_id, channel, data) => `${PUBLISH}${channel}${SPACE}${data}`,
    lines: true,
  }
}
