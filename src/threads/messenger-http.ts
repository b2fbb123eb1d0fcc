// Puts the messenger's HTTP on a shard's server. Runs on the shard. Loaded only where there is a messenger.

import { addressBehind, trust } from '../base/address.ts'
import { wallMs } from '../base/clock.ts'
import type { UwsApp } from '../edge/uws.ts'
import { attachFetch } from '../http/fetch.ts'
import { createMessengerHttp, MESSENGER_PATTERN } from '../messenger/http/app.ts'
import type { ShardRelay } from './shard-relay.ts'

export function attachMessengerHttp(
  app: UwsApp,
  { env, notices }: ShardRelay,
  isPageAllowed: (origin: string, host: string) => boolean,
  onError: (error: unknown) => void,
): void {
  const { config, messenger: port } = env
  if (port === undefined) return
  const trusted = trust(config.http_server.trusted_proxies)
  const http = createMessengerHttp({
    port,
    options: config.messenger,
    dataPath: config.messenger.path,
    isPageAllowed,
    addressOf: (peer, forwardedFor) => addressBehind(peer, forwardedFor, trusted),
    nowMs: wallMs,
    onError,
  })
  for (const [topic, listener] of http.notices) notices.on(topic, listener)
  attachFetch(app, MESSENGER_PATTERN, http.fetch, onError)
}

export type AttachMessengerHttp = typeof attachMessengerHttp
