// The relay itself, as it comes and with history: what anonymous clients need is allowed, all else is default.

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { OWN_ROOT, startRelay } from '../target/relay.ts'
import type { Peer } from './peer.ts'

const OPEN_TO_ALL = {
  allow_subscribe_for_client: true,
  allow_subscribe_for_anonymous: true,
  allow_publish_for_client: true,
  allow_publish_for_anonymous: true,
}
const HISTORY = { history_size: 100, history_ttl: '60s', force_recovery: true }

export const fanwire = relayPeer(
  'fanwire',
  'fanwire',
  'as it comes: a shard for each core, metrics, limits and acknowledged publishes',
  OPEN_TO_ALL,
)

export const fanwireHistory = relayPeer(
  'fanwire-history',
  'fanwire, history of 100',
  'the same, with offsets and recovery',
  { ...OPEN_TO_ALL, ...HISTORY },
)

function relayPeer(name: string, title: string, settings: string, options: object): Peer {
  return {
    name,
    title,
    settings,
    async version() {
      return JSON.parse(await readFile(new URL('package.json', OWN_ROOT), 'utf8')).version
    },
    install: 'npm install',
    async start() {
      const target = await startRelay({
        root: OWN_ROOT,
        sections: {
          client: { allow_anonymous_connect_without_token: true },
          channel: { without_namespace: options },
        },
        apiKey: randomBytes(16).toString('hex'),
      })
      return { ...target, described: { ...target.described, kind: 'peer', name: title } }
    },
  }
}
