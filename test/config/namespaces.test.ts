import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createNamespaces, type ResolvedChannel } from '../../src/config/namespaces.ts'
import { conversationChannel, PRESENCE_CHANNEL, userChannel } from '../../src/messenger/channels.ts'
import { load } from './load.ts'

const file = `
channel:
  max_length: 40
  without_namespace: { presence: true }
  namespaces:
    - { name: chat, history_size: 10, history_ttl: 1m }
    - { name: digits, channel_regex: "^[0-9]+$" }
    - { name: a.b }
`
const { resolve } = createNamespaces(load({ file }).config.channel)

function known(channelName: string): Extract<ResolvedChannel, { kind: 'known' }> {
  const resolved = resolve(channelName)
  if (resolved.kind !== 'known') throw new Error(`${channelName} is ${resolved.kind}`)
  return resolved
}

test('a channel without a boundary has the options for no namespace', () => {
  expect(known('news').options).toMatchObject({ namespace: '', presence: true, historyEnabled: false })
})

test('the namespace is what stands before the first boundary', () => {
  expect(known('chat:a:b').options).toMatchObject({
    namespace: 'chat',
    presence: false,
    historyEnabled: true,
  })
  expect(known('a.b:c').options.namespace).toBe('a.b')
  expect(resolve('nochat:a')).toEqual({ kind: 'unknown' })
})

test('a channel that begins with the boundary has no namespace', () => {
  expect(known(':chat').options.namespace).toBe('')
})

test('the private prefix is no part of the namespace', () => {
  expect(known('$chat:a')).toMatchObject({ isPrivate: true, options: { namespace: 'chat' } })
  expect(known('$news')).toMatchObject({ isPrivate: true, options: { namespace: '' } })
  expect(known('chat:$a').isPrivate).toBe(false)
})

test('the users are what stands after the last user boundary', () => {
  expect(known('dialog').allowedUsers).toBeUndefined()
  expect(known('dialog#42').allowedUsers).toEqual(['42'])
  expect(known('chat:a#1#42,43')).toMatchObject({
    allowedUsers: ['42', '43'],
    options: { namespace: 'chat' },
  })
})

test('the anonymous user is never named', () => {
  expect(known('dialog#').allowedUsers).toEqual([])
  expect(known('dialog#,7,').allowedUsers).toEqual(['7'])
})

test('the expression of a namespace sees what follows the boundary', () => {
  expect(known('digits:123').options.namespace).toBe('digits')
  expect(known('$digits:123').isPrivate).toBe(true)
  expect(resolve('digits:x')).toEqual({
    kind: 'bad',
    why: 'the name does not match the expression of its namespace',
  })
})

test.each([
  ['', 'the name is empty'],
  ['x'.repeat(41), 'the name is longer than 40 bytes'],
  ['ä'.repeat(21), 'the name is longer than 40 bytes'],
  ['a\ud800', 'the name has half a surrogate pair'],
  ['\udc00b', 'the name has half a surrogate pair'],
  ['a b', 'the name has white space or control characters'],
  ['a\n', 'the name has white space or control characters'],
  ['a\u0000', 'the name has white space or control characters'],
  ['a\u007f', 'the name has white space or control characters'],
  ['a\u0085', 'the name has white space or control characters'],
  ['a\u00a0', 'the name has white space or control characters'],
  ['a\u2028', 'the name has white space or control characters'],
])('%j is a bad name', (name, why) => {
  expect(resolve(name)).toEqual({ kind: 'bad', why })
})

test('names up to the limit are good, in any script', () => {
  expect(known('x'.repeat(40)).kind).toBe('known')
  expect(known('ä'.repeat(20)).kind).toBe('known')
  expect(known('чат-🎈').kind).toBe('known')
})

test('empty marks switch their meaning off', () => {
  const marks = 'channel: { namespace_boundary: "", user_boundary: "", private_prefix: "" }'
  const off = createNamespaces(load({ file: marks }).config.channel)
  expect(off.resolve('$chat:a#42')).toMatchObject({
    kind: 'known',
    isPrivate: false,
    allowedUsers: undefined,
    options: { namespace: '' },
  })
  const oneUser = createNamespaces(load({ file: 'channel: { user_separator: "" }' }).config.channel)
  expect(oneUser.resolve('a#1,2')).toMatchObject({ allowedUsers: ['1,2'] })
})

test('marks may have several characters', () => {
  const file = 'channel: { namespace_boundary: "::", private_prefix: "priv-", namespaces: [{ name: chat }] }'
  const long = createNamespaces(load({ file }).config.channel)
  expect(long.resolve('priv-chat::a:b')).toMatchObject({ isPrivate: true, options: { namespace: 'chat' } })
  expect(long.resolve('chat:a')).toMatchObject({ options: { namespace: '' } })
})

test('channels that name no users share one answer', () => {
  expect(resolve('chat:a')).toBe(resolve('chat:b'))
  expect(resolve('$chat:a')).toBe(resolve('$chat:b'))
  expect(known('chat:a#1').options).toBe(known('chat:b').options)
})

const anyName = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 50 }),
  fc.string({ unit: fc.constantFrom('$', ':', '#', ',', 'chat', 'a', '7', 'é', '🎈', ' '), maxLength: 12 }),
)

test('every text has an answer, and a good name keeps all promises', () => {
  fc.assert(
    fc.property(anyName, name => {
      const resolved = resolve(name)
      const isGood =
        name !== '' &&
        name.isWellFormed() &&
        !/[\s\p{Cc}]/u.test(name) &&
        new TextEncoder().encode(name).length <= 40
      expect(resolved.kind === 'bad').toBe(!isGood)
      if (resolved.kind !== 'known') return
      expect(resolved.isPrivate).toBe(name.startsWith('$'))
      expect(resolved.allowedUsers === undefined).toBe(!name.includes('#'))
      const { namespace } = resolved.options
      if (namespace !== '') expect(name.replace('$', '').startsWith(`${namespace}:`)).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})

test('a namespace takes all names behind its boundary', () => {
  const rest = fc.string({ unit: 'grapheme-ascii', maxLength: 30 }).filter(text => !/\s/.test(text))
  fc.assert(
    fc.property(rest, fc.boolean(), (text, isPrivate) => {
      expect(known(`${isPrivate ? '$' : ''}chat:${text}`)).toMatchObject({
        isPrivate,
        options: { namespace: 'chat' },
      })
    }),
  )
})

describe('with the messenger', () => {
  const { channel } = load().config

  test('its channels are known, keep an hour of history, and clients may do nothing there', () => {
    const { resolve } = createNamespaces(channel, true)
    for (const name of [conversationChannel(7), userChannel(7), PRESENCE_CHANNEL]) {
      const found = resolve(name)
      if (found.kind !== 'known') throw new Error(`${name} is ${found.kind}`)
      const { options } = found
      expect(options).toMatchObject({
        namespace: 'im',
        history_size: 1_000,
        history_ttl: 3_600_000,
        force_recovery: true,
        force_positioning: true,
        presence: false,
        join_leave: false,
      })
      const allowed = Object.entries(options).filter(([key, value]) => key.startsWith('allow_') && value)
      expect(allowed).toEqual([])
    }
  })

  test('no history outlives its position', () => {
    const { resolve } = createNamespaces({ ...channel, history_meta_ttl: 60_000 }, true)
    expect(resolve('im:c:1')).toMatchObject({ options: { history_ttl: 60_000 } })
  })

  test('and only with it', () => {
    expect(createNamespaces(channel).resolve('im:c:1').kind).toBe('unknown')
  })
})
