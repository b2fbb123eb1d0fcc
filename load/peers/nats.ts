// Peer: nats-server over WebSocket. Dialect: the NATS client protocol, binary frames. The server puts all that waits
// for a client in one frame, so a frame holds whole protocol messages, often many publications.

import type { Dialect } from '../generator/dialect.ts'
import { NONE, OK, type Peer, targetOf } from './peer.ts'
import { startProgram, versionOf } from './program.ts'

const END = '\r\n'
const PING = `PING${END}`
const PONG = `PONG${END}`
const ERROR = '-ERR'
const OPTIONS = JSON.stringify({
  verbose: false,
  pedantic: false,
  echo: true,
  lang: 'fanwire load',
  version: '1',
})

/** Commands are carried out in order, so a PONG says that what stood before the PING is done. */
function ponged(received: Buffer) {
  const error = received.indexOf(ERROR)
  if (error >= 0) return { state: 'error', reason: received.toString('latin1', error, error + 200) } as const
  return received.includes(PONG) ? OK : NONE
}

export const dialect: Dialect = {
  name: 'nats',
  path: '/',
  opcode: 'binary',
  connect: () => `CONNECT ${OPTIONS}${END}${PING}`,
  connected: ponged,
  subscribe: (id, channel) => `SUB ${channel} ${id}${END}${PING}`,
  subscribed: ponged,
  publish: (_id, channel, data) => `PUB ${channel} ${Buffer.byteLength(data)}${END}${data}${END}`,
  pong: message => (message.includes(PING) ? PONG : undefined),
  lines: false,
}

export const peer: Peer = {
  name: 'nats',
  title: 'NATS server, WebSocket',
  settings: 'all cores, as it comes, without TLS and compression; pings once an hour',
  version: () => versionOf('nats-server', ['--version']),
  install: 'apt-get install nats-server, or https://github.com/nats-io/nats-server/releases',
  start: async () => {
    const program = await startProgram(
      'nats-server',
      port => `
host: 127.0.0.1
port: -1
# A ping may share a frame with publications, in which the receivers look for nothing else.
ping_interval: "1h"
websocket { host: 127.0.0.1, port: ${port}, no_tls: true, compression: false }
`,
      configFile => ['--config', configFile, '--log', '/dev/null'],
    )
    return targetOf(peer, import.meta.url, dialect, program)
  },
}
