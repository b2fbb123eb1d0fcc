// Which of a live session's clocks runs out next. Pure. Runs on a shard.

import type { Config } from '../config/schema.ts'
import type { Live } from './state.ts'

/** How often a session without pings looks at its clocks. */
const IDLE_CHECK_MS = 60_000
/** How often expiring subscriptions are looked at: their grace time is many seconds. */
const EXPIRY_CHECK_MS = 1000

/**
 * @param laggingSinceMs 0: it keeps up
 * @param nowMs monotonic, as are the session's own times
 * @param wallNowMs for the times of tokens
 */
export function nextDeadlineMs(
  live: Live,
  client: Config['client'],
  laggingSinceMs: number,
  nowMs: number,
  wallNowMs: number,
): number {
  let next = client.ping_interval === 0 ? nowMs + IDLE_CHECK_MS : live.pingAtMs
  if (live.pongDueMs !== 0) next = Math.min(next, live.pongDueMs)
  if (laggingSinceMs !== 0) next = Math.min(next, laggingSinceMs + client.slow_timeout)
  if (live.expireAt !== 0) {
    next = Math.min(next, nowMs + live.expireAt * 1000 + client.expired_close_delay - wallNowMs)
  }
  if (live.hasExpiringSubscriptions) next = Math.min(next, nowMs + EXPIRY_CHECK_MS)
  return next
}
