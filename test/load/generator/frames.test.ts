// The cutters: whatever the bytes are cut into, the same blocks come out, in one piece and in order.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type BlockEvents,
  type Cutter,
  clientFrame,
  eachMessage,
  FrameCutter,
  LineCutter,
  MESSAGE_BYTES_MAX,
} from '../../../load/generator/frames.ts'

type Seen = (readonly [what: string, ...rest: unknown[]])[]

function recorder(): { seen: Seen; events: BlockEvents } {
  const seen: Seen = []
  return {
    seen,
    events: {
      onBlock: (bytes, from, end, atUs) => seen.push(['block', bytes.toString('latin1', from, end), atUs]),
      onPing: payload => seen.push(['ping', payload.toString('latin1')]),
      onClose: (code, reason) => seen.push(['close', code, reason]),
      onError: reason => seen.push(['error', reason]),
    },
  }
}

/** Feeds as a socket does: each piece lies in the same buffer, with what was read before behind it. */
function feed(cutter: Cutter, bytes: Buffer, cuts: readonly number[]): void {
  const shared = Buffer.alloc(bytes.length + 64, '\n~fw~')
  const places = [...new Set([0, ...cuts, bytes.length])]
    .filter(at => at <= bytes.length)
    .sort((a, b) => a - b)
  places.slice(1).forEach((end, index) => {
    const from = places[index]!
    shared.set(bytes.subarray(from, end))
    cutter.take(shared, 0, end - from, 7)
  })
}

/** Of a server: unmasked. `wide`: the length takes as many bytes as may be. */
function frame(opcode: number, payload: string, final = true, wide?: 16 | 64): Buffer {
  const body = Buffer.from(payload, 'latin1')
  const bits = wide ?? (body.length < 126 ? 7 : body.length < 65_536 ? 16 : 64)
  const header = Buffer.alloc(bits === 7 ? 2 : bits === 16 ? 4 : 10)
  header[0] = (final ? 0x80 : 0) | opcode
  header[1] = bits === 7 ? body.length : bits === 16 ? 126 : 127
  if (bits === 16) header.writeUInt16BE(body.length, 2)
  if (bits === 64) header.writeBigUInt64BE(BigInt(body.length), 2)
  return Buffer.concat([header, body])
}

const text = fc.oneof(
  fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
  fc.integer({ min: 100, max: 400 }).map(length => 'x'.repeat(length)),
)
const message = fc.record({
  parts: fc.array(text, { minLength: 1, maxLength: 3 }),
  opcode: fc.constantFrom(1, 2),
  wide: fc.constantFrom(undefined, 16 as const, 64 as const),
  pings: fc.boolean(),
})

describe('frames', () => {
  test('come out as blocks at any split, with pings between the fragments of a message', () => {
    const cuts = fc.array(fc.nat(2000), { maxLength: 20 })
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), cuts, (messages, places) => {
        const frames: Buffer[] = []
        const expected: Seen = []
        for (const { parts, opcode, wide, pings } of messages) {
          parts.forEach((part, index) => {
            frames.push(frame(index === 0 ? opcode : 0, part, index === parts.length - 1, wide))
            if (!pings) return
            frames.push(frame(9, 'are you there'), frame(10, 'unasked'))
            if (index < parts.length - 1) expected.push(['ping', 'are you there'])
          })
          expected.push(['block', parts.join(''), 7])
          if (pings) expected.push(['ping', 'are you there'])
        }
        frames.push(frame(8, '\x03\xe8bye'), frame(1, 'behind the end'))
        expected.push(['close', 1000, 'bye'])
        const { seen, events } = recorder()
        feed(new FrameCutter(events), Buffer.concat(frames), places)
        expect(seen).toEqual(expected)
      }),
    )
  })

  test.each([7, 16, 64] as const)('with lengths of %i bits come out byte by byte', bits => {
    const length = { 7: 125, 16: 126, 64: 65_536 }[bits]
    const payload = 'y'.repeat(length)
    const bytes = Buffer.concat([frame(1, payload), frame(2, 'next')])
    const { seen, events } = recorder()
    feed(
      new FrameCutter(events),
      bytes,
      Array.from({ length: bytes.length }, (_, at) => at),
    )
    expect(seen).toEqual([
      ['block', payload, 7],
      ['block', 'next', 7],
    ])
  })

  test('a close frame without a code is 1005', () => {
    const { seen, events } = recorder()
    feed(new FrameCutter(events), frame(8, ''), [])
    expect(seen).toEqual([['close', 1005, '']])
  })

  test.each<readonly [string, Buffer]>([
    ['a mask', Buffer.from([0x81, 0x81, 1, 2, 3, 4, 5])],
    ['a reserved bit', Buffer.from([0xc1, 0x01, 0x61])],
    ['an unknown opcode', frame(3, 'x')],
    ['an unknown control frame', frame(11, 'x')],
    ['a continuation of nothing', frame(0, 'x')],
    ['a new message within another', Buffer.concat([frame(1, 'a', false), frame(1, 'b')])],
    ['a control frame in parts', frame(9, 'x', false)],
    ['a control frame too long', frame(9, 'x'.repeat(126))],
    ['a frame too large', Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0x80, 0, 1])],
    ['a frame of 2^53 bytes', Buffer.from([0x82, 127, 0, 0x20, 0, 0, 0, 0, 0, 0])],
  ])('%s is an error, and the last that is heard', (_, bytes) => {
    for (const cuts of [[], Array.from({ length: bytes.length }, (_, at) => at)]) {
      const { seen, events } = recorder()
      feed(new FrameCutter(events), Buffer.concat([bytes, frame(1, 'behind')]), cuts)
      expect(seen).toEqual([['error', expect.any(String)]])
    }
  })

  test('fragments are put together up to the limit', () => {
    const half = 'z'.repeat(MESSAGE_BYTES_MAX / 2)
    const { seen, events } = recorder()
    const cutter = new FrameCutter(events)
    feed(cutter, Buffer.concat([frame(1, half, false), frame(0, half)]), [70_000])
    expect(seen.map(([what, payload]) => [what, (payload as string).length])).toEqual([
      ['block', MESSAGE_BYTES_MAX],
    ])
    feed(cutter, Buffer.concat([frame(1, half, false), frame(0, `${half}!`)]), [])
    expect(seen[1]).toEqual(['error', 'a message too large'])
  })
})

describe('lines', () => {
  test('come out whole and in order at any split', () => {
    const lines = fc.array(fc.string({ unit: 'grapheme-ascii', maxLength: 30 }), { maxLength: 20 })
    fc.assert(
      fc.property(lines, fc.array(fc.nat(300), { maxLength: 20 }), (wanted, cuts) => {
        const bytes = Buffer.from(wanted.map(line => `${line}\n`).join(''))
        const { seen, events } = recorder()
        feed(new LineCutter(events), bytes, cuts)
        expect(seen.flatMap(([, block]) => (block as string).split('\n'))).toEqual(wanted)
      }),
    )
  })

  test('without an end are an error beyond the limit', () => {
    const { seen, events } = recorder()
    const cutter = new LineCutter(events)
    feed(cutter, Buffer.alloc(MESSAGE_BYTES_MAX, 'x'), [100_000, 1_000_000])
    expect(seen).toEqual([])
    feed(cutter, Buffer.from('x'), [])
    feed(cutter, Buffer.from('x\n'), [])
    expect(seen.map(([what]) => what)).toEqual(['error'])
  })
})

test('a block is taken apart into its messages', () => {
  const visited = (block: string, lines: boolean) => {
    const messages: (readonly [string, number])[] = []
    eachMessage(Buffer.from(block), lines, (one, end) => messages.push([one.toString(), end]))
    return messages
  }
  expect(visited('one\n\ntwo', true)).toEqual([
    ['one', 3],
    ['two', 8],
  ])
  expect(visited('one\ntwo', false)).toEqual([['one\ntwo', 7]])
  expect(visited('', true)).toEqual([])
})

test('a frame of a client is masked, with lengths of all sizes', () => {
  for (const length of [0, 125, 126, 65_535, 65_536]) {
    const bytes = clientFrame('m'.repeat(length), 'text')
    expect(bytes[1]! & 0x80).toBe(0x80)
    // Without the mask, which is zero, it is a frame of a server.
    const headerBytes = length < 126 ? 2 : length < 65_536 ? 4 : 10
    const unmasked = Buffer.concat([bytes.subarray(0, headerBytes), bytes.subarray(headerBytes + 4)])
    unmasked[1]! &= 0x7f
    expect(bytes.readUInt32LE(headerBytes)).toBe(0)
    const { seen, events } = recorder()
    feed(new FrameCutter(events), unmasked, [])
    expect(seen).toEqual([['block', 'm'.repeat(length), 7]])
  }
})
