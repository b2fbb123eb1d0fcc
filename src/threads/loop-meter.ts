// Watches the loop of a shard: its utilization and delay, and from them how long frames may wait to be joined.
// Runs on the shard.

import { performance } from 'node:perf_hooks'
import { monotonicMs } from '../base/clock.ts'
import { slots } from '../metrics/slots.ts'

export const SAMPLE_MS = 100
/** Above this utilization a shard trades a little latency for fewer system calls. */
const BUSY_FROM = 0.5
/** Weight of the newest sample: smooth enough that the window does not swing with its own effect. */
const NEWEST_WEIGHT = 0.3

/** How long frames may wait, for a loop that is busy for that share of the time. Pure. */
export function flushDelayMs(utilization: number, maxMs: number): number {
  if (utilization <= BUSY_FROM) return 0
  return Math.min(maxMs, ((utilization - BUSY_FROM) / (1 - BUSY_FROM)) * maxMs)
}

export class LoopMeter {
  readonly #row: Float64Array
  readonly #maxMs: number
  #last = performance.eventLoopUtilization()
  #smooth = 0
  #dueMs = monotonicMs() + SAMPLE_MS

  constructor(row: Float64Array, maxMs: number) {
    this.#row = row
    this.#maxMs = maxMs
  }

  /** Call every SAMPLE_MS; how late it is called is the delay of the loop. Returns the flush delay. */
  sample(): number {
    const nowMs = monotonicMs()
    const current = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(current, this.#last)
    this.#last = current
    this.#smooth += NEWEST_WEIGHT * (utilization - this.#smooth)
    const delayMs = flushDelayMs(this.#smooth, this.#maxMs)
    this.#row[slots.eventLoopUtilization] = utilization
    this.#row[slots.eventLoopDelaySeconds] = Math.max(0, nowMs - this.#dueMs) / 1000
    this.#row[slots.loopTurnSeconds] = nowMs / 1000
    this.#row[slots.flushDelaySeconds] = delayMs / 1000
    this.#dueMs = nowMs + SAMPLE_MS
    return delayMs
  }
}
