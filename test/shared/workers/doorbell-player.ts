// One side of a game of ping-pong over two rings: answers each ball, and sleeps whenever no ball is there. A
// wake-up that is lost leaves both sides asleep for ever.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { assert } from '../../../src/base/assert.ts'
import { Doorbell, DoorbellButton } from '../../../src/shared/doorbell.ts'
import { RingConsumer, RingProducer } from '../../../src/shared/ring.ts'
import { randomFrom } from '../random.ts'

export type PlayerJob = {
  doorbells: SharedArrayBuffer
  self: number
  inbound: SharedArrayBuffer
  outbound: SharedArrayBuffer
  port: MessagePort
  balls: number
}

/** Some microseconds: about as long as an answer takes. */
const LOOKS_MAX = 1000

const job = workerData as PlayerJob
const inbound = new RingConsumer(job.inbound)
const outbound = new RingProducer(job.outbound)
const doorbell = new Doorbell(job.doorbells, job.self)
const button = new DoorbellButton(job.doorbells, 1 - job.self, job.port)
const random = randomFrom(job.self)
const ball = Buffer.alloc(8)
let received = 0
let sleeps = 0

const hasWork = () => !inbound.isEmpty()
job.port.on('message', play)
if (job.self === 0) serve()
play()

function play(): void {
  doorbell.awake()
  while (received < job.balls) {
    inbound.drain(10, (bytes, headStart) => {
      assert(bytes.readUInt32LE(headStart) === received, 'ball out of order')
      received++
      if (received < job.balls || job.self === 1) serve()
    })
    // Looks on for a random while, so that the answer often comes in the very moment of falling asleep.
    for (let looks = random(LOOKS_MAX); looks > 0 && inbound.isEmpty(); looks--) {}
    if (received < job.balls && doorbell.fallAsleep(hasWork)) {
      sleeps++
      return
    }
  }
  finish()
}

function serve(): void {
  ball.writeUInt32LE(received - job.self)
  assert(outbound.write(ball, undefined), 'ring full')
  button.ring()
}

function finish(): void {
  parentPort!.postMessage(sleeps)
  job.port.close()
}
