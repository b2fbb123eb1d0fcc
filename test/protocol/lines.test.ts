// Lines of a byte stream: the same at every split.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type LineProblem, LineReader } from '../../src/protocol/lines.ts'

// Memory can only be compared after a collection of garbage.
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const LINE_BYTES_MAX = 32

type Heard = { lines: string[]; problem: LineProblem | undefined }

/** Pushes the chunks until the reader has a problem. */
function hear(chunks: readonly Uint8Array[], lineBytesMax = LINE_BYTES_MAX): Heard {
  const reader = new LineReader(lineBytesMax)
  const lines: string[] = []
  for (const chunk of chunks) {
    const copy = Uint8Array.from(chunk)
    const problem = reader.push(copy, line => lines.push(line) > 0)
    // Whoever gave the bytes uses their memory again.
    copy.fill(0x58)
    if (problem !== undefined) return { lines, problem }
    expect(reader.heldBytes).toBeLessThanOrEqual(lineBytesMax)
  }
  return { lines, problem: undefined }
}

function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [...new Set([0, ...cuts.map(cut => cut % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  )
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end))
}

const bytesOf = (text: string) => Buffer.from(text, 'utf8')

describe('line reader', () => {
  test('gives the same lines at each split in two, multi-byte characters included', () => {
    const bytes = bytesOf('{"a":"äöü"}\n\n{"b":"😀"}\r\n  \n€\nrest')
    const whole = hear([bytes])
    expect(whole).toEqual({ lines: ['{"a":"äöü"}', '{"b":"😀"}\r', '€'], problem: undefined })
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(hear([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole)
    }
    expect(hear([...bytes].map(byte => Uint8Array.of(byte)))).toEqual(whole)
  })

  test('gives the same lines and the same problem at random splits of random bytes', () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 14, unit: 'binary' }).map(bytesOf),
      fc.constantFrom('\n', '\r\n', '\n\n', 'x'.repeat(LINE_BYTES_MAX), '\n').map(bytesOf),
      fc.uint8Array({ maxLength: 2 }),
    )
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 20 }),
        fc.array(fc.nat(400), { maxLength: 20 }),
        (pieces, cuts) => {
          const bytes = Buffer.concat(pieces)
          expect(hear(split(bytes, cuts))).toEqual(hear([bytes]))
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('takes a line of the maximum length and refuses one byte more, with and without its end', () => {
    const fits = bytesOf('x'.repeat(LINE_BYTES_MAX))
    const tooLong = bytesOf('x'.repeat(LINE_BYTES_MAX + 1))
    const end = bytesOf('\n')
    expect(hear([fits, end]).lines).toHaveLength(1)
    expect(hear([Buffer.concat([fits, end])]).lines).toHaveLength(1)
    expect(hear([tooLong]).problem).toBe('line_too_long')
    expect(hear([Buffer.concat([tooLong, end])]).problem).toBe('line_too_long')
    expect(hear([fits, bytesOf('x\n')]).problem).toBe('line_too_long')
    expect(hear([bytesOf('a\n'), tooLong])).toEqual({ lines: ['a'], problem: 'line_too_long' })
    expect(hear([Buffer.concat([bytesOf('a\n'), tooLong])])).toEqual({
      lines: ['a'],
      problem: 'line_too_long',
    })
  })

  test('refuses what is not UTF-8: stray, cut, overlong and surrogate bytes', () => {
    for (const hex of ['80', 'c3', 'c080', 'eda080', 'f4908080', 'ff', 'e282']) {
      const bytes = Buffer.concat([bytesOf('ok\n'), Buffer.from(hex, 'hex'), bytesOf('\nnever\n')])
      expect(hear([bytes])).toEqual({ lines: ['ok'], problem: 'not_utf8' })
    }
  })

  test('keeps a byte order mark, which is no JSON, for its reader to refuse', () => {
    expect(hear([bytesOf('\ufeff{}\n\ufeff\n')]).lines).toEqual(['\ufeff{}', '\ufeff'])
  })

  test('stops at once when it is told to', () => {
    const reader = new LineReader(LINE_BYTES_MAX)
    const lines: string[] = []
    const problem = reader.push(bytesOf(`a\nb\n${'x'.repeat(99)}\n`), line => lines.push(line) < 2)
    expect(problem).toBeUndefined()
    expect(lines).toEqual(['a', 'b'])
  })

  test('tells how much of a line has begun', () => {
    const reader = new LineReader(LINE_BYTES_MAX)
    const pushed = (text: string) => {
      reader.push(bytesOf(text), () => true)
      return reader.heldBytes
    }
    expect([pushed('ab'), pushed('c'), pushed('\n'), pushed('d\nef'), pushed('\n\n')]).toEqual([
      2, 3, 0, 2, 0,
    ])
  })

  test('a line that comes byte by byte holds little more memory than its bytes', () => {
    const reader = new LineReader(1 << 16)
    const one = Uint8Array.of(0x78)
    const usedBytes = () => {
      collect()
      const { heapUsed, arrayBuffers } = process.memoryUsage()
      return heapUsed + arrayBuffers
    }
    const before = usedBytes()
    for (let byte = 0; byte < 1 << 16; byte++) reader.push(one, () => true)
    expect(reader.heldBytes).toBe(1 << 16)
    expect(usedBytes() - before).toBeLessThan(1 << 20)
    expect(reader.push(one, () => true)).toBe('line_too_long')
  })
})
