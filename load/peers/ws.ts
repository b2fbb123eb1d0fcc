// Peer: `ws`, the WebSocket library that most Node servers use.

import { createRequire } from 'node:module'
import { linesDialect } from './lines.ts'
import type { Peer } from './peer.ts'
import { startScript } from './program.ts'

export const dialect = linesDialect('ws')

export const peer: Peer = {
  name: 'ws',
  title: 'ws',
  settings: 'one thread, a loop over the sockets of the channel, bytes made once for all, no compression',
  dialect: import.meta.url,
  version: async () => VERSION,
  install: 'npm install',
  start: () => startScript('ws'),
}

const VERSION: string = createRequire(import.meta.url)('ws/package.json').version
