// What a thread used of its event loop and its core, so that a generator that was the limit is told from a slow server.
// Runs on every thread of the load. Invariant: each answer covers the time since the one before, without a gap.

import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { createHistogram } from '../ledger/histogram.ts'
import { nowUs } from './clock.ts'
import type { Use } from './requests.ts'

/** How often the loop is looked at. */
const LOOK_MS = 10
const LOOK_US = LOOK_MS * 1e3

/**
 * Begins to measure the thread that calls it. Not monitorEventLoopDelay(): it counts a pause of a second as one delay,
 * where a message that came at a random moment would have met it a hundred times.
 */
export function measureUse(): () => Use {
  const delay = createHistogram()
  let dueUs = nowUs() + LOOK_US
  const look = () => {
    const atUs = nowUs()
    // One record for each look that was due meanwhile; each waited for what was left of the pause.
    do {
      delay.record(Math.max(0, atUs - dueUs))
      dueUs += LOOK_US
    } while (dueUs <= atUs)
    dueUs = atUs + LOOK_US
  }
  setInterval(look, LOOK_MS).unref()
  let sinceUs = nowUs()
  let loop = performance.eventLoopUtilization()
  let waitedUs = waitedForCoreUs()
  return () => {
    const atUs = nowUs()
    const loopNow = performance.eventLoopUtilization()
    const waitedNowUs = waitedForCoreUs()
    const use: Use = {
      utilization: performance.eventLoopUtilization(loopNow, loop).utilization,
      delay: delay.toBytes(),
      elapsedUs: atUs - sinceUs,
      ...(waitedNowUs !== undefined && waitedUs !== undefined
        ? { waitedForCoreUs: waitedNowUs - waitedUs }
        : {}),
    }
    delay.reset()
    sinceUs = atUs
    loop = loopNow
    waitedUs = waitedNowUs
    return use
  }
}

const NS_PER_US = 1e3

/** Linux only: how long this thread was ready to run while other threads had all the cores. */
function waitedForCoreUs(): number | undefined {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[1]) / NS_PER_US
  } catch {
    return undefined
  }
}
