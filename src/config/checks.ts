// Rules that span several options. Any thread; pure.
// Invariant: the path of a conflict is the option one would change first.

import { BlockList, isIPv6 } from 'node:net'
import { resolve } from 'node:path'
import { formatDuration } from './duration.ts'
import { MESSENGER_NAMESPACE } from './schema.messenger.ts'
import type { ChannelOptions, Config } from './schema.ts'
import type { Path } from './tree.ts'

export type Conflict = Readonly<{ path: Path; why: string }>

/** The first conflict between the options, or undefined when they fit together. */
export function findConflict(config: Config): Conflict | undefined {
  return (
    findListenerConflict(config) ??
    findClientConflict(config.client) ??
    findChannelConflict(config.channel) ??
    findMeshConflict(config) ??
    findMessengerConflict(config) ??
    findShutdownConflict(config.shutdown)
  )
}

type Listener = Readonly<{ path: Path; address: string; port: number }>

function listenersOf({ http_server: http, tcp }: Config): Listener[] {
  const listeners = [
    { path: ['http_server', 'port'], address: http.address, port: http.port },
    { path: ['http_server', 'internal_port'], address: http.internal_address, port: http.internal_port },
  ]
  if (tcp.enabled) listeners.push({ path: ['tcp', 'port'], address: tcp.address, port: tcp.port })
  return listeners
}

function overlap(one: string, other: string): boolean {
  const [a, b] = [one, other].map(address => (address === 'localhost' ? '127.0.0.1' : address))
  return a === b || [a, b].some(address => address === '0.0.0.0' || address === '::')
}

function findListenerConflict(config: Config): Conflict | undefined {
  const listeners = listenersOf(config)
  for (const [index, listener] of listeners.entries()) {
    if (listener.port === 0) continue
    const earlier = listeners
      .slice(0, index)
      .find(other => other.port === listener.port && overlap(other.address, listener.address))
    if (earlier) {
      return {
        path: listener.path,
        why: `it must differ from ${earlier.path.join('.')}, which listens on the same address`,
      }
    }
  }
  const { tls } = config.http_server
  if (!tls.enabled) return undefined
  if (tls.cert_pem === '')
    return { path: ['http_server', 'tls', 'cert_pem'], why: 'tls.enabled needs the path of a PEM file' }
  if (tls.key_pem === '')
    return { path: ['http_server', 'tls', 'key_pem'], why: 'tls.enabled needs the path of a PEM file' }
  return undefined
}

function findClientConflict(client: Config['client']): Conflict | undefined {
  if (client.pong_timeout >= client.ping_interval) {
    return {
      path: ['client', 'pong_timeout'],
      why: `it must be less than client.ping_interval, which is "${formatDuration(client.ping_interval)}"`,
    }
  }
  if (client.queue_soft_size >= client.queue_max_size) {
    return {
      path: ['client', 'queue_soft_size'],
      why: `it must be less than client.queue_max_size, which is ${client.queue_max_size}`,
    }
  }
  const { enabled, hmac_secret_key, rsa_public_key, ecdsa_public_key, jwks_public_endpoint } =
    client.subscription_token
  if (
    enabled &&
    [hmac_secret_key, rsa_public_key, ecdsa_public_key, jwks_public_endpoint].every(key => key === '')
  ) {
    return {
      path: ['client', 'subscription_token', 'enabled'],
      why: 'it needs one of hmac_secret_key, rsa_public_key, ecdsa_public_key, jwks_public_endpoint beside it',
    }
  }
  return undefined
}

const MARKS = ['namespace_boundary', 'user_boundary', 'user_separator', 'private_prefix'] as const

function findChannelConflict(channel: Config['channel']): Conflict | undefined {
  for (const [index, mark] of MARKS.entries()) {
    const same = MARKS.slice(0, index).find(
      other => channel[other] !== '' && channel[other] === channel[mark],
    )
    if (same) return { path: ['channel', mark], why: `it must differ from channel.${same}` }
  }
  const withoutNamespace = findHistoryConflict(channel.without_namespace, channel.history_meta_ttl, [
    'channel',
    'without_namespace',
  ])
  if (withoutNamespace) return withoutNamespace
  const indexOfName = new Map<string, number>()
  for (const [index, namespace] of channel.namespaces.entries()) {
    const path = ['channel', 'namespaces', index]
    const first = indexOfName.get(namespace.name)
    if (first !== undefined) {
      return { path: [...path, 'name'], why: `channel.namespaces[${first}] has this name already` }
    }
    indexOfName.set(namespace.name, index)
    const conflict =
      findNameConflict(namespace.name, channel, [...path, 'name']) ??
      findHistoryConflict(namespace, channel.history_meta_ttl, path)
    if (conflict) return conflict
  }
  return undefined
}

/** A name that contains a mark could never be found again in the name of a channel. */
function findNameConflict(name: string, channel: Config['channel'], path: Path): Conflict | undefined {
  const { namespace_boundary: boundary, private_prefix: prefix } = channel
  if (boundary === '') return { path, why: 'namespaces need a channel.namespace_boundary, which is ""' }
  if (name.includes(boundary))
    return { path, why: `it must not contain channel.namespace_boundary, "${boundary}"` }
  if (prefix !== '' && name.startsWith(prefix)) {
    return { path, why: `it must not begin with channel.private_prefix, "${prefix}"` }
  }
  return undefined
}

function findHistoryConflict(options: ChannelOptions, metaTtlMs: number, path: Path): Conflict | undefined {
  const { history_size: size, history_ttl: ttlMs } = options
  if (size > 0 && ttlMs === 0) {
    return { path: [...path, 'history_ttl'], why: `history needs both, and history_size is ${size}` }
  }
  if (ttlMs > 0 && size === 0) {
    return {
      path: [...path, 'history_size'],
      why: `history needs both, and history_ttl is "${formatDuration(ttlMs)}"`,
    }
  }
  if (ttlMs > metaTtlMs) {
    return {
      path: [...path, 'history_ttl'],
      why: `it must not be more than channel.history_meta_ttl, which is "${formatDuration(metaTtlMs)}"`,
    }
  }
  for (const option of ['force_recovery', 'force_positioning'] as const) {
    if (options[option] && size === 0) {
      return { path: [...path, option], why: 'it needs history: set history_size and history_ttl beside it' }
    }
  }
  return undefined
}

function findShutdownConflict(shutdown: Config['shutdown']): Conflict | undefined {
  if (shutdown.drain_time <= shutdown.termination_timeout) return undefined
  return {
    path: ['shutdown', 'drain_time'],
    why: `it must not be more than shutdown.termination_timeout, which is "${formatDuration(shutdown.termination_timeout)}"`,
  }
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Whether only this machine can reach the address. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

/** In the open development profile nobody from outside may come in, since nobody is asked for a token. */
export function findOpenAddress(config: Config): Conflict | undefined {
  const { http_server: http, tcp } = config
  const addresses: (readonly [Path, string])[] = [
    [['http_server', 'address'], http.address],
    [['http_server', 'internal_address'], http.internal_address],
  ]
  if (tcp.enabled) addresses.push([['tcp', 'address'], tcp.address])
  const open = addresses.find(([, address]) => !isLoopback(address))
  if (open === undefined) return undefined
  return {
    path: open[0],
    why: 'without a configuration anyone who connects may subscribe and publish, so it must be a loopback address such as "127.0.0.1"; to listen on others, give a configuration file (--config FILE; print-config writes one to begin with)',
  }
}

/** A frame takes a quarter of a ring at most; what a client may send has to fit, with what is put around it. */
const FRAME_ENVELOPE_BYTES = 8192

function findMeshConflict({ mesh, client }: Config): Conflict | undefined {
  const frameBytesMax = mesh.ring_size / 4
  if (frameBytesMax < client.message_size_limit + FRAME_ENVELOPE_BYTES) {
    const least = (client.message_size_limit + FRAME_ENVELOPE_BYTES) * 4
    return {
      path: ['mesh', 'ring_size'],
      why: `it must be at least ${least}, four times client.message_size_limit and ${FRAME_ENVELOPE_BYTES} more`,
    }
  }
  // A backlog that can't hold the largest frame would refuse it even when nothing waits.
  if (mesh.backlog_max_size < frameBytesMax) {
    return {
      path: ['mesh', 'backlog_max_size'],
      why: `it must be at least ${frameBytesMax}, a quarter of mesh.ring_size`,
    }
  }
  return undefined
}

/** Names of its channels are short: `im:c:` and a number. */
const MESSENGER_CHANNEL_BYTES = 64
/** A page of its archive has to fit in a quarter of a ring. */
const MESSENGER_RING_BYTES = 2 * 1_024 * 1_024

/** Clients of the messenger are its accounts, and nobody else speaks in its channels. */
function findMessengerConflict(config: Config): Conflict | undefined {
  const { channel, client, http_api: api, messenger, mesh, shutdown } = config
  if (!messenger.enabled) return undefined
  const accounts = 'with messenger.enabled clients connect with its accounts only'
  for (const option of ['insecure', 'allow_anonymous_connect_without_token'] as const) {
    if (client[option]) return { path: ['client', option], why: `it must be false: ${accounts}` }
  }
  for (const [option, value] of Object.entries(client.token)) {
    if (value !== '') return { path: ['client', 'token', option], why: `it must be "": ${accounts}` }
  }
  if (api.insecure) {
    const why = 'it must be false with messenger.enabled: who may call the API may speak in all conversations'
    return { path: ['http_api', 'insecure'], why }
  }
  const named = channel.namespaces.findIndex(({ name }) => name === MESSENGER_NAMESPACE)
  if (named >= 0) {
    const why = "with messenger.enabled this name is the messenger's own"
    return { path: ['channel', 'namespaces', named, 'name'], why }
  }
  if (channel.namespace_boundary !== ':')
    return { path: ['channel', 'namespace_boundary'], why: 'it must be ":" with messenger.enabled' }
  if (channel.private_prefix !== '' && MESSENGER_NAMESPACE.startsWith(channel.private_prefix)) {
    const why = `with messenger.enabled "${MESSENGER_NAMESPACE}" must not begin with it`
    return { path: ['channel', 'private_prefix'], why }
  }
  if (channel.max_length < MESSENGER_CHANNEL_BYTES) {
    const why = `it must be at least ${MESSENGER_CHANNEL_BYTES} with messenger.enabled`
    return { path: ['channel', 'max_length'], why }
  }
  if (mesh.ring_size < MESSENGER_RING_BYTES)
    return {
      path: ['mesh', 'ring_size'],
      why: `it must be at least ${MESSENGER_RING_BYTES} with messenger.enabled`,
    }
  if (shutdown.history_path !== '' && resolve(shutdown.history_path) === resolve(messenger.path))
    return { path: ['messenger', 'path'], why: 'it must differ from shutdown.history_path' }
  return undefined
}
