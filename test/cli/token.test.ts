import { decodeProtectedHeader, jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import { ConfigError } from '../../src/base/errors.ts'
import { token } from '../../src/cli/token.ts'

const SECRET = 'a-secret-of-the-test'
const KEY = ['--client.token.hmac_secret_key', SECRET]

async function make(...argv: string[]): Promise<string> {
  let text = ''
  expect(await token(argv, piece => (text += piece))).toBe(0)
  return text.trimEnd()
}

const claimsOf = async (text: string, secret = SECRET) =>
  (await jwtVerify(text, new TextEncoder().encode(secret))).payload

test('a token names the user and lasts for seven days', async () => {
  const text = await make('--user', '42', ...KEY)
  const claims = await claimsOf(text)
  expect(decodeProtectedHeader(text).alg).toBe('HS256')
  expect(claims.sub).toBe('42')
  expect(claims.exp! - claims.iat!).toBe(7 * 24 * 3_600)
  expect(claims).not.toHaveProperty('channel')
})

test('a token for a subscription names the channel', async () => {
  expect(await claimsOf(await make('--user=42', '--channel=$news', '--ttl=60', ...KEY))).toMatchObject({
    sub: '42',
    channel: '$news',
  })
})

test('--ttl sets the seconds, and -1 leaves the end out', async () => {
  const short = await claimsOf(await make('--user', 'u', '--ttl', '60', ...KEY))
  expect(short.exp! - short.iat!).toBe(60)
  expect(await claimsOf(await make('--user', 'u', '--ttl', '-1', ...KEY))).not.toHaveProperty('exp')
})

test('the empty user is the anonymous one', async () => {
  expect((await claimsOf(await make('--user=', ...KEY))).sub).toBe('')
})

test('audience and issuer are those that the relay will ask for', async () => {
  const text = await make(
    '--user',
    'u',
    ...KEY,
    '--client.token.audience',
    'relay',
    '--client.token.issuer',
    'me',
  )
  expect(await claimsOf(text)).toMatchObject({ aud: 'relay', iss: 'me' })
})

test('subscriptions with keys of their own are signed with those', async () => {
  const own = [
    '--client.subscription_token.enabled',
    '--client.subscription_token.hmac_secret_key',
    'another-key',
  ]
  const text = await make('--user', 'u', '--channel', 'c', ...KEY, ...own)
  expect(await claimsOf(text, 'another-key')).toMatchObject({ channel: 'c' })
  expect((await claimsOf(await make('--user', 'u', ...KEY, ...own))).sub).toBe('u')
})

test.each([
  [
    ['--user', 'u'],
    'client.token.hmac_secret_key: "" is not allowed; token signs with HS256 and needs the secret key (--config FILE)',
  ],
  [
    ['--user', 'u', '--messenger.enabled'],
    'messenger.enabled: true means that clients connect by their logins only, which give them their tokens (auth.login, auth.token)',
  ],
  [
    ['--user', 'u', '--channel', 'c', '--messenger.enabled'],
    'client.subscription_token.enabled: false is not allowed with messenger.enabled; token needs a key of its own for subscriptions',
  ],
  [KEY, 'token needs a user: token --user U [--channel C] [--ttl SECONDS] [--config FILE]'],
  [['--user'], 'the flag --user needs a value'],
  [['--usr', 'u', ...KEY], 'unknown flag --usr; the nearest known one is --user'],
  [
    ['--user', 'u', '--ttl', '1h', ...KEY],
    '--ttl: "1h" is not allowed; it must be a number of seconds from 1 to 3153600000, or -1 for a token that never expires',
  ],
  [
    ['--user', 'u', '--ttl', '0', ...KEY],
    '--ttl: "0" is not allowed; it must be a number of seconds from 1 to 3153600000, or -1 for a token that never expires',
  ],
])('%j is refused', async (argv, message) => {
  await expect(token(argv, () => {})).rejects.toThrow(new ConfigError(message))
})
