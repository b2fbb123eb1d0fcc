// Commands of clients: each kind, each field, and what a client may send to do harm.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { commands as commandLabels } from '../../src/metrics/label-values.ts'
import { type Command, type CommandKind, readCommand } from '../../src/protocol/commands.ts'

const request = {
  channel: 'news:all',
  token: 't',
  recover: true,
  epoch: 'e1',
  offset: 7,
  positioned: true,
  recoverable: true,
  join_leave: true,
}
const { join_leave: joinLeave, ...sameNames } = request
const readRequest = { ...sameNames, joinLeave }
const emptyRequest = {
  token: '',
  recover: false,
  epoch: '',
  offset: 0,
  positioned: false,
  recoverable: false,
  joinLeave: false,
}

/** Each kind with all of its fields, and what it is read as. */
const FULL: {
  [K in Exclude<CommandKind, 'pong'>]: {
    body: object
    read: Omit<Extract<Command, { kind: K }>, 'kind' | 'id'>
  }
} = {
  connect: {
    body: { token: 't', subs: { 'news:all': { ...request, channel: undefined } }, name: 'js', version: '5' },
    read: { token: 't', subs: [readRequest], name: 'js', version: '5' },
  },
  subscribe: { body: request, read: { request: readRequest } },
  unsubscribe: { body: { channel: 'c' }, read: { channel: 'c' } },
  publish: { body: { channel: 'c', data: { a: [1] } }, read: { channel: 'c', data: '{"a":[1]}' } },
  history: {
    body: { channel: 'c', limit: -1, since: { offset: 3, epoch: 'e' }, reverse: true },
    read: { channel: 'c', limit: -1, since: { offset: 3, epoch: 'e' }, reverse: true },
  },
  presence: { body: { channel: 'c' }, read: { channel: 'c' } },
  presence_stats: { body: { channel: 'c' }, read: { channel: 'c' } },
  rpc: { body: { method: 'm', data: [1] }, read: { method: 'm', data: '[1]' } },
  refresh: { body: { token: 't' }, read: { token: 't' } },
  sub_refresh: { body: { channel: 'c', token: 't' }, read: { channel: 'c', token: 't' } },
  ping: { body: {}, read: {} },
  send: { body: { data: 'x' }, read: { data: '"x"' } },
}
const kinds = Object.keys(FULL) as (keyof typeof FULL)[]

/** Each kind with no field but what it needs. */
const EMPTY: { [K in keyof typeof FULL]: { body: object; read: object } } = {
  connect: { body: {}, read: { token: '', subs: [], name: '', version: '' } },
  subscribe: { body: { channel: 'c' }, read: { request: { ...emptyRequest, channel: 'c' } } },
  unsubscribe: { body: { channel: 'c' }, read: { channel: 'c' } },
  publish: { body: { channel: 'c', data: 0 }, read: { channel: 'c', data: '0' } },
  history: { body: { channel: 'c' }, read: { channel: 'c', limit: 0, since: undefined, reverse: false } },
  presence: { body: { channel: 'c' }, read: { channel: 'c' } },
  presence_stats: { body: { channel: 'c' }, read: { channel: 'c' } },
  rpc: { body: {}, read: { method: '', data: '' } },
  refresh: { body: {}, read: { token: '' } },
  sub_refresh: { body: { channel: 'c' }, read: { channel: 'c', token: '' } },
  ping: { body: {}, read: {} },
  send: { body: {}, read: { data: '' } },
}

const read = (command: unknown) => readCommand(JSON.stringify(command))
const idOf = (kind: string) => (kind === 'send' ? {} : { id: 5 })
const expected = (kind: string, fields: object) => ({
  kind: 'command',
  command: { kind, id: kind === 'send' ? 0 : 5, ...fields },
})

describe('a good command', () => {
  test.each(kinds)('%s is read with all of its fields', kind => {
    expect(read({ ...idOf(kind), [kind]: FULL[kind].body })).toEqual(expected(kind, FULL[kind].read))
  })

  test.each(kinds)('%s is read without what may be left out', kind => {
    expect(read({ ...idOf(kind), [kind]: EMPTY[kind].body })).toEqual(expected(kind, EMPTY[kind].read))
  })

  test.each(kinds)('%s: null is the zero value, and unknown fields are passed over', kind => {
    const { body } = EMPTY[kind]
    const nulls = Object.fromEntries(Object.keys(FULL[kind].body).map(field => [field, null]))
    // A payload of null is one: JSON's own.
    if (kind === 'rpc' || kind === 'send') delete nulls.data
    const odd = { ...nulls, ...body, surprise: { data: 1 }, flag: 3 }
    expect(read({ ...idOf(kind), new_field: 1, [kind]: odd })).toEqual(expected(kind, EMPTY[kind].read))
  })

  test('nothing at all is a pong', () => {
    for (const text of ['{}', ' {} ', '{"id":0}', '{"id":null}', '{\r}']) {
      expect(readCommand(text)).toEqual({ kind: 'command', command: { kind: 'pong', id: 0 } })
    }
  })

  test('a payload is the text that the client wrote', () => {
    const text = '{"id":1,"publish":{"data": {"n":1.00000000000000000001} ,"channel":"c"}}'
    expect(readCommand(text)).toMatchObject({ command: { data: '{"n":1.00000000000000000001}' } })
  })

  test('each kind has a label in the metrics', () => {
    expect(new Set<string>([...kinds, 'pong', 'unknown'])).toEqual(new Set(commandLabels))
  })
})

describe('ids', () => {
  test.each([1, 2, 2 ** 32 - 1, 1.0])('%s is one', id => {
    expect(read({ id, ping: {} })).toEqual({ kind: 'command', command: { kind: 'ping', id } })
  })

  test.each([-1, 1.5, 2 ** 32, 1e300, '1', true, [], {}])('%j is none', id => {
    expect(read({ id, ping: {} })).toEqual({ kind: 'malformed', why: expect.stringContaining('id') })
  })

  test.each(kinds.filter(kind => kind !== 'send'))('%s needs one', kind => {
    for (const id of [0, null, undefined]) {
      const result = read({ id, [kind]: FULL[kind].body })
      expect(result).toEqual({ kind: 'malformed', why: `${kind} needs an id` })
    }
    expect(readCommand(`{"id":-0,"${kind}":{}}`).kind).toBe('malformed')
  })
})

const WRONG_TYPES = [0, 1, true, 'text', [], [1], {}]
const textFields = {
  token: ['refresh', 'sub_refresh', 'connect', 'subscribe'],
  method: ['rpc'],
  epoch: ['subscribe'],
}

describe('a wrong field', () => {
  const cases: [keyof typeof FULL, string, readonly unknown[]][] = [
    ...Object.entries(textFields).flatMap(([field, owners]) =>
      owners.map((kind): [keyof typeof FULL, string, readonly unknown[]] => [
        kind as keyof typeof FULL,
        field,
        WRONG_TYPES.filter(value => typeof value !== 'string'),
      ]),
    ),
    ['connect', 'name', [1, {}, 'x'.repeat(17)]],
    ['connect', 'version', [false, 'x'.repeat(65)]],
    ['connect', 'subs', [1, 'x', [], { c: 1 }, { c: null }, { '': {} }, { '\ud800': {} }]],
    ['rpc', 'method', ['x'.repeat(256)]],
    ['history', 'limit', [-2, 0.5, '1', 2 ** 53, true, []]],
    ['history', 'since', [1, 'x', []]],
    ['history', 'reverse', [0, 'true', {}]],
    ['subscribe', 'offset', [-1, 0.5, '7', 2 ** 53]],
    ['subscribe', 'recover', [1, 'true']],
    ['subscribe', 'positioned', [1, 'true']],
    ['subscribe', 'recoverable', [1, 'true']],
    ['subscribe', 'join_leave', [1, 'true']],
    ['subscribe', 'epoch', ['x'.repeat(65)]],
    ['publish', 'data', [null, undefined]],
    ...(
      ['subscribe', 'unsubscribe', 'publish', 'history', 'presence', 'presence_stats', 'sub_refresh'] as const
    ).map((kind): [keyof typeof FULL, string, readonly unknown[]] => [
      kind,
      'channel',
      [undefined, null, '', 1, {}, ['c'], '\ud800', 'a\udc00b'],
    ]),
  ]

  test.each(cases)('%s.%s is refused by name, with the id of the command', (kind, field, wrong) => {
    for (const value of wrong) {
      const result = read({ id: 5, [kind]: { ...FULL[kind].body, [field]: value } })
      expect(result).toEqual({ kind: 'refused', id: 5, why: expect.stringContaining(`${kind}.${field} `) })
    }
  })

  test('within a position or a subscription of connect is named with its place', () => {
    const since = read({ id: 5, history: { channel: 'c', since: { offset: -1 } } })
    expect(since).toMatchObject({ kind: 'refused', why: expect.stringContaining('history.since.offset') })
    const subs = read({ id: 5, connect: { subs: { c: { recover: 'yes' } } } })
    expect(subs).toMatchObject({ kind: 'refused', why: expect.stringContaining('connect.subs.recover') })
  })

  test.each(kinds)('%s itself is an object', kind => {
    for (const body of WRONG_TYPES.filter(value => typeof value !== 'object' || Array.isArray(value))) {
      const result = read({ ...idOf(kind), [kind]: body })
      expect(result).toEqual(
        kind === 'send'
          ? { kind: 'malformed', why: 'send is an object' }
          : { kind: 'refused', id: 5, why: `${kind} is an object` },
      )
    }
  })

  test('data that nests too deep is refused, and ends a connection that sent it without an id', () => {
    const deep = `${'['.repeat(65)}${']'.repeat(65)}`
    const publish = readCommand(`{"id":5,"publish":{"channel":"c","data":${deep}}}`)
    expect(publish).toEqual({ kind: 'refused', id: 5, why: 'publish.data nests deeper than 64 levels' })
    expect(readCommand(`{"send":{"data":${deep}}}`)).toMatchObject({ kind: 'malformed' })
    expect(readCommand(`{"id":5,"publish":{"channel":"c","data":${deep.slice(1, -1)}}}`).kind).toBe('command')
  })

  test('more subscriptions in connect than there may be are refused', () => {
    const subs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`c${n}`, {}]))
    expect(read({ id: 5, connect: { subs: subs(1024) } }).kind).toBe('command')
    expect(read({ id: 5, connect: { subs: subs(1025) } })).toMatchObject({ kind: 'refused', id: 5 })
  })
})

describe('what is no command', () => {
  test.each([
    '',
    ' ',
    'hello',
    '{',
    '{}{}',
    '[]',
    'null',
    '1',
    '"x"',
    '{"id":1}',
    '{"id":1,"foo":{}}',
    '{"id":1,}',
    '\ufeff{}',
  ])('%j is malformed', text => {
    expect(readCommand(text).kind).toBe('malformed')
  })

  test('names the command it does not know, as whole characters', () => {
    expect(read({ id: 1, method: 'x' })).toEqual({ kind: 'malformed', why: 'unknown command "method"' })
    const cut = read({ id: 1, [`${'x'.repeat(31)}😀`]: {} })
    expect(cut.kind === 'malformed' && cut.why.isWellFormed()).toBe(true)
    expect(read({ id: 1, '\ud800': {} })).toSatisfy((result: { why: string }) => result.why.isWellFormed())
  })

  test('30,000 levels of nesting in a frame of 64 KB crash nothing', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const levels = open === '[' ? 30_000 : 10_000
      const deep = open.repeat(levels) + (open === '[' ? '' : '1') + close.repeat(levels)
      for (const text of [
        deep,
        `{"id":1,"publish":{"channel":"c","data":${deep}}}`,
        `{"id":1,"publish":${deep}}`,
        `{"id":1,"x":${deep},"ping":{}}`,
        `{"id":${deep},"ping":{}}`,
        `{"id":1,"connect":{"subs":${deep}}}`,
        deep.slice(0, levels),
      ]) {
        expect(['command', 'refused', 'malformed']).toContain(readCommand(text).kind)
      }
    }
  })

  test('names of what each object inherits are names like others', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(readCommand(`{"id":1,"${name}":{"publish":{"channel":"c"}}}`).kind).toBe('malformed')
      expect(readCommand(`{"${name}":{"id":1,"ping":{}}}`).kind).toBe('malformed')
      const body = readCommand(`{"id":1,"subscribe":{"${name}":{"channel":"c","token":"t"}}}`)
      expect(body).toMatchObject({ kind: 'refused', why: 'subscribe.channel is required' })
      const subs = readCommand(`{"id":1,"connect":{"subs":{"${name}":{"offset":3}}}}`)
      expect(subs).toMatchObject({ command: { subs: [{ ...emptyRequest, channel: name, offset: 3 }] } })
    }
    expect(({} as Record<string, unknown>).channel).toBeUndefined()
  })

  test('whatever JSON comes, the answer is one of three, and a command has well-formed texts', () => {
    const fields = fc.dictionary(
      fc.constantFrom(
        ...['channel', 'data', 'token', 'offset', 'epoch', 'since', 'subs', 'limit', '__proto__'],
      ),
      fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' }), fc.constantFrom('\ud800', -1, 1e308, null)),
    )
    const command = fc.dictionary(
      fc.constantFrom('id', ...kinds, 'toString'),
      fc.oneof({ weight: 3, arbitrary: fields }, fc.jsonValue(), fc.integer()),
    )
    fc.assert(
      fc.property(fc.oneof(command, fc.jsonValue()), fc.integer({ min: 0, max: 9 }), (value, id) => {
        const text = JSON.stringify(typeof value === 'object' && value !== null ? { ...value, id } : value)
        const result = readCommand(text)
        if (result.kind !== 'command') expect(result.why.isWellFormed()).toBe(true)
        else
          for (const part of Object.values(result.command))
            expect(typeof part === 'string' && !part.isWellFormed()).toBe(false)
      }),
      { numRuns: 1000 },
    )
  })

  test('whatever text comes, nothing throws', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[{}[\]":,\\a0 -]{0,40}$/), text => {
        expect(['command', 'refused', 'malformed']).toContain(readCommand(text).kind)
      }),
    )
  })
})
