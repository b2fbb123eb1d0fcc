import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRingMemory, FULL, RingConsumer, RingProducer } from '../../src/shared/ring.ts'
import { runWorkers } from './workers/spawn.ts'

const JUST_BEFORE_WRAP = 2 ** 32 - 512

function createRing(capacityBytes = 1024, startPosition = 0) {
  const memory = createRingMemory(capacityBytes, startPosition)
  return { memory, producer: new RingProducer(memory), consumer: new RingConsumer(memory) }
}

function drainTexts(consumer: RingConsumer, maxRecords = 1000): string[] {
  const texts: string[] = []
  consumer.drain(maxRecords, (bytes, headStart, payloadStart, end) => {
    texts.push(
      `${bytes.toString('latin1', headStart, payloadStart)}|${bytes.toString('latin1', payloadStart, end)}`,
    )
  })
  return texts
}

function write(producer: RingProducer, head: string, payload?: string): boolean {
  return producer.write(Buffer.from(head), payload === undefined ? undefined : Buffer.from(payload))
}

describe('ring, one thread', () => {
  test('gives back records in order, with head and payload apart', () => {
    const { producer, consumer } = createRing()
    expect(write(producer, 'one', 'payload')).toBe(true)
    expect(write(producer, 'two')).toBe(true)
    expect(write(producer, '', '')).toBe(true)
    expect(drainTexts(consumer)).toEqual(['one|payload', 'two|', '|'])
    expect(consumer.isEmpty()).toBe(true)
  })

  test('payloads start at multiples of 8, right after their heads', () => {
    const { producer, consumer } = createRing()
    for (let headBytes = 0; headBytes <= 17; headBytes++) {
      const headStart = producer.tryClaim(headBytes, 3)
      expect((headStart + headBytes) % 8).toBe(0)
      producer.commit()
      consumer.drain(1, (_, start, payloadStart, end) => {
        expect([start, payloadStart, end]).toEqual([
          headStart,
          headStart + headBytes,
          headStart + headBytes + 3,
        ])
      })
    }
  })

  test('refuses a record when full, without harm, and takes it when there is room again', () => {
    const { producer, consumer } = createRing()
    let written = 0
    while (write(producer, `n${written}`, 'x'.repeat(100))) written++
    expect(written).toBeGreaterThan(5)
    expect(producer.fits(102)).toBe(false)
    expect(producer.tryClaim(2, 100)).toBe(FULL)
    expect(drainTexts(consumer, 1)).toHaveLength(1)
    expect(producer.fits(102)).toBe(true)
    expect(write(producer, 'zz', 'y'.repeat(100))).toBe(true)
    expect(drainTexts(consumer)).toHaveLength(written)
    expect(producer.usedBytes()).toBe(0)
  })

  test('has room for a record of the maximum size at each position when empty, however it is split', () => {
    const { producer, consumer } = createRing(1024, JUST_BEFORE_WRAP)
    const { maxRecordBytes } = producer
    for (let round = 0; round < 2000; round++) {
      const headBytes = round % (maxRecordBytes + 1)
      expect(producer.fits(maxRecordBytes)).toBe(true)
      expect(producer.tryClaim(headBytes, maxRecordBytes - headBytes)).not.toBe(FULL)
      producer.commit()
      expect(drainTexts(consumer)).toHaveLength(1)
      write(producer, 'x'.repeat(round % 23))
      drainTexts(consumer)
    }
  })

  test('a record over the maximum is a programmer error', () => {
    const { producer } = createRing()
    expect(() => producer.tryClaim(0, producer.maxRecordBytes + 1)).toThrow('record size')
    expect(producer.fits(producer.maxRecordBytes + 1)).toBe(false)
  })

  test('an uncommitted claim is not seen and is given up by the next one', () => {
    const { producer, consumer } = createRing()
    producer.tryClaim(10, 10)
    expect(consumer.isEmpty()).toBe(true)
    write(producer, 'after')
    expect(drainTexts(consumer)).toEqual(['after|'])
    expect(() => producer.commit()).toThrow('commit without a claim')
  })

  test('a callback that throws loses no record and repeats none', () => {
    const { producer, consumer } = createRing()
    for (const head of ['a', 'b', 'c']) write(producer, head)
    const seen: string[] = []
    const drain = () =>
      consumer.drain(10, (bytes, start, end) => {
        const head = bytes.toString('latin1', start, end)
        seen.push(head)
        if (head === 'b') throw new Error('b is broken')
      })
    expect(drain).toThrow('b is broken')
    expect(drain()).toBe(1)
    expect(seen).toEqual(['a', 'b', 'c'])
    expect(producer.usedBytes()).toBe(0)
  })

  test('gives room back within a long batch', () => {
    const { producer, consumer } = createRing()
    while (write(producer, 'x'.repeat(56))) {}
    const usedAtStart = producer.usedBytes()
    let usedAtEnd = usedAtStart
    consumer.drain(1000, () => {
      usedAtEnd = producer.usedBytes()
    })
    expect(usedAtEnd).toBeLessThanOrEqual(usedAtStart / 4)
  })

  test('draining a ring within its own callback is a programmer error', () => {
    const { producer, consumer } = createRing()
    write(producer, 'a')
    expect(() => consumer.drain(1, () => consumer.drain(1, () => {}))).toThrow('drain within drain')
    write(producer, 'b')
    expect(drainTexts(consumer)).toEqual(['b|'])
  })

  test('new sides take over where the old ones stood', () => {
    const { memory, producer, consumer } = createRing(1024, JUST_BEFORE_WRAP)
    for (const head of ['a', 'b']) write(producer, head)
    expect(drainTexts(consumer, 1)).toEqual(['a|'])
    producer.tryClaim(5, 5)
    expect(write(new RingProducer(memory), 'c')).toBe(true)
    expect(drainTexts(new RingConsumer(memory))).toEqual(['b|', 'c|'])
  })

  test('copies large payloads from any place of their memory', () => {
    const { producer, consumer } = createRing(16384)
    const whole = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 31) & 0xff))
    for (const [from, length] of [
      [0, 511],
      [3, 512],
      [8, 2000],
      [1, 3999],
    ] as const) {
      const payload = whole.subarray(from, from + length)
      expect(producer.write(Buffer.from('head'), payload)).toBe(true)
      consumer.drain(1, (bytes, _, start, end) => {
        expect(Buffer.compare(bytes.subarray(start, end), payload)).toBe(0)
      })
    }
  })

  test('behaves like a bounded queue under any sequence of operations', () => {
    const operation = fc.oneof(
      fc.record({
        kind: fc.constant('write' as const),
        head: fc.string({ unit: 'binary-ascii', maxLength: 60 }),
        payload: fc.option(fc.string({ unit: 'binary-ascii', maxLength: 150 }), { nil: undefined }),
      }),
      fc.record({ kind: fc.constant('abandon' as const), bytes: fc.nat(200) }),
      fc.record({ kind: fc.constant('drain' as const), maxRecords: fc.nat(8) }),
    )
    const start = fc.nat(4096).map(steps => 2 ** 32 - steps * 8)
    fc.assert(
      fc.property(start, fc.array(operation, { maxLength: 200 }), (startPosition, operations) => {
        const { producer, consumer } = createRing(1024, startPosition % 2 ** 32)
        let model: string[] = []
        for (const step of operations) {
          if (step.kind === 'drain') {
            expect(drainTexts(consumer, step.maxRecords)).toEqual(model.slice(0, step.maxRecords))
            model = model.slice(step.maxRecords)
          } else if (step.kind === 'abandon') {
            producer.tryClaim(step.bytes, 0)
          } else {
            const fits = producer.fits(step.head.length + (step.payload?.length ?? 0))
            const taken = write(producer, step.head, step.payload)
            expect(taken || !fits).toBe(true)
            expect(taken || model.length > 0).toBe(true)
            if (taken) model.push(`${step.head}|${step.payload ?? ''}`)
          }
          expect(consumer.isEmpty()).toBe(model.length === 0)
          expect(producer.usedBytes() === 0).toBe(model.length === 0)
        }
        expect(drainTexts(consumer)).toEqual(model)
      }),
    )
  })
})

describe('ring, two threads', () => {
  test('the stress test sees a single wrong record', async () => {
    const memory = createRingMemory(4096)
    const job = { memory, seed: 1, records: 1000, sizeMax: 100 }
    const broken = runWorkers([
      { file: 'ring-consumer.ts', workerData: job },
      { file: 'ring-producer.ts', workerData: { ...job, seed: 2 } },
    ])
    await expect(broken).rejects.toThrow(/size|byte/)
  })

  test.each([
    { capacityBytes: 1024, records: 1_000_000, startPosition: 2 ** 32 - 2 ** 20 },
    { capacityBytes: 65536, records: 2_000_000, startPosition: 2 ** 32 - 2 ** 24 },
    { capacityBytes: 2 ** 20, records: 1_000_000, startPosition: 0 },
  ])(
    'carries $records random records through $capacityBytes bytes',
    async ({ capacityBytes, records, startPosition }) => {
      const memory = createRingMemory(capacityBytes, startPosition)
      const sizeMax = Math.min(new RingProducer(memory).maxRecordBytes, 3000)
      const job = { memory, seed: capacityBytes, records, sizeMax }
      await runWorkers([
        { file: 'ring-consumer.ts', workerData: job },
        { file: 'ring-producer.ts', workerData: job },
      ])
    },
  )
})
