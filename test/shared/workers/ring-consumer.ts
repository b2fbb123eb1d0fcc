// Reads the planned records from a ring and compares each byte; any difference ends the thread with an error.

import { workerData } from 'node:worker_threads'
import { assert } from '../../../src/base/assert.ts'
import { RingConsumer } from '../../../src/shared/ring.ts'
import { plannedByte, type RingJob, ringPlan } from './ring-plan.ts'

const job = workerData as RingJob
const ring = new RingConsumer(job.memory)
const next = ringPlan(job.seed, job.sizeMax)

let consumed = 0
while (consumed < job.records) {
  const records = ring.drain(100, (bytes, headStart, payloadStart, end) => {
    const { headBytes, payloadBytes, first } = next()
    assert(payloadStart - headStart === headBytes, 'head size')
    assert(end - payloadStart === payloadBytes, 'payload size')
    for (let index = 0; index < headBytes + payloadBytes; index++) {
      assert(bytes[headStart + index] === plannedByte(first, index), 'byte')
    }
  })
  assert(records <= 100, 'more than asked for')
  consumed += records
}
assert(consumed === job.records && ring.isEmpty(), 'records left over')
