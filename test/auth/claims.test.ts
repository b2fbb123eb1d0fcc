// What payloads mean, and that each known claim is taken in its documented type only.

import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readConnectionClaims, readSubscriptionClaims } from '../../src/auth/claims.ts'

const CHANNELS_MAX = 4

function connection(payload: unknown) {
  const result = readConnectionClaims(payload, CHANNELS_MAX)
  if (result.kind === 'invalid') throw new Error(result.why)
  return result.claims
}

function subscription(payload: unknown) {
  const result = readSubscriptionClaims(payload)
  if (result.kind === 'invalid') throw new Error(result.why)
  return result.claims
}

describe('connection claims', () => {
  test('an empty payload is an anonymous user without end', () => {
    const claims = connection({})
    expect(claims).toEqual({
      user: '',
      session: '',
      expireAt: 0,
      info: undefined,
      channels: [],
      subs: new Map(),
    })
  })

  test('unknown claims, meta among them, are left alone', () => {
    expect(connection({ sub: '42', meta: { a: 1 }, jti: 'x', iat: 1, roles: ['admin'] })).toEqual({
      ...connection({}),
      user: '42',
    })
  })

  test('info is handed on as JSON text, whatever its type; null is none', () => {
    expect(connection({ info: { name: 'Ada', tags: [1, null] } }).info).toBe('{"name":"Ada","tags":[1,null]}')
    expect(connection({ info: 'Ada' }).info).toBe('"Ada"')
    expect(connection({ info: 0 }).info).toBe('0')
    expect(connection({ info: false }).info).toBe('false')
    expect(connection({ info: null }).info).toBe(undefined)
  })

  test('info nested too deeply for its text to be made is refused, not thrown', () => {
    const info = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)
    expect(readConnectionClaims({ info }, CHANNELS_MAX)).toEqual({
      kind: 'invalid',
      why: 'claim "info": nested too deeply',
    })
  })

  test('the connection expires at exp, in whole seconds, unless expire_at says otherwise', () => {
    expect(connection({ exp: 1_800_000_000 }).expireAt).toBe(1_800_000_000)
    expect(connection({ exp: 1_800_000_000.9 }).expireAt).toBe(1_800_000_000)
    expect(connection({ exp: 1_800_000_000, expire_at: 1_900_000_000 }).expireAt).toBe(1_900_000_000)
    expect(connection({ exp: 1_800_000_000, expire_at: 0 }).expireAt).toBe(0)
    expect(connection({ expire_at: 1_900_000_000 }).expireAt).toBe(1_900_000_000)
  })

  test('channels are taken once each', () => {
    expect(connection({ channels: ['news', 'chat:1', 'news'] }).channels).toEqual(['news', 'chat:1'])
  })

  test('subs are taken with their options and replace channels', () => {
    const claims = connection({
      channels: ['news'],
      subs: {
        'chat:1': { info: { a: 1 }, data: [1], override: { presence: { value: true } } },
        'chat:2': {},
      },
    })
    expect(claims.channels).toEqual([])
    expect([...claims.subs]).toEqual([
      ['chat:1', { info: '{"a":1}', data: '[1]', override: { presence: true } }],
      ['chat:2', {}],
    ])
    expect(connection({ channels: ['news'], subs: {} }).channels).toEqual(['news'])
  })

  test('an override is taken per option, and an empty one is false', () => {
    const override = {
      presence: { value: false },
      join_leave: { value: true },
      force_push_join_leave: {},
      force_positioning: { value: true },
      force_recovery: { value: false },
      history_size: { value: true },
    }
    expect(connection({ subs: { news: { override } } }).subs.get('news')?.override).toEqual({
      presence: false,
      join_leave: true,
      force_push_join_leave: false,
      force_positioning: true,
      force_recovery: false,
    })
    expect(connection({ subs: { news: { override: {} } } }).subs.get('news')).toEqual({ override: {} })
  })

  test('as many channels as the limit says are taken, and not one more', () => {
    const names = Array.from({ length: CHANNELS_MAX }, (_, index) => `c${index}`)
    const subs = Object.fromEntries(names.map(name => [name, {}]))
    expect(connection({ channels: names }).channels).toHaveLength(CHANNELS_MAX)
    expect(connection({ subs }).subs.size).toBe(CHANNELS_MAX)
    expect(readConnectionClaims({ channels: [...names, 'more'] }, CHANNELS_MAX)).toEqual({
      kind: 'invalid',
      why: 'claim "channels": more than 4 channels',
    })
    expect(readConnectionClaims({ subs: { ...subs, more: {} } }, CHANNELS_MAX)).toEqual({
      kind: 'invalid',
      why: 'claim "subs": more than 4 channels',
    })
  })

  test('a subscription token is refused', () => {
    const result = readConnectionClaims({ sub: '42', channel: 'news' }, CHANNELS_MAX)
    expect(result).toEqual({
      kind: 'invalid',
      why: 'claim "channel": belongs to subscription tokens only',
    })
  })

  test('keys that mean something to JavaScript change no object', () => {
    const payload = JSON.parse(
      '{"__proto__":{"sub":"root"},"subs":{"constructor":{"info":1},"__proto__":{"info":2}}}',
    )
    const claims = connection(payload)
    expect(claims.user).toBe('')
    expect(claims.subs.get('constructor')).toEqual({ info: '1' })
    expect(Object.getPrototypeOf(claims)).toBe(Object.prototype)
    expect(({} as { info?: unknown }).info).toBe(undefined)
  })
})

describe('subscription claims', () => {
  test('all known claims are taken', () => {
    const payload = {
      sub: '42',
      channel: '$news',
      client: 'c1',
      exp: 1_800_000_000,
      info: { a: 1 },
      override: { force_recovery: { value: true } },
    }
    expect(subscription(payload)).toEqual({
      user: '42',
      channel: '$news',
      client: 'c1',
      expireAt: 1_800_000_000,
      info: '{"a":1}',
      override: { force_recovery: true },
    })
  })

  test('only the channel is required', () => {
    expect(subscription({ channel: 'news' })).toEqual({
      user: '',
      channel: 'news',
      client: '',
      expireAt: 0,
      info: undefined,
      override: undefined,
    })
    for (const payload of [{}, { channel: '' }, { channel: 7 }, { channel: null }]) {
      expect(readSubscriptionClaims(payload)).toMatchObject({
        why: expect.stringMatching(/^claim "channel"/),
      })
    }
  })
})

describe('a claim of a wrong type', () => {
  const SECRET = 'do-not-repeat'
  const wrong: [claim: string, values: unknown[]][] = [
    ['sub', [42, null, true, {}, [SECRET]]],
    ['exp', [SECRET, null, -1, Number.POSITIVE_INFINITY, 1e300]],
    ['expire_at', [SECRET, null, -1, 1.5, 1e300, { SECRET }]],
    ['b64info', [SECRET, 1]],
    ['channels', [SECRET, null, { 0: SECRET }, [1], [''], [null], [[SECRET]]]],
    ['subs', [SECRET, null, [SECRET], { [SECRET]: 1 }, { [SECRET]: null }, { '': {} }]],
    ['subs', [{ [SECRET]: { b64info: SECRET } }, { [SECRET]: { b64data: SECRET } }]],
    ['subs', [{ [SECRET]: { override: true } }, { [SECRET]: { override: { presence: true } } }]],
    ['subs', [{ [SECRET]: { override: { join_leave: { value: SECRET } } } }]],
  ]
  for (const [claim, values] of wrong) {
    test(`${claim}: is refused by name and without its value: ${JSON.stringify(values)}`, () => {
      for (const value of values) {
        const result = readConnectionClaims({ [claim]: value }, CHANNELS_MAX)
        expect(result).toMatchObject({ kind: 'invalid' })
        const { why } = result as { why: string }
        expect(why.startsWith(`claim "${claim}": `)).toBe(true)
        expect(why).not.toContain(SECRET)
      }
    })
  }

  test('client and override of a subscription are refused by name', () => {
    for (const claim of ['client', 'override', 'sub', 'info_', 'b64info']) {
      const result = readSubscriptionClaims({ channel: 'news', [claim]: 7 })
      if (claim === 'info_') expect(result.kind).toBe('valid')
      else expect(result).toMatchObject({ why: expect.stringContaining(`claim "${claim}": `) })
    }
  })
})

test('any payload is either read or refused', () => {
  const keys = fc.constantFrom('sub', 'exp', 'expire_at', 'info', 'channels', 'subs', 'channel', 'override')
  fc.assert(
    fc.property(fc.dictionary(keys, fc.jsonValue()), payload => {
      expect(['valid', 'invalid']).toContain(readConnectionClaims(payload, CHANNELS_MAX).kind)
      expect(['valid', 'invalid']).toContain(readSubscriptionClaims(payload).kind)
    }),
  )
})
