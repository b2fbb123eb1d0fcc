// Limits on sign-ups and on tries of passwords, over all shards: backoff per account, buckets per address. The messenger's
// thread, in memory. Invariants: each table is bounded; an account is never locked, it waits; what is counted and what is
// answered is the same for nicknames that there are and for others.

import { isIPv6 } from 'node:net'
import { plainAddress } from '../../base/address.ts'
import { TokenBucket } from '../../base/token-bucket.ts'
import type { MessengerOptions } from '../../config/schema.ts'
import { CallError } from '../failures.ts'
import type { Guards } from '../ports.ts'
import { Recent } from './recent.ts'

/** Wrong passwords in a row that cost no waiting. */
const FREE_FAILURES = 5
const BACKOFF_FIRST_MS = 1_000
const BACKOFF_MAX_MS = 15 * 60_000
/** Who made no wrong try for so long begins anew. */
const FORGET_AFTER_MS = 24 * 3_600_000
/** While so many passwords of an account are being checked, others wait: a burst counts before its first answer. */
const RETRY_WHILE_CHECKED_MS = 1_000
const MINUTE_SECONDS = 60
const HOUR_SECONDS = 3_600

/** Entries of each table; the longest untouched goes. To push one out takes as many other names or addresses. */
export const GUARDED_MAX = 20_000

type Account = { failures: number; checking: number; blockedUntilMs: number; touchedMs: number }
type Buckets = Recent<string, TokenBucket>
type LoginGuards = Pick<Guards, 'signup' | 'login'>

export function createLoginGuards(given: {
  options: Pick<MessengerOptions, 'signups_per_hour' | 'logins_per_minute'>
  nowMs: () => number
}): LoginGuards {
  const { options, nowMs } = given
  const accounts = new Recent<string, Account>(GUARDED_MAX)
  /** `nickname|address` of successful logins. They wait for their own failures alone: strangers can't keep a user out. */
  const trusted = new Recent<string, true>(GUARDED_MAX)
  const signups: Buckets = new Recent(GUARDED_MAX)
  const logins: Buckets = new Recent(GUARDED_MAX)

  const accountOf = (nicknameKey: string, address: string) => {
    const own = `${nicknameKey}|${address}`
    const key = trusted.get(own) === undefined ? nicknameKey : own
    const known = accounts.get(key)
    if (known !== undefined && nowMs() - known.touchedMs < FORGET_AFTER_MS) return known
    return accounts.set(key, { failures: 0, checking: 0, blockedUntilMs: 0, touchedMs: nowMs() })
  }

  return {
    signup: address => take(signups, addressKey(address), options.signups_per_hour, HOUR_SECONDS, nowMs()),

    login(nicknameKey, address) {
      const from = addressKey(address)
      take(logins, from, options.logins_per_minute, MINUTE_SECONDS, nowMs())
      const account = accountOf(nicknameKey, from)
      const waitMs = account.blockedUntilMs - nowMs()
      if (waitMs > 0) throw new CallError('rate', 'too many wrong passwords', waitMs)
      // What is being checked counts as wrong until it is known; past the free failures it is one at a time.
      if (account.checking > 0 && account.failures + account.checking >= FREE_FAILURES) {
        throw new CallError('rate', 'other passwords are being checked', RETRY_WHILE_CHECKED_MS)
      }
      account.checking += 1
      return succeeded => {
        account.checking -= 1
        account.touchedMs = nowMs()
        if (succeeded === undefined) return
        if (succeeded) trusted.set(`${nicknameKey}|${from}`, true)
        account.failures = succeeded ? 0 : account.failures + 1
        account.blockedUntilMs = succeeded ? 0 : nowMs() + backoffMs(account.failures)
      }
    },
  }
}

/** 0 for the first wrong passwords, then 1 s, 2 s, 4 s, … up to 15 min. */
export function backoffMs(failures: number): number {
  if (failures < FREE_FAILURES) return 0
  return Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (failures - FREE_FAILURES))
}

/** Who counts as one: an IPv4 address, or the /64 of an IPv6 address, which is what one customer gets at least. */
export function addressKey(address: string): string {
  const plain = plainAddress(address)
  if (!isIPv6(plain)) return plain
  const [before = [], after = []] = plain
    .split('::')
    .map(part => part.split(':').filter(group => group !== ''))
  const groups = [...before, ...Array(8 - before.length - after.length).fill('0'), ...after]
  return `${groups.slice(0, 4).join(':')}::/64`
}

/** Takes one of `perPeriod`; as many at once after a pause. */
function take(buckets: Buckets, key: string, perPeriod: number, periodSeconds: number, nowMs: number): void {
  const fresh = () => new TokenBucket(perPeriod / periodSeconds, nowMs, perPeriod)
  const bucket = buckets.get(key) ?? buckets.set(key, fresh())
  if (!bucket.take(nowMs)) throw new CallError('rate', 'too many tries from this address', bucket.waitMs)
}
