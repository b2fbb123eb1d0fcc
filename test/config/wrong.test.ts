import { expect, test } from 'vitest'
import { type Given, load, refusal } from './load.ts'

const history = (options: string) => ({ file: `channel:\n  without_namespace: { ${options} }\n` })
const namespaces = (text: string) => ({ file: `channel:\n  namespaces:\n${text}` })
const MESSENGER = 'messenger: { enabled: true }\n'

const cases: readonly (readonly [what: string, given: Given, message: string])[] = [
  [
    'a duration without a unit',
    { file: 'client:\n  ping_interval: 25\n' },
    'client.ping_interval: 25 is not allowed (set in relay.yaml, line 2); it must be a duration with its unit (ms, s, m, h), from "1s" to "1h"',
  ],
  [
    'a duration out of bounds',
    { argv: ['--flush_delay_max', '51ms'] },
    'flush_delay_max: "51ms" is not allowed (set by the flag --flush_delay_max); it must be a duration with its unit (ms, s, m, h), from "0s" to "50ms"',
  ],
  [
    'a number where the environment has a word',
    { env: { FANWIRE_SHARDS: 'four' } },
    'shards: "four" is not allowed (set by the environment variable FANWIRE_SHARDS); it must be an integer from 0 to 64',
  ],
  [
    'an integer out of bounds',
    { argv: ['--client.message_size_limit=65537'] },
    'client.message_size_limit: 65537 is not allowed (set by the flag --client.message_size_limit); it must be an integer from 1024 to 65536 (bytes)',
  ],
  [
    'a fraction',
    { file: 'shards: 1.5' },
    'shards: 1.5 is not allowed (set in relay.yaml, line 1); it must be an integer from 0 to 64',
  ],
  [
    'a boolean in other words',
    { file: 'tcp: { enabled: yes }' },
    'tcp.enabled: "yes" is not allowed (set in relay.yaml, line 1); it must be true or false',
  ],
  [
    'nothing where a value belongs',
    { file: 'log:\n  level:\n' },
    'log.level: null is not allowed (set in relay.yaml, line 2); it must be one of "trace", "debug", "info", "warn", "error", "silent"',
  ],
  [
    'none of the choices',
    { argv: ['--http_api.error_mode', 'body'] },
    'http_api.error_mode: "body" is not allowed (set by the flag --http_api.error_mode); it must be one of "", "transport"',
  ],
  [
    'a ring that is no power of two',
    { argv: ['--mesh.ring_size', '100000'] },
    'mesh.ring_size: 100000 is not allowed (set by the flag --mesh.ring_size); it must be a power of two from 65536 to 268435456 (bytes)',
  ],
  [
    'a host name as address',
    { argv: ['--tcp.address', 'relay.example'] },
    'tcp.address: "relay.example" is not allowed (set by the flag --tcp.address); it must be an IP address ("0.0.0.0" or "::" for all of the machine) or "localhost"',
  ],
  [
    'a section that is a text',
    { file: 'client:\n  token: my-secret\n' },
    'client.token: must be a section with the keys hmac_secret_key, rsa_public_key, ecdsa_public_key, jwks_public_endpoint, audience, issuer (set in relay.yaml, line 2)',
  ],
  [
    'a file that is a list',
    { file: '- client\n' },
    'the configuration: must be a section with the keys http_server, tcp, client, http_api, channel, messenger, shards, flush_delay_max, mesh, route_table, presence_table, prometheus, shutdown, log (set in relay.yaml)',
  ],
  [
    'a file that is not there',
    { argv: ['--config', 'other.yaml'] },
    'the configuration file "other.yaml" (the flag --config) can\'t be read: ENOENT',
  ],
  [
    'a file that is not there, named by the environment',
    { env: { FANWIRE_CONFIG: 'other.yaml' } },
    'the configuration file "other.yaml" (the environment variable FANWIRE_CONFIG) can\'t be read: ENOENT',
  ],
  [
    'a file that is too large',
    { file: `#${' '.repeat(1024 * 1024)}` },
    'the configuration file "relay.yaml" (the flag --config) is larger than 1048576 bytes',
  ],
  [
    'a file with wrong syntax',
    { file: 'client:\n  channel_limit: [1, 2\n' },
    'relay.yaml, line 3, column 1: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  [
    'the same key twice',
    { file: 'shards: 1\nshards: 2\n' },
    'relay.yaml, line 2, column 1: Map keys must be unique',
  ],
  [
    'wrong JSON',
    { file: '{"shards": 1 "log": {}}' },
    'relay.yaml, line 1, column 12: Block collections are not allowed within flow collections',
  ],
  [
    'an unknown key of the file',
    { file: 'client:\n  insecure: false\n  ping_intervall: 10s\n' },
    'unknown key client.ping_intervall (set in relay.yaml, line 3); the nearest known one is client.ping_interval',
  ],
  [
    'a known key in the wrong section',
    { file: 'ping_interval: 10s\n' },
    'unknown key ping_interval (set in relay.yaml, line 1); the nearest known one is client.ping_interval',
  ],
  [
    'an unknown section',
    { file: 'clients:\n  insecure: true\n' },
    'unknown key clients (set in relay.yaml, line 1); the nearest known one is client',
  ],
  [
    'a key that every object has',
    { file: '{"constructor": {"prototype": 1}}' },
    'unknown key constructor (set in relay.yaml, line 1); the nearest known one is tcp',
  ],
  [
    'an unknown key of a namespace',
    namespaces('    - name: chat\n    - name: news\n      histry_size: 5\n'),
    'unknown key channel.namespaces[1].histry_size (set in relay.yaml, line 5); the nearest known one is channel.namespaces[1].history_size',
  ],
  [
    'an unknown variable',
    { env: { FANWIRE_CLIENT_PING_INTERVALL: '10s' } },
    'unknown environment variable FANWIRE_CLIENT_PING_INTERVALL; the nearest known one is FANWIRE_CLIENT_PING_INTERVAL',
  ],
  [
    'an unknown variable, even when it is empty',
    { env: { FANWIRE_CONFI: '' } },
    'unknown environment variable FANWIRE_CONFI; the nearest known one is FANWIRE_CONFIG',
  ],
  [
    'an unknown flag',
    { argv: ['--client.ping_intervall=10s'] },
    'unknown flag --client.ping_intervall; the nearest known one is --client.ping_interval',
  ],
  [
    'a flag near to --config',
    { argv: ['--confg', 'x'] },
    'unknown flag --confg; the nearest known one is --config',
  ],
  [
    'a flag without its value',
    { argv: ['--shards', '--client.insecure'] },
    'the flag --shards needs a value; it must be an integer from 0 to 64',
  ],
  ['--config without a file', { argv: ['--config'] }, 'the flag --config needs the path of a file'],
  [
    'a word that is no flag',
    { argv: ['--shards', '2', 'three'] },
    'unexpected argument after "--shards"; flags begin with --, and a value with spaces needs quotes',
  ],
  [
    'a namespace without a name',
    namespaces('    - presence: true\n'),
    'channel.namespaces[0].name: "" is not allowed (the default); it must be two or more of the characters a-z A-Z 0-9 - _ .',
  ],
  [
    'a name that no channel can have',
    namespaces('    - name: "a:b"\n'),
    'channel.namespaces[0].name: "a:b" is not allowed (set in relay.yaml, line 3); it must be two or more of the characters a-z A-Z 0-9 - _ .',
  ],
  [
    'two namespaces with one name',
    namespaces('    - name: chat\n    - name: chat\n'),
    'channel.namespaces[1].name: "chat" is not allowed (set in relay.yaml, line 4); channel.namespaces[0] has this name already',
  ],
  [
    'a name that contains the boundary',
    { file: 'channel: { namespace_boundary: ".", namespaces: [{ name: a.b }] }' },
    'channel.namespaces[0].name: "a.b" is not allowed (set in relay.yaml, line 1); it must not contain channel.namespace_boundary, "."',
  ],
  [
    'namespaces as wrong JSON',
    { env: { FANWIRE_CHANNEL_NAMESPACES: '[{name}]' } },
    'channel.namespaces: "[{name}]" is not allowed (set by the environment variable FANWIRE_CHANNEL_NAMESPACES); it must be a list of at most 1024 namespaces (in a text: as JSON)',
  ],
  [
    'a wrong type in a namespace of the environment',
    { env: { FANWIRE_CHANNEL_NAMESPACES: '[{"name":"ab","presence":1}]' } },
    'channel.namespaces[0].presence: 1 is not allowed (set by the environment variable FANWIRE_CHANNEL_NAMESPACES); it must be true or false',
  ],
  [
    'two marks that are the same',
    { argv: ['--channel.user_boundary', ':'] },
    'channel.user_boundary: ":" is not allowed (set by the flag --channel.user_boundary); it must differ from channel.namespace_boundary',
  ],
  [
    'an expression that is none',
    history('channel_regex: "^["'),
    'channel.without_namespace.channel_regex: "^[" is not allowed (set in relay.yaml, line 2); it must be "" or a JavaScript regular expression (flag u) of at most 256 characters without repeated repetitions like (a+)+',
  ],
  [
    'an expression that may run for ever',
    history('channel_regex: "^([a-z]+)*$"'),
    'channel.without_namespace.channel_regex: "^([a-z]+)*$" is not allowed (set in relay.yaml, line 2); it must be "" or a JavaScript regular expression (flag u) of at most 256 characters without repeated repetitions like (a+)+',
  ],
  [
    'history without a time',
    history('history_size: 10'),
    'channel.without_namespace.history_ttl: "0s" is not allowed (the default); history needs both, and history_size is 10',
  ],
  [
    'history without a size',
    namespaces('    - name: chat\n      history_ttl: 90s\n'),
    'channel.namespaces[0].history_size: 0 is not allowed (the default); history needs both, and history_ttl is "90s"',
  ],
  [
    'history that lives longer than its position',
    history('history_size: 10, history_ttl: 721h'),
    'channel.without_namespace.history_ttl: "721h" is not allowed (set in relay.yaml, line 2); it must not be more than channel.history_meta_ttl, which is "720h"',
  ],
  [
    'recovery without history',
    history('force_recovery: true'),
    'channel.without_namespace.force_recovery: true is not allowed (set in relay.yaml, line 2); it needs history: set history_size and history_ttl beside it',
  ],
  [
    'positioning without history',
    namespaces('    - { name: chat, force_positioning: true }\n'),
    'channel.namespaces[0].force_positioning: true is not allowed (set in relay.yaml, line 3); it needs history: set history_size and history_ttl beside it',
  ],
  [
    'two listeners on one port',
    { argv: ['--tcp.port', '8000'] },
    'tcp.port: 8000 is not allowed (set by the flag --tcp.port); it must differ from http_server.port, which listens on the same address',
  ],
  [
    'two listeners on one port, one of them on all addresses',
    { file: 'http_server: { address: 0.0.0.0, internal_port: 8000 }' },
    'http_server.internal_port: 8000 is not allowed (set in relay.yaml, line 1); it must differ from http_server.port, which listens on the same address',
  ],
  [
    'TLS without a certificate',
    { file: 'http_server: { tls: { enabled: true, key_pem: key.pem } }' },
    'http_server.tls.cert_pem: "" is not allowed (the default); tls.enabled needs the path of a PEM file',
  ],
  [
    'TLS without a key',
    { file: 'http_server: { tls: { enabled: true, cert_pem: cert.pem } }' },
    'http_server.tls.key_pem: "" is not allowed (the default); tls.enabled needs the path of a PEM file',
  ],
  [
    'a pong that may come after the next ping',
    { argv: ['--client.ping_interval', '8s'] },
    'client.pong_timeout: "8s" is not allowed (the default); it must be less than client.ping_interval, which is "8s"',
  ],
  [
    'a soft limit that is no less than the hard one',
    { argv: ['--client.queue_max_size', '65536'] },
    'client.queue_soft_size: 65536 is not allowed (the default); it must be less than client.queue_max_size, which is 65536',
  ],
  [
    'separate subscription tokens without a key',
    { argv: ['--client.subscription_token.enabled'] },
    'client.subscription_token.enabled: true is not allowed (set by the flag --client.subscription_token.enabled); it needs one of hmac_secret_key, rsa_public_key, ecdsa_public_key, jwks_public_endpoint beside it',
  ],
  [
    'draining for longer than ending takes',
    { argv: ['--shutdown.termination_timeout', '3s'] },
    'shutdown.drain_time: "5s" is not allowed (the default); it must not be more than shutdown.termination_timeout, which is "3s"',
  ],
  [
    'a folder whose lock would have too long a path',
    { argv: ['--shutdown.history_path', 'x'.repeat(91)] },
    `shutdown.history_path: "${'x'.repeat(91)}" is not allowed (set by the flag --shutdown.history_path); it must be "" or the path of a directory, at most 90 bytes`,
  ],
  [
    'a directory of the messenger whose lock would have too long a path',
    { argv: ['--messenger.path', 'x'.repeat(91)] },
    `messenger.path: "${'x'.repeat(91)}" is not allowed (set by the flag --messenger.path); it must be the path of a directory, at most 90 bytes`,
  ],
  [
    'anonymous clients beside accounts',
    { file: `${MESSENGER}client: { allow_anonymous_connect_without_token: true }` },
    'client.allow_anonymous_connect_without_token: true is not allowed (set in relay.yaml, line 2); it must be false: with messenger.enabled clients connect with its accounts only',
  ],
  [
    'clients that need nothing beside accounts',
    { file: `${MESSENGER}client: { insecure: true }` },
    'client.insecure: true is not allowed (set in relay.yaml, line 2); it must be false: with messenger.enabled clients connect with its accounts only',
  ],
  [
    'tokens of others beside accounts',
    { file: `${MESSENGER}client: { token: { hmac_secret_key: secret } }` },
    'client.token.hmac_secret_key: (hidden) is not allowed (set in relay.yaml, line 2); it must be "": with messenger.enabled clients connect with its accounts only',
  ],
  [
    'an open API beside accounts',
    { file: `${MESSENGER}http_api: { insecure: true }` },
    'http_api.insecure: true is not allowed (set in relay.yaml, line 2); it must be false with messenger.enabled: who may call the API may speak in all conversations',
  ],
  [
    "the messenger's namespace",
    { file: `${MESSENGER}channel: { namespaces: [{ name: im }] }` },
    'channel.namespaces[0].name: "im" is not allowed (set in relay.yaml, line 2); with messenger.enabled this name is the messenger\'s own',
  ],
  [
    'another end of namespaces than the messenger has',
    { file: `${MESSENGER}channel: { namespace_boundary: "/" }` },
    'channel.namespace_boundary: "/" is not allowed (set in relay.yaml, line 2); it must be ":" with messenger.enabled',
  ],
  [
    "a private prefix that begins the messenger's namespace",
    { file: `${MESSENGER}channel: { private_prefix: i }` },
    'channel.private_prefix: "i" is not allowed (set in relay.yaml, line 2); with messenger.enabled "im" must not begin with it',
  ],
  [
    "names too short for the messenger's channels",
    { file: `${MESSENGER}channel: { max_length: 20 }` },
    'channel.max_length: 20 is not allowed (set in relay.yaml, line 2); it must be at least 64 with messenger.enabled',
  ],
  [
    "rings too small for the messenger's pages",
    { file: `${MESSENGER}mesh: { ring_size: 1048576 }` },
    'mesh.ring_size: 1048576 is not allowed (set in relay.yaml, line 2); it must be at least 2097152 with messenger.enabled',
  ],
  [
    'histories in the directory of the messenger',
    { file: `${MESSENGER}shutdown: { history_path: ./fanwire-data/ }` },
    'messenger.path: "fanwire-data" is not allowed (the default); it must differ from shutdown.history_path',
  ],
  [
    'an address of keys with variables',
    { argv: ['--client.token.jwks_public_endpoint', 'https://id.example/{{realm}}'] },
    'client.token.jwks_public_endpoint: "https://id.example/{{realm}}" is not allowed (set by the flag --client.token.jwks_public_endpoint); it must be "" or an http or https address without {{variables}}',
  ],
]

test.each(cases)('%s', (_what, given, message) => {
  expect(refusal(given)).toBe(message)
})

test.each([
  ['https://*.example.com'],
  ['https://example.com/'],
  ['https://Example.com'],
  ['https://example.com:443'],
  ['example.com'],
  ['null'],
  ['*', 'https://example.com'],
])('origins that browsers do not send are refused: %s', (...origins) => {
  const env = { FANWIRE_CLIENT_ALLOWED_ORIGINS: origins.join(' ') }
  expect(refusal({ env })).toBe(
    `client.allowed_origins: ${JSON.stringify(origins)} is not allowed (set by the environment variable FANWIRE_CLIENT_ALLOWED_ORIGINS); it must be a list of exact origins as browsers send them ("https://chat.example.com": scheme, host, a port if it is not the usual one; no path, no wildcard pattern), or "*" alone for any`,
  )
})

test('"*" alone allows any origin', () => {
  expect(load({ env: { FANWIRE_CLIENT_ALLOWED_ORIGINS: '*' } }).config.client.allowed_origins).toEqual(['*'])
})

test.each(['^[a-z0-9]+$', '^([a-z]+-)*[a-z]+$', '^(?:\\d+\\.){3}\\d+$', '(a|b)+'])(
  'a usual expression is taken: %s',
  source => {
    const { config } = load(history(`channel_regex: ${JSON.stringify(source)}`))
    expect(config.channel.without_namespace.channel_regex).toBe(source)
  },
)

test('a long value is cut in the message', () => {
  const message = refusal({ argv: ['--log.level', 'x'.repeat(5_000)] })
  expect(message.length).toBeLessThan(400)
})

test.each<[string, Given]>([
  ['a number', { file: 'http_api: { key: 90071992 }' }],
  ['a list', { file: 'client: { token: { hmac_secret_key: [90071992] } }' }],
  ['an alias', { file: 'client: { token: { hmac_secret_key: *90071992 } }' }],
  ['a tag', { file: 'client: { token: { hmac_secret_key: !90071992 x } }' }],
  ['a block', { file: 'http_api:\n  key: |90071992\n' }],
  ['an unended text', { file: 'http_api:\n  key: "90071992\n' }],
  ['a value too many', { argv: ['--http_api.key', 'a', '90071992'] }],
  ['a misspelt flag', { argv: ['--http_api.kye=90071992'] }],
  ['a misspelt variable', { env: { FANWIRE_HTTP_API_KYE: '90071992' } }],
  ['a section', { file: 'http_api: 90071992' }],
  ['a misspelt key', { file: 'http_api: { kye: 90071992 }' }],
])('a secret is never shown: %s', (_what, given) => {
  expect(refusal(given)).not.toContain('9007')
})

test('a secret of the wrong type is hidden', () => {
  expect(refusal({ file: 'http_api: { key: 12 }' })).toBe(
    'http_api.key: (hidden) is not allowed (set in relay.yaml, line 1); it must be a text',
  )
})

test.each(['proxy.example', '10.0.0.0/33', '10.0.0.1/'])('%j is no proxy that can be trusted', network => {
  expect(refusal({ argv: ['--http_server.trusted_proxies', network] })).toBe(
    `http_server.trusted_proxies: ${JSON.stringify([network])} is not allowed (set by the flag --http_server.trusted_proxies); it must be a list of at most 64 IP addresses and networks ("10.0.0.0/8", "2001:db8::1")`,
  )
})
