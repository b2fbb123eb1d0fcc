// Entry of the thread that wakes the publisher when something is due. Node's timers know whole milliseconds only, and
// publications that leave half a millisecond late hide a latency of a third of that; this thread sleeps to some tens of
// microseconds. Invariant: it never works, it only sleeps and rings; beats that passed while it could not run are one.

import { parentPort, workerData } from 'node:worker_threads'
import { createBeat, RUNG, rhythmOf, TURN } from './beat.ts'
import { nowUs } from './clock.ts'

/** The clocks of two threads differ by some microseconds; a ring before the time would be one for nothing. */
const MARGIN_US = 20
const US_PER_MS = 1000

const beat = createBeat(workerData as SharedArrayBuffer)
const port = parentPort!

for (;;) {
  const { turn, startUs, everyUs } = rhythmOf(beat)
  const waitUs = everyUs === 0 ? Number.POSITIVE_INFINITY : untilNext(startUs, everyUs)
  // Ended by the notify in setRhythm(), or not begun if its add has already been.
  const ended = Atomics.wait(beat.words, TURN, turn, waitUs / US_PER_MS)
  // Partner: the store in the publisher's onRing. Whoever was rung for and did not look yet will see this beat, too.
  if (ended === 'timed-out' && Atomics.exchange(beat.words, RUNG, 1) === 0) port.postMessage(undefined)
}

function untilNext(startUs: number, everyUs: number): number {
  const sinceUs = nowUs() - startUs - MARGIN_US
  const next = sinceUs < 0 ? 0 : Math.floor(sinceUs / everyUs) + 1
  return Math.max(1, next * everyUs - sinceUs)
}
