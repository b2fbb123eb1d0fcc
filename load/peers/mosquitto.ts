// Peer: mosquitto over WebSocket. Dialect: MQTT 3.1.1, quality of service 0, a packet a frame.

import type { Dialect } from '../generator/dialect.ts'
import { NONE, OK, type Peer, targetOf } from './peer.ts'
import { startProgram, versionOf } from './program.ts'

const CONNECT = 0x10
const CONNACK = 0x20
const PUBLISH = 0x30
/** Its lower bits are fixed by the standard. */
const SUBSCRIBE = 0x82
const SUBACK = 0x90
const PROTOCOL_LEVEL = 4
const CLEAN_SESSION = 0x02
/** Of the quality of service in an answer to a subscription. */
const REFUSED = 0x80

/** Type and flags, the length in groups of seven bits, lowest first, and the rest. */
function packet(type: number, ...parts: readonly Buffer[]): Buffer {
  const header = [type]
  let rest = parts.reduce((bytes, part) => bytes + part.length, 0)
  do {
    const group = rest % 0x80
    rest = Math.floor(rest / 0x80)
    header.push(rest > 0 ? group | 0x80 : group)
  } while (rest > 0)
  return Buffer.concat([Buffer.from(header), ...parts])
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

function text(value: string): Buffer {
  return Buffer.concat([uint16(Buffer.byteLength(value)), Buffer.from(value)])
}

/** Of 16 bits, and never zero. */
function packetId(id: number): number {
  return (id % 0xffff) + 1
}

export const dialect: Dialect = {
  name: 'mosquitto',
  path: '/',
  subprotocol: 'mqtt',
  opcode: 'binary',
  // Without a name of its own the server gives one; without keep-alive nobody pings.
  connect: () =>
    packet(CONNECT, text('MQTT'), Buffer.from([PROTOCOL_LEVEL, CLEAN_SESSION]), uint16(0), text('')),
  connected(received) {
    const at = received.indexOf(Buffer.from([CONNACK, 2]))
    if (at < 0 || received.length < at + 4) return NONE
    const code = received[at + 3]!
    return code === 0 ? OK : { state: 'error', reason: `CONNACK ${code}` }
  },
  subscribe: (id, channel) => packet(SUBSCRIBE, uint16(packetId(id)), text(channel), Buffer.from([0])),
  subscribed(received, id) {
    const answer = Buffer.concat([Buffer.from([SUBACK, 3]), uint16(packetId(id))])
    const at = received.indexOf(answer)
    if (at < 0 || received.length < at + 5) return NONE
    return received[at + 4] === REFUSED ? { state: 'error', reason: 'SUBACK 128' } : OK
  },
  publish: (_id, channel, data) => packet(PUBLISH, text(channel), Buffer.from(data)),
  lines: false,
}

export const peer: Peer = {
  name: 'mosquitto',
  title: 'Mosquitto, WebSocket',
  settings:
    'one thread, quality of service 0, 100,000 messages may wait for a client (not 1,000: it drops beyond), ' +
    'TCP_NODELAY, no persistence, no log, no $SYS topics',
  version: () => versionOf('mosquitto', ['-h']),
  install: 'apt-get install mosquitto, or https://mosquitto.org/download/',
  start: async () => {
    const program = await startProgram(
      'mosquitto',
      (port, spare) => `
listener ${port} 127.0.0.1
protocol websockets
# Without a plain listener this server finds that it has none at all.
listener ${spare} 127.0.0.1
allow_anonymous true
persistence false
log_dest none
sys_interval 0
set_tcp_nodelay true
max_queued_messages 100000
`,
      configFile => ['-c', configFile],
    )
    return targetOf(peer, import.meta.url, dialect, program)
  },
}
