// Writes the planned records into a ring as fast as they fit, by write() and by tryClaim() in turn.

import { workerData } from 'node:worker_threads'
import { FULL, RingProducer } from '../../../src/shared/ring.ts'
import { plannedByte, type RingJob, ringPlan } from './ring-plan.ts'

const job = workerData as RingJob
const ring = new RingProducer(job.memory)
const next = ringPlan(job.seed, job.sizeMax)
const scratch = Buffer.alloc(job.sizeMax)

for (let n = 0; n < job.records; n++) {
  const { headBytes, payloadBytes, first } = next()
  if (n % 2 === 0) {
    let start = FULL
    while (start === FULL) start = ring.tryClaim(headBytes, payloadBytes)
    fill(ring.bytes, start, headBytes + payloadBytes, first)
    ring.commit()
  } else {
    fill(scratch, 0, headBytes + payloadBytes, first)
    const head = scratch.subarray(0, headBytes)
    const payload = payloadBytes === 0 ? undefined : scratch.subarray(headBytes, headBytes + payloadBytes)
    while (!ring.write(head, payload)) {}
  }
}

function fill(bytes: Buffer, start: number, length: number, first: number): void {
  for (let index = 0; index < length; index++) bytes[start + index] = plannedByte(first, index)
}
