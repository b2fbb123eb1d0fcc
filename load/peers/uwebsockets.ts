// Peer: uWebSockets.js alone, what the relay itself is built on. Everything else is compared with it.

import { createRequire } from 'node:module'
import { linesDialect } from './lines.ts'
import type { Peer } from './peer.ts'
import { startScript } from './program.ts'

export const dialect = linesDialect('uwebsockets')

export const peer: Peer = {
  name: 'uwebsockets',
  title: 'raw uWebSockets.js',
  settings:
    "one thread, the library's own topics (app.publish), no compression, 64 MiB of backpressure a socket; " +
    'publishes from setImmediate, since within the message callback it sends each publication by itself',
  dialect: import.meta.url,
  version: async () => VERSION,
  install: 'npm install',
  start: () => startScript('uwebsockets'),
}

const VERSION: string = createRequire(import.meta.url)('uWebSockets.js/package.json').version
