// Peer: Socket.IO over WebSocket. Dialect: Engine.IO v4 packets (one a frame) with Socket.IO v5 packets inside.

import { createRequire } from 'node:module'
import type { Dialect } from '../generator/dialect.ts'
import { NONE, OK, type Peer } from './peer.ts'
import { startScript } from './program.ts'

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
  dialect: import.meta.url,
  version: async () => VERSION,
  install: 'npm install',
  start: () => startScript('socketio'),
}

const VERSION: string = createRequire(import.meta.url)('socket.io/package.json').version
