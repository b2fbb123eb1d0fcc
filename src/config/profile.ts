// The open profile for a first conversation: what it changes, and when it applies. Main thread, at start.
// Invariant: it never applies once anything about clients, the API, channels or the messenger was
// decided by the operator.

import type { Layer, Setting } from './sources.ts'

export type Profile = 'development' | 'configured'

/** One line that the relay logs as a warning at start. */
export const DEVELOPMENT_WARNING =
  'no configuration given: open development profile, on loopback only; anonymous clients may subscribe and publish in channels without a namespace, and the HTTP API asks for no key'

/**
 * Who connects with nothing but an SDK, or `nc`, can try everything: presence, the last 100 messages of five minutes,
 * recovery after a lost connection. Joins and leaves are there for those who ask, and not pushed on all others.
 */
const OPEN_SETTINGS: Readonly<Record<string, unknown>> = {
  'client.allow_anonymous_connect_without_token': true,
  'http_api.insecure': true,
  'channel.without_namespace.presence': true,
  'channel.without_namespace.join_leave': true,
  'channel.without_namespace.force_recovery': true,
  'channel.without_namespace.history_size': 100,
  'channel.without_namespace.history_ttl': '5m',
  'channel.without_namespace.allow_subscribe_for_client': true,
  'channel.without_namespace.allow_subscribe_for_anonymous': true,
  'channel.without_namespace.allow_publish_for_client': true,
  'channel.without_namespace.allow_publish_for_subscriber': true,
  'channel.without_namespace.allow_publish_for_anonymous': true,
  'channel.without_namespace.allow_history_for_client': true,
  'channel.without_namespace.allow_history_for_subscriber': true,
  'channel.without_namespace.allow_history_for_anonymous': true,
  'channel.without_namespace.allow_presence_for_client': true,
  'channel.without_namespace.allow_presence_for_subscriber': true,
  'channel.without_namespace.allow_presence_for_anonymous': true,
}

export const developmentLayer: Layer = new Map(
  Object.entries(OPEN_SETTINGS).map(([key, value]): [string, Setting] => [
    key,
    { value, originOf: () => 'the development profile' },
  ]),
)

const DECIDING_SECTIONS = ['client.', 'http_api.', 'channel.', 'messenger.']

/** @param layers what was set by flags and environment */
export function profileOf(file: string | undefined, layers: readonly Layer[]): Profile {
  const keys = layers.flatMap(layer => [...layer.keys()])
  const decided = keys.some(key => DECIDING_SECTIONS.some(section => key.startsWith(section)))
  return file === undefined && !decided ? 'development' : 'configured'
}
