// The options under client.*: who may connect, how connections are kept, and what one of them may cost.
// Main thread, at start. Names are Centrifugo's where the meaning is the same.

import { ALLOWED_ORIGINS_MAX, MESSAGE_SIZE_LIMIT_MAX_BYTES } from './limits.ts'
import { duration, flag, integer, list, section, text } from './option.ts'

function isWebAddress(value: string): boolean {
  if (value === '') return true
  // Centrifugo fills {{variables}} from the token into the address before it is verified: we don't.
  if (value.includes('{{') || !URL.canParse(value)) return false
  return ['http:', 'https:'].includes(new URL(value).protocol)
}

/** What a browser sends as Origin, letter by letter: comparing is then a plain equality. */
function isExactOrigin(value: string): boolean {
  if (value.includes('*') || !URL.canParse(value)) return false
  const url = new URL(value)
  // Only the web's own schemes have an origin for URL; apps embed clients under others (capacitor://localhost).
  if (url.protocol === 'http:' || url.protocol === 'https:') return url.origin === value
  return /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]+$/.test(value)
}

function areOrigins(origins: readonly string[]): boolean {
  return (origins.length === 1 && origins[0] === '*') || origins.every(isExactOrigin)
}

const tokenShape = {
  hmac_secret_key: text(
    { secret: true },
    'Secret key of tokens signed with HS256, HS384 or HS512; "" = such tokens are refused.',
  ),
  rsa_public_key: text(
    {},
    'Public key (PEM) of tokens signed with RS256, RS384 or RS512; "" = such tokens are refused.',
  ),
  ecdsa_public_key: text(
    {},
    'Public key (PEM) of tokens signed with ES256, ES384 or ES512; "" = such tokens are refused.',
  ),
  jwks_public_endpoint: text(
    { accepts: isWebAddress, allowed: '"" or an http or https address without {{variables}}' },
    'Address of a JSON Web Key Set; when set, only its keys count.',
  ),
  audience: text({}, 'What the claim "aud" of a token must be or contain; "" = any.'),
  issuer: text({}, 'What the claim "iss" of a token must be; "" = any.'),
}

export const client = section('Clients: who may connect, and what one connection may cost.', {
  insecure: flag('Development only: clients need no token and no permission for anything.'),
  allow_anonymous_connect_without_token: flag(
    'Clients without a token may connect, as the anonymous user "".',
  ),
  token: section('Keys that verify the tokens of connections (and of subscriptions).', tokenShape),
  subscription_token: section('Keys of their own for the tokens of subscriptions.', {
    enabled: flag('Subscription tokens are verified with the keys below and not with those of client.token.'),
    ...tokenShape,
  }),
  allowed_origins: list(
    {
      max: ALLOWED_ORIGINS_MAX,
      accepts: areOrigins,
      allowed:
        'a list of exact origins as browsers send them ("https://chat.example.com": scheme, host, a port if it is not the usual one; no path, no wildcard pattern), or "*" alone for any',
    },
    'Origins whose web pages may connect; "*" alone = any.',
  ),
  ping_interval: duration({ default: '25s', min: '1s', max: '1h' }, 'Time between two pings to a client.'),
  pong_timeout: duration(
    { default: '8s', min: '100ms', max: '1h' },
    'A client must answer a ping within this; less than ping_interval.',
  ),
  message_size_limit: integer(
    { default: 65_536, min: 1_024, max: MESSAGE_SIZE_LIMIT_MAX_BYTES, unit: 'bytes' },
    'Largest frame or line that a client may send.',
  ),
  queue_max_size: integer(
    { default: 1_048_576, min: 65_536, max: 1_073_741_824, unit: 'bytes' },
    'Hard limit of what waits for one connection; past it the connection is ended (3008 slow).',
  ),
  queue_soft_size: integer(
    { default: 65_536, min: 4_096, max: 1_073_741_824, unit: 'bytes' },
    'Past this a connection is lagging and catches up from history; less than queue_max_size.',
  ),
  slow_timeout: duration(
    { default: '60s', min: '1s', max: '24h' },
    'A connection that lags longer than this is ended (3008 slow).',
  ),
  channel_limit: integer(
    { default: 128, min: 1, max: 100_000, unit: 'channels' },
    'Subscriptions that one connection may have.',
  ),
  user_connection_limit: integer(
    { default: 0, min: 0, max: 1_000_000, unit: 'connections' },
    'Connections that one user may have; 0 = no limit.',
  ),
  connection_limit: integer(
    { default: 0, min: 0, max: 100_000_000, unit: 'connections' },
    'Connections of the whole process; 0 = no limit.',
  ),
  connection_rate_limit: integer(
    { default: 0, min: 0, max: 10_000_000, unit: 'connections per second' },
    'New connections a second of the whole process; 0 = no limit.',
  ),
  command_rate_limit: integer(
    { default: 0, min: 0, max: 10_000_000, unit: 'commands per second' },
    'Commands a second of one connection; 0 = no limit.',
  ),
  stale_close_delay: duration(
    { default: '10s', min: '100ms', max: '1h' },
    'A connection that has not sent a valid connect command after this is ended (3502 stale).',
  ),
  expired_close_delay: duration(
    { default: '25s', min: '0s', max: '24h' },
    'How long a connection with an expired token may live on, so that it can refresh.',
  ),
  expired_sub_close_delay: duration(
    { default: '25s', min: '0s', max: '24h' },
    'How long a subscription with an expired token may live on, so that it can refresh.',
  ),
  history_max_publication_limit: integer(
    { default: 300, min: 1, max: 100_000, unit: 'publications' },
    'Publications that a client gets with one history command.',
  ),
  recovery_max_publication_limit: integer(
    { default: 300, min: 1, max: 100_000, unit: 'publications' },
    'Publications that a client gets when it resubscribes; who missed more is told that it did not recover.',
  ),
})
