// When tokens and what they granted end. Pure but for the clock. Runs on a shard.

import { wallMs } from '../base/clock.ts'

/** Whole seconds that are left, at least 1: a ttl of 0 would mean none. `expireAt`: unix seconds, 0 = never. */
export function ttlOf(expireAt: number): number {
  return expireAt === 0 ? 0 : Math.max(1, Math.ceil(expireAt - wallMs() / 1000))
}

export function isPast(expireAt: number): boolean {
  return expireAt !== 0 && expireAt * 1000 <= wallMs()
}
