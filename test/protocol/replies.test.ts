// Replies and pushes: what JSON.parse reads back, payloads untouched, and what an official SDK makes of them.

import { Centrifuge } from 'centrifuge'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { detailed, disconnects, errors, unsubscribes } from '../../src/protocol/codes.ts'
import * as replies from '../../src/protocol/replies.ts'

const text = fc.string({ unit: 'binary', maxLength: 30 })
const RAW = '{"n":12345678901234567890, "z":1.0}'

function parsed(line: string): unknown {
  expect(line).not.toMatch(/[\r\n]/)
  return JSON.parse(line)
}

describe('replies', () => {
  test('an error has its code, its message and, if it may pass, that', () => {
    fc.assert(
      fc.property(text, detail => {
        const line = replies.errorReply(7, detailed(errors.badRequest, detail))
        expect(parsed(line)).toEqual({ id: 7, error: { code: 107, message: `bad request: ${detail}` } })
      }),
    )
    expect(parsed(replies.errorReply(1, errors.internal))).toEqual({
      id: 1,
      error: { code: 100, message: 'internal server error', temporary: true },
    })
  })

  test('results without fields', () => {
    for (const method of ['publish', 'unsubscribe', 'ping'] as const) {
      expect(parsed(replies.emptyReply(3, method))).toEqual({ id: 3, [method]: {} })
    }
    expect(parsed(replies.PING)).toEqual({})
  })

  test('connect leaves out what is zero', () => {
    const least = { client: 'c', version: 'v', expires: false, ttlS: 0, pingS: 0, pong: false, subs: [] }
    expect(parsed(replies.connectReply(1, least))).toEqual({ id: 1, connect: { client: 'c', version: 'v' } })
    const subs = [['"a\\"b"', '{"offset":1}'] as const, ['"c"', '{}'] as const]
    const most = { client: 'c', version: 'v', expires: true, ttlS: 60, pingS: 25, pong: true, subs }
    expect(parsed(replies.connectReply(1, most))).toEqual({
      id: 1,
      connect: {
        client: 'c',
        version: 'v',
        expires: true,
        ttl: 60,
        subs: { 'a"b': { offset: 1 }, c: {} },
        ping: 25,
        pong: true,
      },
    })
  })

  test('refresh and sub_refresh', () => {
    expect(parsed(replies.refreshReply(1, 'c', 'v', true, 9))).toEqual({
      id: 1,
      refresh: { client: 'c', version: 'v', expires: true, ttl: 9 },
    })
    expect(parsed(replies.refreshReply(1, 'c', 'v', false, 9))).toEqual({
      id: 1,
      refresh: { client: 'c', version: 'v' },
    })
    expect(parsed(replies.subRefreshReply(2, true, 9))).toEqual({
      id: 2,
      sub_refresh: { expires: true, ttl: 9 },
    })
    expect(parsed(replies.subRefreshReply(2, false, 0))).toEqual({ id: 2, sub_refresh: {} })
    expect(parsed(replies.refreshPush(true, 9))).toEqual({ push: { refresh: { expires: true, ttl: 9 } } })
    expect(parsed(replies.refreshPush(false, 0))).toEqual({ push: { refresh: {} } })
  })

  test('a subscribe result leaves out what is zero, in any combination', () => {
    const result = fc.record({
      expires: fc.boolean(),
      ttlS: fc.integer({ min: 1, max: 1e6 }),
      recoverable: fc.boolean(),
      positioned: fc.boolean(),
      epoch: fc.constantFrom('', 'AbC-_1'),
      offset: fc.constantFrom(0, 1, 2 ** 40),
      wasRecovering: fc.boolean(),
      recovered: fc.boolean(),
      publications: fc.constantFrom('', '{"data":1,"offset":1}', '{"data":1},{"data":2}'),
      data: fc.constantFrom(undefined, RAW),
    })
    fc.assert(
      fc.property(result, fields => {
        const { expires, ttlS, publications, wasRecovering, data, ...same } = fields
        const all = {
          ...same,
          expires,
          ttl: expires && ttlS,
          was_recovering: wasRecovering,
          publications: publications !== '' && JSON.parse(`[${publications}]`),
          data: data !== undefined && JSON.parse(data),
        }
        const set = Object.entries(all).filter(([, value]) => value !== false && value !== '' && value !== 0)
        const line = replies.subscribeReply(4, replies.subscribeResult(fields))
        expect(parsed(line)).toEqual({ id: 4, subscribe: Object.fromEntries(set) })
      }),
    )
  })

  test('history, presence and statistics', () => {
    const history = replies.resultReply(1, 'history', replies.historyResult('{"data":1,"offset":8}', 'e', 8))
    expect(parsed(history)).toEqual({
      id: 1,
      history: { publications: [{ data: 1, offset: 8 }], epoch: 'e', offset: 8 },
    })
    const presence = replies.resultReply(1, 'presence', replies.presenceResult('"a":{"user":"u"}'))
    expect(parsed(presence)).toEqual({ id: 1, presence: { presence: { a: { user: 'u' } } } })
    const stats = replies.resultReply(1, 'presence_stats', replies.presenceStatsResult(3, 2))
    expect(parsed(stats)).toEqual({ id: 1, presence_stats: { num_clients: 3, num_users: 2 } })
  })
})

describe('pushes', () => {
  test('a publication has what it was given, in any combination, and any channel name', () => {
    const maybe = <T>(value: T) => fc.constantFrom(undefined, value)
    const arbitrary = fc.record({
      channel: text,
      offset: fc.nat(3),
      info: maybe('{"user":"u","client":"c"}'),
      tags: maybe('{"a":"b"}'),
    })
    fc.assert(
      fc.property(arbitrary, fc.json(), ({ channel, offset, info, tags }, data) => {
        const json = replies.publication(data, offset, info, tags)
        const line = replies.publicationPush(JSON.stringify(channel), json)
        const pub = {
          data: JSON.parse(data),
          ...(info !== undefined && { info: JSON.parse(info) }),
          ...(offset > 0 && { offset }),
          ...(tags !== undefined && { tags: JSON.parse(tags) }),
        }
        expect(JSON.stringify(parsed(line))).toBe(JSON.stringify({ push: { channel, pub } }))
      }),
    )
  })

  test('payloads are put in as they are, digit by digit', () => {
    expect(replies.publicationPush('"c"', replies.publication(RAW, 1, undefined, undefined))).toContain(RAW)
    expect(replies.messagePush(RAW)).toBe(`{"push":{"message":{"data":${RAW}}}}`)
    expect(replies.clientInfo('id', '"u"', RAW, RAW)).toBe(
      `{"user":"u","client":"id","conn_info":${RAW},"chan_info":${RAW}}`,
    )
  })

  test('join, leave, subscribe, unsubscribe and disconnect', () => {
    const info = replies.clientInfo('id', '"u"', undefined, undefined)
    expect(parsed(replies.joinPush('"c"', info))).toEqual({
      push: { channel: 'c', join: { info: { user: 'u', client: 'id' } } },
    })
    expect(parsed(replies.leavePush('"c"', info))).toEqual({
      push: { channel: 'c', leave: { info: { user: 'u', client: 'id' } } },
    })
    expect(parsed(replies.subscribePush('"c"', '{}'))).toEqual({ push: { channel: 'c', subscribe: {} } })
    expect(parsed(replies.unsubscribePush('"c"', unsubscribes.insufficientState))).toEqual({
      push: { channel: 'c', unsubscribe: { code: 2500, reason: 'insufficient state' } },
    })
    expect(parsed(replies.disconnectPush(disconnects.shutdown, true))).toEqual({
      push: { disconnect: { code: 3001, reason: 'shutdown', reconnect: true } },
    })
    expect(parsed(replies.disconnectPush(disconnects.invalidToken, false))).toEqual({
      push: { disconnect: { code: 3500, reason: 'invalid token' } },
    })
  })
})

/** What the SDK takes for a WebSocket: a conversation in memory, answered by `answer`. */
function socketClass(answer: (command: Record<string, { channel: string }> & { id: number }) => string[]) {
  return class {
    onopen: () => void = () => {}
    onmessage: (event: { data: string }) => void = () => {}
    onclose: (event: { code: number; reason: string }) => void = () => {}
    onerror: () => void = () => {}
    readyState = 1
    constructor() {
      queueMicrotask(() => this.onopen())
    }
    send(frame: string) {
      const lines = frame.split('\n').flatMap(line => answer(JSON.parse(line)))
      if (lines.length > 0) queueMicrotask(() => this.onmessage({ data: lines.join('\n') }))
    }
    close() {
      queueMicrotask(() => this.onclose({ code: 1000, reason: '' }))
    }
  }
}

describe('an official SDK', () => {
  test('understands a whole conversation', async () => {
    const info = replies.clientInfo('id', '"u"', '{"name":"x"}', undefined)
    const first = replies.publication('"missed"', 4, info, '{"k":"v"}')
    const result = replies.subscribeResult({
      expires: false,
      ttlS: 0,
      recoverable: true,
      positioned: true,
      epoch: 'e',
      offset: 4,
      wasRecovering: true,
      recovered: true,
      publications: first,
      data: '{"hello":1}',
    })
    const connect = { client: 'id', version: 'v', expires: false, ttlS: 0, pingS: 25, pong: true, subs: [] }
    const seen: unknown[] = []
    const websocket = socketClass(command => {
      const { id } = command
      if (command.connect) return [replies.connectReply(id, connect)]
      if (command.publish) return [replies.errorReply(id, errors.permissionDenied)]
      if (command.history) return [replies.resultReply(id, 'history', replies.historyResult(first, 'e', 4))]
      if (command.presence)
        return [replies.resultReply(id, 'presence', replies.presenceResult(`"id":${info}`))]
      if (command.presence_stats)
        return [replies.resultReply(id, 'presence_stats', replies.presenceStatsResult(2, 1))]
      if (command.rpc) return [replies.resultReply(id, 'rpc', '{"data":[1]}')]
      if (!command.subscribe) return []
      return [
        replies.subscribeReply(id, result),
        replies.joinPush('"c"', info),
        replies.publicationPush('"c"', replies.publication('"live"', 5, undefined, undefined)),
        replies.leavePush('"c"', info),
        replies.messagePush('"to you"'),
        replies.PING,
        replies.unsubscribePush('"c"', unsubscribes.server),
      ]
    })
    const client = new Centrifuge('ws://in.memory/connection/websocket', { websocket })
    const subscription = client.newSubscription('c')
    const unsubscribed = new Promise(resolve => subscription.on('unsubscribed', resolve))
    subscription.on('publication', ctx => seen.push([ctx.data, ctx.offset, ctx.info?.user, ctx.tags]))
    subscription.on('join', ctx => seen.push(['join', ctx.info.connInfo]))
    subscription.on('leave', ctx => seen.push(['leave', ctx.info.client]))
    client.on('message', ctx => seen.push(['message', ctx.data]))
    subscription.on('subscribed', ctx => seen.push([ctx.recovered, ctx.streamPosition, ctx.data]))
    subscription.subscribe()
    client.connect()

    expect(await unsubscribed).toMatchObject({ code: 2000, reason: 'server unsubscribe' })
    expect(seen).toEqual([
      [true, { offset: 4, epoch: 'e' }, { hello: 1 }],
      ['missed', 4, 'u', { k: 'v' }],
      ['join', { name: 'x' }],
      ['live', 5, undefined, undefined],
      ['leave', 'id'],
      ['message', 'to you'],
    ])
    await expect(client.publish('c', 1)).rejects.toMatchObject({ code: 103, message: 'permission denied' })
    expect(await client.history('c')).toMatchObject({
      publications: [{ data: 'missed', offset: 4 }],
      offset: 4,
    })
    expect((await client.presence('c')).clients).toMatchObject({ id: { user: 'u', connInfo: { name: 'x' } } })
    expect(await client.presenceStats('c')).toEqual({ numClients: 2, numUsers: 1 })
    expect(await client.rpc('m', {})).toEqual({ data: [1] })
    client.disconnect()
  })
})
