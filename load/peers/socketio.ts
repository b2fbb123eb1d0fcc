// Peer: Socket.IO over WebSocket. Dialect: Engine.IO v4 packets (one a frame) with Socket.IO v5 packets inside.

import type { Dialect } from '../generator/dialect.ts'
import { NONE, OK, type Peer, targetOf } from './peer.ts'
import { packageVersion, startScript } from './program.ts'

const PING = '2'
const PONG = '3'
const CONNECT = '40'
const CONNECT_ERROR = '44'
const EVENT = '42'
const ACK = '43'

export const dialect: Dialect = {
  name: 'socketio',
  path: '/socket.io/?EIO=4&transport=websocket',
  opcode: 'text',
  connect: () => CONNECT,
  connected(received) {
    const text = received.toString('latin1')
    if (text.includes(`${CONNECT_ERROR}{`)) return { state: 'error', reason: text }
    return text.includes(`${CONNECT}{`) ? OK : NONE
  },
  subscribe: (id, channel) => `${EVENT}${id}["subscribe","${channel}"]`,
  subscribed: (received, id) => (received.includes(`${ACK}${id}[`) ? OK : NONE),
  publish: (_id, channel, data) => `${EVENT}["publish","${channel}",${data}]`,
  pong: message => (message.length === 1 && message.toString('latin1') === PING ? PONG : undefined),
  lines: false,
}

export const peer: Peer = {
  name: 'socketio',
  title: 'Socket.IO',
  settings:
    'one thread, a room for each channel, WebSocket only, no compression, the first HTTP request let go ' +
    '(as its documentation tells), its default WebSocket engine (ws)',
  version: async () => packageVersion('socket.io'),
  install: 'npm install',
  start: async () => targetOf(peer, import.meta.url, dialect, await startScript('socketio')),
}
