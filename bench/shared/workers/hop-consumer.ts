// Sleeps in its event loop, is woken by its doorbell, and notes how long each frame was under way.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { monotonicUs } from '../../../src/base/clock.ts'
import { Doorbell } from '../../../src/shared/doorbell.ts'
import { RingConsumer } from '../../../src/shared/ring.ts'

export type HopJob = {
  memory: SharedArrayBuffer
  doorbells: SharedArrayBuffer
  port: MessagePort
  hops: number
}

const { memory, doorbells, port, hops } = workerData as HopJob
const consumer = new RingConsumer(memory)
const doorbell = new Doorbell(doorbells, 0)
const latenciesUs = new Float64Array(hops)
let received = 0

port.on('message', tick)
tick()
parentPort!.postMessage('ready')

function tick(): void {
  doorbell.awake()
  do {
    consumer.drain(100, (bytes, headStart) => {
      latenciesUs[received++] = monotonicUs() - bytes.readDoubleLE(headStart)
    })
  } while (!doorbell.fallAsleep(() => !consumer.isEmpty()))
  if (received < hops) return
  parentPort!.postMessage(latenciesUs)
  port.close()
}
