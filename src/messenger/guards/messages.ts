// How often a user may send messages, and call anything, over all devices. The messenger's thread, in memory. Invariant: the
// table is bounded; who is forgotten was quiet for longer than it takes to have the full burst again.

import { TokenBucket } from '../../base/token-bucket.ts'
import { CallError } from '../failures.ts'
import type { Guards } from '../ports.ts'
import { Recent } from './recent.ts'

/** Users who called lately. With more of them within a few seconds the machine is the limit, and no user. */
const USERS_MAX = 50_000
/** After a pause a user may call as often at once as else in so long. */
const BURST_SECONDS = 2
/** Calls of any kind for each message: who comes back asks for hundreds of conversations, and marks what is read. */
const CALLS_PER_MESSAGE = 10

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
  const buckets = new Recent<number, TokenBucket>(USERS_MAX)
  return user => {
    const now = nowMs()
    const fresh = () => new TokenBucket(perSecond, now, perSecond * BURST_SECONDS)
    const bucket = buckets.get(user) ?? buckets.set(user, fresh())
    if (!bucket.take(now))
      throw new CallError('rate', `more than ${perSecond} ${what} a second`, bucket.waitMs)
  }
}
