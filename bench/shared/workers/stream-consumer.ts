// Drains a ring without pause; posts once when ready, and the time when all frames have come.

import { parentPort, workerData } from 'node:worker_threads'
import { monotonicUs } from '../../../src/base/clock.ts'
import { RingConsumer } from '../../../src/shared/ring.ts'

export type StreamJob = { memory: SharedArrayBuffer; frames: number }

const { memory, frames } = workerData as StreamJob
const consumer = new RingConsumer(memory)
let sum = 0
parentPort!.postMessage('ready')

let consumed = 0
while (consumed < frames) {
  consumed += consumer.drain(1000, (bytes, headStart, payloadStart) => {
    sum += bytes[headStart]! + bytes[payloadStart]!
  })
}
if (sum !== frames * 3) throw new Error(`frames were damaged: ${sum}`)
parentPort!.postMessage(monotonicUs())
