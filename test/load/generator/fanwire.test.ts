// The relay's dialect, held against what the relay's own code writes and reads.

import { describe, expect, test } from 'vitest'
import { dialect } from '../../../load/generator/fanwire.ts'
import { disconnects, errors, unsubscribes } from '../../../src/protocol/codes.ts'
import {
  connectReply,
  disconnectPush,
  emptyReply,
  errorReply,
  joinPush,
  publication,
  publicationPush,
  type SubscribeResult,
  subscribeReply,
  subscribeResult,
  unsubscribePush,
} from '../../../src/protocol/replies.ts'

const RESULT: SubscribeResult = {
  expires: false,
  ttlS: 0,
  recoverable: true,
  positioned: true,
  epoch: 'abcd',
  offset: 17,
  wasRecovering: false,
  recovered: false,
  publications: '',
  data: undefined,
}
const bytes = (text: string) => Buffer.from(text)
const subscribed = (result: Partial<SubscribeResult>, id = 2) =>
  dialect.subscribed(bytes(subscribeReply(2, subscribeResult({ ...RESULT, ...result }))), id)

test('commands are JSON of the protocol', () => {
  expect(JSON.parse(dialect.connect!(1, undefined) as string)).toEqual({ id: 1, connect: {} })
  expect(JSON.parse(dialect.connect!(1, 'a"b') as string)).toEqual({ id: 1, connect: { token: 'a"b' } })
  expect(JSON.parse(dialect.subscribe(2, 'news', undefined) as string)).toEqual({
    id: 2,
    subscribe: { channel: 'news', recoverable: true },
  })
  expect(JSON.parse(dialect.subscribe(2, 'news', { epoch: 'e', offset: 3 }) as string)).toEqual({
    id: 2,
    subscribe: { channel: 'news', recoverable: true, recover: true, epoch: 'e', offset: 3 },
  })
  expect(JSON.parse(dialect.unsubscribe!(3, 'news') as string)).toEqual({
    id: 3,
    unsubscribe: { channel: 'news' },
  })
  expect(JSON.parse(dialect.publish(4, 'news', '"x"') as string)).toEqual({
    id: 4,
    publish: { channel: 'news', data: 'x' },
  })
})

test('the answer to connect is told from everything else', () => {
  const result = { client: 'c', version: 'v', expires: false, ttlS: 0, pingS: 25, pong: true, subs: [] }
  expect(dialect.connected(bytes(connectReply(1, result)))).toEqual({ state: 'ok' })
  expect(dialect.connected(bytes(errorReply(1, errors.tokenExpired)))).toEqual({
    state: 'error',
    reason: 'error 109: token expired',
  })
  for (const other of [
    '{}',
    '{"id":12,"connect":{}}',
    publicationPush('"a"', publication('1', 0, undefined, undefined)),
  ]) {
    expect(dialect.connected(bytes(other))).toEqual({ state: 'none' })
  }
})

describe('the answer to subscribe', () => {
  test('tells the position, and whether it recovered', () => {
    expect(subscribed({})).toEqual({
      state: 'ok',
      recovered: false,
      wasRecovering: false,
      position: { epoch: 'abcd', offset: 17 },
    })
    expect(subscribed({ offset: 0 })).toMatchObject({ position: { epoch: 'abcd', offset: 0 } })
    expect(subscribed({ recoverable: false, positioned: false, epoch: '', offset: 0 })).not.toHaveProperty(
      'position',
    )
    expect(subscribed({ wasRecovering: true, recovered: true })).toMatchObject({
      recovered: true,
      wasRecovering: true,
    })
    expect(subscribed({ wasRecovering: true })).toMatchObject({ recovered: false, wasRecovering: true })
  })

  test('is not misled by what its publications say', () => {
    const trap = publication(
      '{"offset":99,"epoch":"no","recovered":true,"x":["]"]}',
      18,
      undefined,
      undefined,
    )
    const many = Array.from({ length: 300 }, () => trap).join(',')
    expect(subscribed({ publications: many, offset: 317, wasRecovering: true, recovered: true })).toEqual({
      state: 'ok',
      recovered: true,
      wasRecovering: true,
      position: { epoch: 'abcd', offset: 317 },
    })
  })

  test('is that of its command', () => {
    expect(subscribed({}, 3)).toEqual({ state: 'none' })
    expect(dialect.subscribed(bytes(errorReply(2, errors.permissionDenied)), 2)).toEqual({
      state: 'error',
      reason: 'error 103: permission denied',
    })
  })
})

test('the offset of a publication stands where it stands', () => {
  const offsetOf = (offset: number, tags?: string, data = '"x"') => {
    const line = publicationPush('"a"', publication(data, offset, undefined, tags))
    // Other lines stand around it.
    const before = publicationPush('"a"', publication(data, 4, undefined, undefined))
    const all = bytes(`${before}\n${line}\n${before}`)
    return dialect.offset!(all, before.length + 1, before.length + 1 + line.length)
  }
  expect(offsetOf(1)).toBe(1)
  expect(offsetOf(9_007_199_254_740_991)).toBe(9_007_199_254_740_991)
  expect(offsetOf(12, '{"k":"v","n":"1"}')).toBe(12)
  expect(offsetOf(0)).toBeUndefined()
  expect(offsetOf(0, '{"k":"1"}')).toBeUndefined()
})

test('ends of subscriptions and connections are found', () => {
  expect(dialect.ended!(bytes(unsubscribePush('"news"', unsubscribes.insufficientState)))).toEqual({
    code: 2500,
    channel: 'news',
  })
  expect(dialect.ended!(bytes(disconnectPush(disconnects.shutdown, true)))).toEqual({ code: 3001 })
  for (const other of ['{}', emptyReply(2, 'publish'), joinPush('"a"', '{}')]) {
    expect(dialect.ended!(bytes(other))).toBeUndefined()
  }
})

test('pings are answered, and answers to publish have their id and their error', () => {
  expect(dialect.pong!(bytes('{}'))).toBe('{}')
  expect(dialect.pong!(bytes(emptyReply(2, 'publish')))).toBeUndefined()
  const answers: unknown[] = []
  for (const line of [emptyReply(7, 'publish'), errorReply(8, errors.tooManyRequests), '{}']) {
    dialect.answers!(bytes(line), (id, error) => answers.push([id, error]))
  }
  expect(answers).toEqual([
    [7, undefined],
    [8, 'error 111: too many requests'],
  ])
})
