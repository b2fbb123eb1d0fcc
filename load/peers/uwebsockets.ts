// Peer: uWebSockets.js alone, what the relay itself is built on. Everything else is compared with it.

import { linesDialect } from './lines.ts'
import { type Peer, targetOf } from './peer.ts'
import { packageVersion, startScript } from './program.ts'

export const dialect = linesDialect('uwebsockets')

export const peer: Peer = {
  name: 'uwebsockets',
  title: 'raw uWebSockets.js',
  settings:
    "one thread, the library's own topics (app.publish), no compression, 64 MiB of backpressure a socket; " +
    'publishes from setImmediate, since within the message callback it sends each publication by itself',
  version: async () => packageVersion('uWebSockets.js'),
  install: 'npm install',
  start: async () => targetOf(peer, import.meta.url, dialect, await startScript('uwebsockets')),
}
