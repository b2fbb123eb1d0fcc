// The ring: on one thread alone, from one thread to another without pause, and the latency of one hop between
// two threads that have nothing else to do and sleep in their event loops.

import { setTimeout as pause } from 'node:timers/promises'
import { MessageChannel, Worker } from 'node:worker_threads'
import { monotonicUs } from '../../src/base/clock.ts'
import { createDoorbellMemory, DoorbellButton } from '../../src/shared/doorbell.ts'
import { createRingMemory, RingConsumer, RingProducer } from '../../src/shared/ring.ts'
import { type Benchmark, type BenchRow, type BenchSize, perCall } from '../bench.ts'
import type { HopJob } from './workers/hop-consumer.ts'
import type { StreamJob } from './workers/stream-consumer.ts'

const OPS = 1000
const RING_BYTES = 2 ** 22
/** An envelope's head and a payload: 128 bytes together. */
const head = Buffer.alloc(24, 1)
const payload = Buffer.alloc(104, 2)

const FRAMES = { full: 20_000_000, smoke: 20_000 }
const HOPS = { full: 3000, smoke: 30 }

function oneThread(): Benchmark {
  const memory = createRingMemory(RING_BYTES)
  const [producer, consumer] = [new RingProducer(memory), new RingConsumer(memory)]
  let sum = 0
  const onRecord = (bytes: Buffer, headStart: number) => {
    sum += bytes[headStart]!
  }
  return perCall('', OPS, {
    'write 128 B and drain, one thread': () => {
      for (let frame = 0; frame < OPS; frame++) producer.write(head, payload)
      consumer.drain(OPS, onRecord)
      return sum
    },
    'claim, commit and drain, one thread, no copy': () => {
      for (let frame = 0; frame < OPS; frame++) {
        producer.tryClaim(24, 104)
        producer.commit()
      }
      consumer.drain(OPS, onRecord)
      return sum
    },
  })
}

async function stream(size: BenchSize): Promise<BenchRow> {
  const memory = createRingMemory(RING_BYTES)
  const producer = new RingProducer(memory)
  const frames = FRAMES[size]
  const job: StreamJob = { memory, frames: frames * 2 }
  const worker = new Worker(new URL('workers/stream-consumer.ts', import.meta.url), { workerData: job })
  await messageOf(worker)
  const finished = messageOf(worker)
  writeAll(producer, frames)
  const beginUs = monotonicUs()
  writeAll(producer, frames)
  const endUs = (await finished) as number
  return { case: '128 B frames from one thread to another', opsPerSecond: (frames * 1e6) / (endUs - beginUs) }
}

function writeAll(producer: RingProducer, frames: number): void {
  for (let frame = 0; frame < frames; frame++) while (!producer.write(head, payload)) {}
}

async function hops(size: BenchSize): Promise<BenchRow> {
  const memory = createRingMemory(RING_BYTES)
  const doorbells = createDoorbellMemory(1)
  const { port1, port2 } = new MessageChannel()
  const job: HopJob = { memory, doorbells, port: port2, hops: HOPS[size] }
  const worker = new Worker(new URL('workers/hop-consumer.ts', import.meta.url), {
    workerData: job,
    transferList: [port2],
  })
  await messageOf(worker)
  const producer = new RingProducer(memory)
  const button = new DoorbellButton(doorbells, 0, port1)
  const finished = messageOf(worker)
  const frame = Buffer.alloc(128)
  for (let hop = 0; hop < HOPS[size]; hop++) {
    await pause(1)
    frame.writeDoubleLE(monotonicUs())
    producer.write(frame, undefined)
    button.ring()
  }
  const sortedUs = ((await finished) as Float64Array).sort()
  port1.close()
  const at = (part: number) => sortedUs[Math.floor(part * (sortedUs.length - 1))]!.toFixed(1)
  return {
    case: 'one hop to a sleeping thread, by doorbell',
    opsPerSecond: undefined,
    note: `p50 ${at(0.5)} us, p99 ${at(0.99)} us`,
  }
}

function messageOf(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

export default {
  name: 'ring',
  async run(size) {
    return [...(await oneThread().run(size)), await stream(size), await hops(size)]
  },
} satisfies Benchmark
