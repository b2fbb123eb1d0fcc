// What the publisher writes is what the receivers read, whatever the numbers; nothing else is taken for it.

import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  CHANNELS_MAX,
  MARK,
  MARKED_BYTES,
  marked,
  PAYLOAD_BYTES_MIN,
  payloadText,
  readMark,
} from '../../../load/generator/payload.ts'

const numbers = fc.record({
  channel: fc.integer({ min: 0, max: CHANNELS_MAX - 1 }),
  sequence: fc.integer({ min: 0, max: 9_999_999_999 }),
  dueUs: fc.integer({ min: 0, max: 9_007_199_254_740_991 }),
  size: fc.integer({ min: PAYLOAD_BYTES_MIN, max: 3000 }),
})

test('a payload has the size that was asked for, is JSON, and is read as it was written', () => {
  fc.assert(
    fc.property(numbers, ({ channel, sequence, dueUs, size }) => {
      const text = payloadText(channel, sequence, dueUs, size)
      const bytes = Buffer.from(text)
      expect(bytes.length).toBe(size)
      expect(JSON.stringify(JSON.parse(text))).toBe(text)
      expect(bytes.indexOf(MARK)).toBe(1)
      expect(bytes.lastIndexOf(MARK)).toBe(1)
      expect([readMark(bytes, 1), marked.channel, marked.sequence]).toEqual([dueUs, channel, sequence])
    }),
  )
})

test('the due time loses its fraction', () => {
  expect(readMark(Buffer.from(payloadText(1, 2, 1234.99, PAYLOAD_BYTES_MIN)), 1)).toBe(1234)
})

test('any other byte in place of a digit or of the end is noticed', () => {
  const good = Buffer.from(payloadText(123_456, 9_876_543_210, 1_234_567_890_123_456, PAYLOAD_BYTES_MIN))
  for (let at = 1 + MARK.length; at < 1 + MARKED_BYTES; at++) {
    for (const byte of [0, 0x2f, 0x3a, 0x20, 0x22, 0x61, 0x7f, 0xff]) {
      const bad = Buffer.from(good)
      bad[at] = byte
      expect([at, byte, readMark(bad, 1)]).toEqual([at, byte, -1])
    }
  }
})
