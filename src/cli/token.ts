// `token`: makes a token for a user, or for a user's subscription to a channel, to try the relay with. Main thread.

import { SignJWT } from 'jose'
import { wallMs } from '../base/clock.ts'
import { ConfigError } from '../base/errors.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { nearestName, optionsByKey } from '../config/tree.ts'

/** As Centrifugo's gentoken. */
const DEFAULT_TTL_SECONDS = 7 * 24 * 3_600
const TTL_SECONDS_MAX = 100 * 365 * 24 * 3_600
/** `--ttl -1`: the token never expires. */
const TTL_NEVER = -1

export async function token(argv: readonly string[], print: (text: string) => void): Promise<number> {
  const { wanted, rest } = readWanted(argv)
  const { config } = loadConfig({ argv: rest })
  print(`${await signToken(config, wanted, Math.floor(wallMs() / 1_000))}\n`)
  return 0
}

type Wanted = Readonly<{ user: string; channel: string | undefined; ttlSeconds: number }>

async function signToken(config: Config, wanted: Wanted, nowSeconds: number): Promise<string> {
  const { token, subscription_token } = config.client
  const isSeparate = wanted.channel !== undefined && subscription_token.enabled
  if (config.messenger.enabled && !isSeparate) {
    throw new ConfigError(
      wanted.channel === undefined
        ? 'messenger.enabled: true means that clients connect by their logins only, which give them their tokens (auth.login, auth.token)'
        : 'client.subscription_token.enabled: false is not allowed with messenger.enabled; token needs a key of its own for subscriptions',
    )
  }
  const keys = isSeparate ? subscription_token : token
  if (keys.hmac_secret_key === '') {
    const key = isSeparate ? 'client.subscription_token.hmac_secret_key' : 'client.token.hmac_secret_key'
    throw new ConfigError(
      `${key}: "" is not allowed; token signs with HS256 and needs the secret key (--config FILE)`,
    )
  }
  const claims = new SignJWT(wanted.channel === undefined ? {} : { channel: wanted.channel })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(wanted.user)
    .setIssuedAt(nowSeconds)
  if (wanted.ttlSeconds !== TTL_NEVER) claims.setExpirationTime(nowSeconds + wanted.ttlSeconds)
  if (keys.audience !== '') claims.setAudience(keys.audience)
  if (keys.issuer !== '') claims.setIssuer(keys.issuer)
  return claims.sign(new TextEncoder().encode(keys.hmac_secret_key))
}

const OWN_FLAGS = ['user', 'channel', 'ttl'] as const
type OwnFlag = (typeof OWN_FLAGS)[number]

/** Takes the flags of this command out of the words; the rest are flags of the configuration. */
function readWanted(argv: readonly string[]): { wanted: Wanted; rest: string[] } {
  const own: Partial<Record<OwnFlag, string>> = {}
  const rest: string[] = []
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!
    const flag = OWN_FLAGS.find(name => word === `--${name}` || word.startsWith(`--${name}=`))
    if (flag === undefined) {
      refuseMisspelt(word)
      rest.push(word)
      continue
    }
    const value = word.includes('=') ? word.slice(word.indexOf('=') + 1) : argv[++at]
    if (value === undefined || value.startsWith('--'))
      throw new ConfigError(`the flag --${flag} needs a value`)
    own[flag] = value
  }
  if (own.user === undefined) {
    throw new ConfigError('token needs a user: token --user U [--channel C] [--ttl SECONDS] [--config FILE]')
  }
  return { wanted: { user: own.user, channel: own.channel, ttlSeconds: ttlOf(own.ttl) }, rest }
}

/** --usr means --user, of which the configuration knows nothing. A flag with a dot is an option's. */
function refuseMisspelt(word: string): void {
  if (!/^--\w+(=|$)/.test(word)) return
  const name = word.slice(2).split('=', 1)[0]!
  if (name === 'config' || optionsByKey.has(name)) return
  const nearest = nearestName(name, [...OWN_FLAGS, 'config'])
  throw new ConfigError(`unknown flag --${name}; the nearest known one is --${nearest}`)
}

function ttlOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_TTL_SECONDS
  const seconds = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  if (seconds === TTL_NEVER || (seconds >= 1 && seconds <= TTL_SECONDS_MAX)) return seconds
  throw new ConfigError(
    `--ttl: ${JSON.stringify(text)} is not allowed; it must be a number of seconds from 1 to ${TTL_SECONDS_MAX}, or -1 for a token that never expires`,
  )
}
