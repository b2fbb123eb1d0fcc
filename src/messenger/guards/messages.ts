// How often a user may send messages, and call anything, over all devices. The messenger's thread, in memory. Invariant: the
// table is bounded; who is forgotten was quiet for longer than it takes to have the full burst again.

import { CallError } from '../failures.ts'
import type { Guards } from '../ports.ts'

/** Users who called lately. With more of them within a few seconds the machine is the limit, and no user. */
const USERS_MAX = 50_000
/** After a pause a user may call as often at once as else in so long. */
const BURST_SECONDS = 2
/** Calls of any kind for each message: who comes back asks for hundreds of conversations, and marks what is read. */
const CALLS_PER_MESSAGE = 10

type Bucket = { level: number; filledMs: number }

/** `messageRate`: messages a second on average. */
export function createRateGuards(
  messageRate: number,
  nowMs: () => number,
): Pick<Guards, 'message' | 'called'> {
  return {
    message: createGuard(messageRate, 'messages', nowMs),
    called: createGuard(CALLS_PER_MESSAGE * messageRate, 'calls', nowMs),
  }
}

function createGuard(perSecond: number, what: string, nowMs: () => number): (user: number) => void {
  const burst = perSecond * BURST_SECONDS
  const buckets = new Map<number, Bucket>()
  return user => {
    const now = nowMs()
    const known = buckets.get(user)
    const gained = known === undefined ? 0 : (Math.max(0, now - known.filledMs) * perSecond) / 1_000
    const level = known === undefined ? burst : Math.min(burst, known.level + gained)
    // Behind all others: the first in the table is who was quiet longest.
    buckets.delete(user)
    buckets.set(user, { level: level < 1 ? level : level - 1, filledMs: now })
    const [quietest] = buckets.keys()
    if (buckets.size > USERS_MAX && quietest !== undefined) buckets.delete(quietest)
    if (level < 1) {
      const retryAfterMs = Math.ceil(((1 - level) * 1_000) / perSecond)
      throw new CallError('rate', `more than ${perSecond} ${what} a second`, retryAfterMs)
    }
  }
}
