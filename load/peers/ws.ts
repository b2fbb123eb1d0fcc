// Peer: `ws`, the WebSocket library that most Node servers use.

import { linesDialect } from './lines.ts'
import { type Peer, targetOf } from './peer.ts'
import { packageVersion, startScript } from './program.ts'

export const dialect = linesDialect('ws')

export const peer: Peer = {
  name: 'ws',
  title: 'ws',
  settings:
    'one thread, a loop over the sockets of the channel, bytes made once for all and sent by its documented send, no compression',
  version: async () => packageVersion('ws'),
  install: 'npm install',
  start: async () => targetOf(peer, import.meta.url, dialect, await startScript('ws')),
}
