// Brings subscribers back, as SDKs do: at once, then after pauses that double, for a bounded time. Runs on a receiver
// thread. Invariant: a subscriber is brought back by one caller at a time, and is live or given up when that ends.

import { setTimeout as wait } from 'node:timers/promises'
import { nowUs } from './clock.ts'
import type { How, Recovery, Subscriber } from './subscriber.ts'
import type { Turns } from './turns.ts'

export type Comeback = Readonly<{ recovery: Recovery; tookMs: number }>

const PAUSE_FIRST_MS = 100
const PAUSE_MAX_MS = 2000
/** From its first attempt on. */
const GIVEN_UP_AFTER_MS = 30_000
const US_PER_MS = 1e3

/** Undefined: it could not be brought back, or the thread ends. */
export async function bringBack(
  subscriber: Subscriber,
  how: How,
  { turns, random, ended }: Readonly<{ turns: Turns; random: () => number; ended: AbortSignal }>,
): Promise<Comeback | undefined> {
  subscriber.busy = true
  const sinceUs = subscriber.downSinceUs
  let deadlineMs: number | undefined
  try {
    for (let pauseMs = PAUSE_FIRST_MS; !ended.aborted; pauseMs = Math.min(PAUSE_MAX_MS, 2 * pauseMs)) {
      const recovery = await turns.take(() => {
        deadlineMs ??= nowUs() / US_PER_MS + GIVEN_UP_AFTER_MS
        return subscriber.open(how).catch(() => undefined)
      })
      if (recovery !== undefined) return { recovery, tookMs: (nowUs() - sinceUs) / US_PER_MS }
      if (nowUs() / US_PER_MS > deadlineMs!) break
      await pauseFor(pauseMs * (0.5 + random() / 2), ended)
    }
    subscriber.giveUp()
    return undefined
  } finally {
    subscriber.busy = false
  }
}

/** Ends early, without an error, when the thread does. */
export async function pauseFor(ms: number, ended: AbortSignal): Promise<void> {
  await wait(ms, undefined, { signal: ended }).catch(() => {})
}
