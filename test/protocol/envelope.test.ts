// Frames between shards: every ask, answer and tell comes back as it was.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { errors } from '../../src/protocol/codes.ts'
import {
  type Answer,
  type AskKind,
  type Asks,
  answerOf,
  decodeHead,
  encodeAnswer,
  encodeAsk,
  encodeFailure,
  encodeTell,
  type TellKind,
  type Tells,
} from '../../src/protocol/envelope.ts'

// Texts are well formed Unicode everywhere within the relay.
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
)
const count = fc.oneof(fc.nat(300), fc.maxSafeNat(), fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 32 + 1))
const flag = fc.boolean()
const seqs = fc.nat(2 ** 31 - 1)

type Arbitraries<T> = { [K in keyof T]: fc.Arbitrary<T[K]> }
const asks: { [K in AskKind]: { ask: Arbitraries<Asks[K]['ask']>; answer: Arbitraries<Asks[K]['answer']> } } =
  {
    publish: {
      ask: { channel: text, data: text, info: text, tags: text, skipHistory: flag, idempotencyKey: text },
      answer: { epoch: text, offset: count },
    },
    subscribe: {
      ask: {
        channel: text,
        client: text,
        user: text,
        info: text,
        presence: flag,
        emitsJoinLeave: flag,
        recover: flag,
        epoch: text,
        offset: count,
      },
      answer: { epoch: text, offset: count, recovered: flag, publications: text },
    },
    catchUp: {
      ask: { channel: text, epoch: text, offset: count, bytesMax: count },
      answer: { complete: flag, offset: count, count, lines: text },
    },
    history: {
      ask: {
        channel: text,
        limit: fc.integer({ min: -1 }),
        countMax: count,
        hasSince: flag,
        sinceEpoch: text,
        sinceOffset: count,
        reverse: flag,
      },
      answer: { epoch: text, offset: count, publications: text },
    },
    historyRemove: { ask: { channel: text }, answer: { removed: count } },
    presence: { ask: { channel: text }, answer: { members: text } },
    presenceStats: { ask: { channel: text }, answer: { clients: count, users: count } },
    channels: { ask: { pattern: text }, answer: { channels: text } },
    sessions: { ask: { order: text }, answer: { sessions: count } },
    call: {
      ask: {
        method: text,
        data: text,
        who: fc.oneof(
          fc.record({ kind: fc.constant('login' as const), user: count, session: text }),
          fc.record({ kind: fc.constant('token' as const), token: text }),
          fc.record({ kind: fc.constant('stranger' as const) }),
        ),
        client: text,
        address: text,
        device: text,
        transport: fc.constantFrom('websocket', 'tcp', 'http', 'shard'),
      },
      answer: { data: text, login: text },
    },
    admit: { ask: { user: count, session: text }, answer: { admission: text } },
  }
const tells: { [K in TellKind]: Arbitraries<Tells[K]> } = {
  deliver: {
    channel: text,
    offset: count,
    acceptedUs: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
  },
  announce: { channel: text },
  leave: { channel: text, client: text, presence: flag, emitsJoinLeave: flag },
  restore: { channel: text, client: text, user: text, info: text, presence: flag, emitsJoinLeave: flag },
  notice: { topic: text },
}

const askKinds = Object.keys(asks) as AskKind[]
const tellKinds = Object.keys(tells) as TellKind[]
const noPayload = () => {
  throw new Error('this frame has no payload')
}
/** The way over the ring: bytes with other bytes around them, which change afterwards. */
function moved(bytes: Uint8Array): Buffer {
  const room = Buffer.alloc(bytes.length + 16, 0xc1)
  room.set(bytes, 8)
  return room.subarray(8, 8 + bytes.length)
}

describe('envelope', () => {
  test.each(askKinds)('an ask of %s comes back as it was, its payload as bytes behind the head', kind => {
    fc.assert(
      fc.property(seqs, fc.record(asks[kind].ask as Arbitraries<Record<string, unknown>>), (seq, ask) => {
        const { head, payload } = encodeAsk(kind, seq, ask as never)
        const wire = moved(head)
        const received = decodeHead(wire, () => payload)
        wire.fill(0)
        expect(received).toEqual({ type: 'ask', kind, seq, ask })
      }),
    )
  })

  test.each(askKinds)('an answer to %s comes back as it was', kind => {
    fc.assert(
      fc.property(
        seqs,
        fc.record(asks[kind].answer as Arbitraries<Record<string, unknown>>),
        (seq, answer) => {
          const { head, payload } = encodeAnswer(kind, seq, answer as never)
          const received = decodeHead(moved(head), noPayload)
          expect(received).toMatchObject({ type: 'answer', seq })
          if (received.type === 'answer') {
            expect(answerOf(kind, received.values, () => payload) as Answer<AskKind>).toEqual(answer)
          }
        },
      ),
    )
  })

  test.each(tellKinds)('a tell of %s comes back as it was', kind => {
    fc.assert(
      fc.property(fc.record(tells[kind] as Arbitraries<Record<string, unknown>>), tell => {
        expect(decodeHead(moved(encodeTell(kind, tell as never)), noPayload)).toEqual({
          type: 'tell',
          kind,
          tell,
        })
      }),
    )
  })

  test('a failure comes back as it was', () => {
    const failure = { code: count, message: text, temporary: flag, retryAfterMs: count }
    fc.assert(
      fc.property(
        seqs,
        fc.record(failure, { requiredKeys: ['code', 'message', 'temporary'], noNullPrototype: true }),
        (seq, error) => {
          const { head, payload } = encodeFailure(seq, error)
          expect(payload).toBe('')
          expect(decodeHead(moved(head), noPayload)).toStrictEqual({ type: 'failure', seq, error })
        },
      ),
    )
  })

  test('a payload is not in the head: a publication of 100 KB has a head of few bytes', () => {
    const data = `"${'x'.repeat(100_000)}"`
    const ask = { channel: 'c', data, info: '', tags: '', skipHistory: false, idempotencyKey: '' }
    const { head, payload } = encodeAsk('publish', 1, ask)
    expect(head.length).toBeLessThan(32)
    expect(payload).toBe(data)
  })

  test('a head stays as it is while others are encoded: a ring may take it later', () => {
    const heads = Array.from({ length: 2000 }, (_, seq) => encodeFailure(seq, errors.internal).head)
    for (const [seq, head] of heads.entries()) expect(decodeHead(head, noPayload)).toMatchObject({ seq })
  })

  test('a frame of a kind that does not exist is a programmer error', () => {
    expect(() => decodeHead(Buffer.from([0x92, 63, 1]), noPayload)).toThrow('unknown kind 63')
  })
})
