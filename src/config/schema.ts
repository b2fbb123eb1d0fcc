// The schema of the whole configuration: for each option its type, bounds, default, unit and one line on what it does.
// Main thread, at start. Invariant: durations are milliseconds and sizes bytes once the schema has passed them.

import { isIP } from 'node:net'
import type { z } from 'zod'
import { isAddressOrNetwork } from '../base/address.ts'
import { LOCKED_PATH_BYTES_MAX, SHARDS_MAX, TRUSTED_PROXIES_MAX } from './limits.ts'
import { choice, duration, flag, integer, list, section, text } from './option.ts'
import { channel } from './schema.channel.ts'
import { client } from './schema.client.ts'
import { messenger } from './schema.messenger.ts'

function address(description: string) {
  return text(
    {
      default: '127.0.0.1',
      accepts: value => value === 'localhost' || isIP(value) !== 0,
      allowed: 'an IP address ("0.0.0.0" or "::" for all of the machine) or "localhost"',
    },
    description,
  )
}

function port(defaultValue: number, description: string) {
  return integer({ default: defaultValue, min: 0, max: 65_535 }, description)
}

const KIB = 1_024
const MIB = 1_024 * KIB

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value))
}

export const configSchema = section('', {
  http_server: section('WebSocket and HTTP.', {
    address: address('Where clients and the HTTP API connect.'),
    port: port(8000, 'Its port; 0 = any free one.'),
    internal_address: address('Where metrics, health and administration are served.'),
    internal_port: port(9000, 'Its port; 0 = any free one.'),
    trusted_proxies: list(
      {
        max: TRUSTED_PROXIES_MAX,
        accepts: networks => networks.every(isAddressOrNetwork),
        allowed: `a list of at most ${TRUSTED_PROXIES_MAX} IP addresses and networks ("10.0.0.0/8", "2001:db8::1")`,
      },
      'Proxies whose X-Forwarded-For is believed.',
    ),
    tls: section('TLS of the client port.', {
      enabled: flag('Clients connect by wss:// and https://.'),
      cert_pem: text({}, 'Path of the PEM file with the certificate chain.'),
      key_pem: text({}, 'Path of the PEM file with the private key.'),
    }),
  }),
  tcp: section('Raw TCP: the same protocol, one JSON line after another.', {
    enabled: flag('Whether it is served.', true),
    address: address('Where clients connect.'),
    port: port(8001, 'Its port; 0 = any free one.'),
    line_timeout: duration(
      { default: '10s', min: '100ms', max: '10m' },
      'A line must be whole this long after its first byte.',
    ),
    require_pong: flag('Whether TCP clients must answer pings, as WebSocket clients must.'),
  }),
  client,
  http_api: section('The HTTP API under /api/.', {
    key: text({ secret: true }, 'What callers send as X-API-Key; "" = nobody may call.'),
    insecure: flag('Development only: callers need no key.'),
    max_body_size: integer(
      { default: MIB, min: KIB, max: 64 * MIB, unit: 'bytes' },
      'Largest body of a request.',
    ),
    error_mode: choice(
      ['', 'transport'],
      '',
      'How errors are told: "" = status 200 and an error in the body; "transport" = by the status, too.',
    ),
  }),
  channel,
  messenger,
  shards: integer(
    { default: 0, min: 0, max: SHARDS_MAX },
    'Threads that own connections and channels; 0 = one per core.',
  ),
  flush_delay_max: duration(
    { default: '5ms', min: '0s', max: '50ms' },
    'Longest wait of a frame for others to join it, on a busy shard.',
  ),
  mesh: section('Rings between the shards.', {
    ring_size: integer(
      {
        default: 4 * MIB,
        min: 64 * KIB,
        max: 256 * MIB,
        unit: 'bytes',
        also: ['a power of two', isPowerOfTwo],
      },
      'Size of a ring; each ordered pair of shards has one.',
    ),
    backlog_max_size: integer(
      { default: 16 * MIB, min: 64 * KIB, max: 4 * KIB * MIB, unit: 'bytes' },
      'What may wait in a shard for one full ring.',
    ),
  }),
  route_table: section('The table of channels that all shards share.', {
    capacity: integer(
      { default: 262_144, min: 64, max: 16_777_216, unit: 'channels' },
      'Channels that may have subscribers or history at once.',
    ),
  }),
  presence_table: section('The table of users that all shards share.', {
    capacity: integer(
      { default: 262_144, min: 64, max: 16_777_216, unit: 'users' },
      'Users that may be connected at once.',
    ),
  }),
  prometheus: section('Metrics for Prometheus.', {
    enabled: flag('Whether /metrics is served on the internal port.', true),
  }),
  shutdown: section('The end of the process.', {
    termination_timeout: duration(
      { default: '30s', min: '0s', max: '1h' },
      'The process ends this long after it was asked to, finished or not.',
    ),
    drain_time: duration(
      { default: '5s', min: '0s', max: '1h' },
      'Time over which clients are told to reconnect; at most half of termination_timeout is used.',
    ),
    history_path: text(
      {
        accepts: path => Buffer.byteLength(path) <= LOCKED_PATH_BYTES_MAX,
        allowed: `"" or the path of a directory, at most ${LOCKED_PATH_BYTES_MAX} bytes`,
      },
      'Directory in which histories outlast a stop in order, for the next start; "" = they end with the process.',
    ),
  }),
  log: section('The log.', {
    level: choice(
      ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
      'info',
      'Least level of what is logged.',
    ),
  }),
})

export type Config = z.output<typeof configSchema>
export type ChannelOptions = Config['channel']['without_namespace']
export type NamespaceOptions = Config['channel']['namespaces'][number]
export type MessengerOptions = Config['messenger']
export type TokenOptions = Config['client']['token']
