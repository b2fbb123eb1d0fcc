// What the two threads of the ring's stress test agree on: record n has the sizes and the bytes that follow
// from the seed. Both sides walk through the same plan.

import { randomFrom } from '../random.ts'

export type RingJob = { memory: SharedArrayBuffer; seed: number; records: number; sizeMax: number }
export type PlannedRecord = { headBytes: number; payloadBytes: number; first: number }

/** Mostly small records, some of the greatest size. The record is reused from call to call. */
export function ringPlan(seed: number, sizeMax: number): () => PlannedRecord {
  const random = randomFrom(seed)
  const record: PlannedRecord = { headBytes: 0, payloadBytes: 0, first: 0 }
  return () => {
    const payloadMax = random(50) === 0 ? sizeMax : Math.min(sizeMax, 160)
    record.headBytes = random(Math.min(payloadMax, 40) + 1)
    record.payloadBytes = random(payloadMax - record.headBytes + 1)
    record.first = random(256)
    return record
  }
}

/** Byte `index` of a record, head and payload counted through. */
export function plannedByte(first: number, index: number): number {
  return (first + index * 7) & 0xff
}
