import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { isLoopback } from '../../src/config/checks.ts'
import { MESSAGE_SIZE_LIMIT_MAX_BYTES } from '../../src/config/limits.ts'
import { loadConfig } from '../../src/config/load.ts'
import { options } from '../../src/config/tree.ts'
import { load, refusal } from './load.ts'

test('an empty file leaves all defaults, durations in milliseconds', () => {
  const { config, profile, file } = load({ file: '' })
  expect(profile).toBe('configured')
  expect(file).toBe('relay.yaml')
  expect(config.client.ping_interval).toBe(25_000)
  expect(config.channel.history_meta_ttl).toBe(2_592_000_000)
  expect(config.flush_delay_max).toBe(5)
  expect(config.client.message_size_limit).toBe(MESSAGE_SIZE_LIMIT_MAX_BYTES)
  expect(config.client.allowed_origins).toEqual([])
  expect(config.channel.without_namespace).toMatchObject({
    presence: false,
    history_size: 0,
    slow_client: 'catch_up',
  })
})

test('a flag goes before the environment, that before the file, and the file before the default', () => {
  const file = 'client:\n  ping_interval: 21s\n'
  const env = { FANWIRE_CLIENT_PING_INTERVAL: '22s' }
  const argv = ['--client.ping_interval', '23s']
  expect(load({ file: 'client:' }).config.client.ping_interval).toBe(25_000)
  expect(load({ file }).config.client.ping_interval).toBe(21_000)
  expect(load({ file, env }).config.client.ping_interval).toBe(22_000)
  expect(load({ file, env, argv }).config.client.ping_interval).toBe(23_000)
})

test('a list is replaced as a whole by the source that goes before', () => {
  const file = 'channel: { namespaces: [{ name: chat }, { name: news }] }'
  const env = { FANWIRE_CHANNEL_NAMESPACES: '[{"name":"feed","history_size":5,"history_ttl":"1m"}]' }
  const { namespaces } = load({ file, env }).config.channel
  expect(namespaces.map(({ name, history_ttl }) => [name, history_ttl])).toEqual([['feed', 60_000]])
})

test('a file may be JSON, with tabs, or YAML', () => {
  const json =
    '{\n\t"client": {\n\t\t"channel_limit": 7,\n\t\t"allowed_origins": ["https://a.example"]\n\t}\n}\n'
  const yaml = 'client:\n  channel_limit: 7\n  allowed_origins:\n    - https://a.example\n'
  expect(load({ file: json }).config).toEqual(load({ file: yaml }).config)
  expect(load({ file: json }).config.client.channel_limit).toBe(7)
})

test('sections whose lines are all commented out count as not written', () => {
  expect(load({ file: 'client:\n  # insecure: true\nchannel:\n' }).config).toEqual(load({ file: '' }).config)
})

test('the file is read from the disk, and the environment may name it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'relay.yaml')
  writeFileSync(path, 'client: { channel_limit: 9 }\n')
  const loaded = loadConfig({ argv: [], env: { FANWIRE_CONFIG: path } })
  expect(loaded.config.client.channel_limit).toBe(9)
  expect(loaded.file).toBe(path)
})

test('the result is frozen all through', () => {
  const { config } = load({ file: 'channel: { namespaces: [{ name: chat }] }' })
  const open = (value: unknown): boolean =>
    typeof value === 'object' &&
    value !== null &&
    (!Object.isFrozen(value) || Object.values(value).some(open))
  expect(open(config)).toBe(false)
})

test('each option has its own environment variable', () => {
  expect(new Set(options.map(option => option.variable)).size).toBe(options.length)
})

test.each([
  ['1', true],
  ['true', true],
  ['0', false],
  ['false', false],
  ['', true],
])('a boolean in the environment: %j', (text, expected) => {
  expect(load({ env: { FANWIRE_TCP_ENABLED: text } }).config.tcp.enabled).toBe(expected)
})

test('lists of texts in the environment are separated by spaces', () => {
  const env = {
    FANWIRE_CLIENT_ALLOWED_ORIGINS: ' https://a.example  http://localhost:3000 capacitor://localhost ',
  }
  expect(load({ env }).config.client.allowed_origins).toEqual([
    'https://a.example',
    'http://localhost:3000',
    'capacitor://localhost',
  ])
})

test('trusted proxies are addresses and networks', () => {
  expect(load({ file: '' }).config.http_server.trusted_proxies).toEqual([])
  const env = { FANWIRE_HTTP_SERVER_TRUSTED_PROXIES: '10.0.0.0/8 2001:db8::1' }
  expect(load({ env }).config.http_server.trusted_proxies).toEqual(['10.0.0.0/8', '2001:db8::1'])
})

test('variables of others and FANWIRE_VAR_… are left alone', () => {
  const env = { PATH: '/bin', FANWIRE_VAR_ANYTHING: 'x', OTHER_FANWIRE_X: 'y' }
  expect(load({ env }).profile).toBe('development')
})

test('names with underscores find their place', () => {
  const env = {
    FANWIRE_CHANNEL_WITHOUT_NAMESPACE_ALLOW_PUBLISH_FOR_CLIENT: 'true',
    FANWIRE_CLIENT_SUBSCRIPTION_TOKEN_HMAC_SECRET_KEY: 'k',
    FANWIRE_HTTP_SERVER_INTERNAL_PORT: '0',
    FANWIRE_FLUSH_DELAY_MAX: '0s',
  }
  const { config } = load({ env })
  expect(config.channel.without_namespace.allow_publish_for_client).toBe(true)
  expect(config.client.subscription_token.hmac_secret_key).toBe('k')
  expect(config.http_server.internal_port).toBe(0)
  expect(config.flush_delay_max).toBe(0)
})

test('a flag takes its value after "=" or as the next word, a boolean may stand alone, the last one counts', () => {
  const argv = [
    '--client.insecure',
    '--client.ping_interval=10s',
    '--tcp.enabled',
    'false',
    '--http_api.key=a=b',
    '--shards',
    '2',
    '--shards',
    '3',
    '--prometheus.enabled=0',
  ]
  const { config } = load({ argv })
  expect(config.client.insecure).toBe(true)
  expect(config.client.ping_interval).toBe(10_000)
  expect(config.tcp.enabled).toBe(false)
  expect(config.http_api.key).toBe('a=b')
  expect(config.shards).toBe(3)
  expect(config.prometheus.enabled).toBe(false)
})

test('without a file and without a decision the open profile applies', () => {
  const { config, profile } = load({ argv: ['--shards', '2'], env: { FANWIRE_LOG_LEVEL: 'debug' } })
  expect(profile).toBe('development')
  expect(config.client.allow_anonymous_connect_without_token).toBe(true)
  expect(config.http_api.insecure).toBe(true)
  expect(config.channel.without_namespace).toMatchObject({
    presence: true,
    join_leave: true,
    force_push_join_leave: false,
    force_recovery: true,
    history_size: 100,
    history_ttl: 300_000,
    allow_subscribe_for_anonymous: true,
    allow_publish_for_anonymous: true,
    allow_history_for_anonymous: true,
    allow_presence_for_anonymous: true,
  })
  expect(config.client.insecure).toBe(false)
})

test.each([
  { argv: ['--client.channel_limit', '5'] },
  { argv: ['--http_api.key', 'k'] },
  { env: { FANWIRE_CHANNEL_MAX_LENGTH: '100' } },
  { argv: ['--messenger.enabled'] },
  { file: '' },
])('once clients, the API, channels or the messenger are decided, nothing is open by itself: %j', given => {
  const { config, profile } = load(given)
  expect(profile).toBe('configured')
  expect(config.client.allow_anonymous_connect_without_token).toBe(false)
  expect(config.http_api.insecure).toBe(false)
  expect(config.channel.without_namespace.allow_subscribe_for_client).toBe(false)
})

test.each(['http_server.address', 'http_server.internal_address', 'tcp.address'])(
  'the open profile refuses to listen on other addresses: %s',
  key => {
    expect(refusal({ argv: [`--${key}`, '0.0.0.0'] })).toBe(
      `${key}: "0.0.0.0" is not allowed (set by the flag --${key}); without a configuration anyone who connects may subscribe and publish, so it must be a loopback address such as "127.0.0.1"; to listen on others, give a configuration file (--config FILE; print-config writes one to begin with)`,
    )
    expect(load({ argv: [`--${key}`, '::1'] }).profile).toBe('development')
    expect(load({ file: '', argv: [`--${key}`, '0.0.0.0'] }).profile).toBe('configured')
  },
)

test('an address that is not listened on does not count', () => {
  expect(load({ argv: ['--tcp.address', '10.0.0.1', '--tcp.enabled', 'false'] }).profile).toBe('development')
})

test('loopback is 127.0.0.0/8, ::1 and localhost', () => {
  expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost', '::ffff:127.0.0.1'].every(isLoopback)).toBe(true)
  expect(['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', '::2', '::ffff:10.0.0.1'].some(isLoopback)).toBe(false)
})
