// The outbox of one connection: joining, holding, keeping for later; and the memory that batches are made of.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BatchMemory } from '../../src/fanout/batch-memory.ts'
import { type Frame, frameOf, stableFrame, stableLines } from '../../src/fanout/frame.ts'
import { Scratch } from '../../src/fanout/outbox.ts'
import { createConnection } from './recording-wire.ts'

const scratch = new Scratch()
const NOW_MS = 5
const frame = (...lines: string[]) =>
  frameOf(Buffer.from(lines.map(line => `${line}\n`).join('')), lines.length)

describe('outbox', () => {
  test('joins whatever waits into one frame, in order', () => {
    const line = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .map(text => text.replaceAll('\n', ' '))
    const piece = fc.oneof(line, fc.array(line, { minLength: 1, maxLength: 3 }))
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), pieces => {
        const { outbox, wire } = createConnection({ softBytes: 1 << 20, hardBytes: 1 << 20 })
        for (const one of pieces) outbox.push(typeof one === 'string' ? one : frame(...one))
        const bytes = outbox.flush(scratch, NOW_MS)
        expect(wire.sends).toEqual(pieces.length === 0 ? [] : [pieces.flat()])
        expect(bytes > 0).toBe(pieces.length > 0)
        expect(outbox.pendingSize).toBe(0)
        expect(outbox.flush(scratch, NOW_MS)).toBe(0)
      }),
    )
  })

  test('joins more than its scratch memory holds', () => {
    const { outbox, wire } = createConnection()
    const large = 'ä'.repeat(300_000)
    for (let round = 0; round < 4; round++) outbox.push(large)
    expect(outbox.flush(scratch, NOW_MS)).toBe(4 * 600_001 - 1)
    expect(wire.sends).toEqual([[large, large, large, large]])
  })

  test('held, lets nothing out until the first word was said', () => {
    const { outbox, wire } = createConnection()
    outbox.held = true
    const bytes = Buffer.from('publication\n')
    outbox.push(frameOf(bytes, 1))
    bytes.fill(0x78)
    outbox.push('reply')
    expect(outbox.flush(scratch, NOW_MS)).toBe(0)
    outbox.push('later')
    outbox.release('connected')
    expect(outbox.flush(scratch, NOW_MS)).toBeGreaterThan(0)
    expect(wire.sends).toEqual([['connected', 'publication', 'reply', 'later']])
  })

  test('held with nothing behind it, lets out the first word alone', () => {
    const { outbox, wire } = createConnection()
    outbox.held = true
    outbox.release('connected')
    outbox.push('next')
    outbox.flush(scratch, NOW_MS)
    expect(wire.sends).toEqual([['connected', 'next']])
  })

  test('knows the size of what waits, roughly', () => {
    const { outbox } = createConnection()
    outbox.push('abc')
    outbox.push(frame('defg'))
    expect(outbox.pendingSize).toBe(8)
    outbox.flush(scratch, NOW_MS)
    expect(outbox.pendingSize).toBe(0)
  })

  test('begins to lag above the soft limit, not at it, and tells its owner once', () => {
    const { outbox, wire, owner } = createConnection({ softBytes: 100, hardBytes: 1000 })
    wire.stuck = true
    outbox.push('x'.repeat(99))
    outbox.flush(scratch, NOW_MS)
    expect(outbox.lagging).toBe(false)
    outbox.push('x')
    outbox.flush(scratch, NOW_MS)
    outbox.push('x')
    outbox.flush(scratch, NOW_MS + 1)
    expect([outbox.lagging, outbox.laggingSinceMs, owner.lagging]).toEqual([true, NOW_MS, 1])
    expect(outbox.hasRoom()).toBe(false)
    wire.drained()
    outbox.resume()
    expect([outbox.lagging, outbox.hasRoom()]).toEqual([false, true])
  })

  test('keeps frames of several subscribers in order, within the soft limit, and counts what it drops', () => {
    const { outbox } = createConnection({ softBytes: 12, hardBytes: 1000 })
    const [a, b] = [{}, {}]
    expect(outbox.keepNewest(a, frame('a1', 'a2'))).toBe(0)
    expect(outbox.keepNewest(b, frame('b1'))).toBe(0)
    expect(outbox.keptBytes).toBe(9)
    expect(outbox.keepNewest(b, frame('b2', 'b3'))).toBe(2)
    expect(outbox.keepLatest(a, frame('a3'))).toBe(0)
    expect(outbox.keepLatest(a, frame('a4'))).toBe(1)
    expect(outbox.forget(b)).toBe(3)
    expect(outbox.forget({})).toBe(0)
    expect(outbox.keptBytes).toBe(3)
    // A frame above the limit is kept alone: it is the newest.
    expect(outbox.keepNewest(b, frame('x'.repeat(99)))).toBe(1)
    expect(outbox.keptBytes).toBe(100)
  })

  test('a kept frame is a copy of its own', () => {
    const { outbox, wire } = createConnection()
    const bytes = Buffer.from('kept\n')
    outbox.keepNewest({}, frameOf(bytes, 1))
    bytes.fill(0x78)
    outbox.resume()
    outbox.flush(scratch, NOW_MS)
    expect(wire.lines).toEqual(['kept'])
  })

  test('closed, takes nothing and tells nobody', () => {
    const { outbox, wire, owner } = createConnection()
    outbox.push('before')
    outbox.keepNewest({}, frame('kept'))
    outbox.close()
    outbox.push('after')
    outbox.release('first')
    outbox.resume()
    outbox.endSlow()
    outbox.afterFlush()
    expect(outbox.flush(scratch, NOW_MS)).toBe(0)
    expect([wire.sends.length, owner.tooSlow, owner.flushed, outbox.keptBytes]).toEqual([0, 0, 0, 0])
  })
})

describe('frame', () => {
  test('has one stable copy, whoever asks', () => {
    const bytes = Buffer.from('one\ntwo\n')
    const original: Frame = frameOf(bytes, 2, 1)
    const stable = stableFrame(original)
    bytes.fill(0)
    expect(stableLines(original)).toBe(stableLines(stable))
    expect(stableFrame(stable)).toBe(stable)
    expect([stable.publications, stable.events]).toEqual([2, 1])
    expect(Buffer.from(stable.lines).toString()).toBe('one\ntwo\n')
    expect(Buffer.from(stable.message).toString()).toBe('one\ntwo')
  })
})

describe('batch memory', () => {
  test('keeps what was written while the batch grows, and lends small buffers again', () => {
    const memory = new BatchMemory()
    let batch: Buffer | undefined
    let used = 0
    for (let piece = 0; piece < 200; piece++) {
      batch = memory.reserve(batch, used, 100)
      expect(batch.length).toBeGreaterThanOrEqual(used + 100)
      batch.fill(piece, used, used + 100)
      used += 100
    }
    for (let piece = 0; piece < 200; piece++) expect(batch![piece * 100 + 99]).toBe(piece)
    const small = memory.reserve(undefined, 0, 10)
    expect(small).not.toBe(batch)
    memory.giveBack(small)
    expect(memory.reserve(undefined, 0, 10)).toBe(small)
    expect(memory.reserve(undefined, 0, 10)).not.toBe(small)
    expect(memory.reserve(undefined, 0, 100_000).length).toBeGreaterThanOrEqual(100_000)
  })
})
