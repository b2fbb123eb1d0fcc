// Which clock of a live session runs out next.

import { expect, test } from 'vitest'
import type { Config } from '../../src/config/schema.ts'
import { nextDeadlineMs } from '../../src/session/deadlines.ts'
import type { Live } from '../../src/session/state.ts'

const CLIENT = { ping_interval: 25_000, slow_timeout: 60_000, expired_close_delay: 5_000 } as Config['client']
const NOW_MS = 1_000_000
/** Tokens have the time of the wall, in seconds. */
const WALL_MS = 1_700_000_000_000

function next(live: Partial<Live>, changed: Partial<Config['client']> = {}, laggingSinceMs = 0): number {
  const whole = {
    expireAt: 0,
    hasExpiringSubscriptions: false,
    pingAtMs: NOW_MS + 25_000,
    pongDueMs: 0,
    ...live,
  }
  return nextDeadlineMs(whole as Live, { ...CLIENT, ...changed }, laggingSinceMs, NOW_MS, WALL_MS)
}

test('the next ping, when nothing else is due', () => {
  expect(next({})).toBe(NOW_MS + 25_000)
})

test('without pings a look once a minute', () => {
  expect(next({ pingAtMs: 0 }, { ping_interval: 0 })).toBe(NOW_MS + 60_000)
})

test('a pong that is owed, if it is due before', () => {
  expect(next({ pongDueMs: NOW_MS + 8_000 })).toBe(NOW_MS + 8_000)
  expect(next({ pongDueMs: NOW_MS + 30_000 })).toBe(NOW_MS + 25_000)
})

test('the end of patience with a connection that lags', () => {
  expect(next({}, {}, NOW_MS - 59_000)).toBe(NOW_MS + 1_000)
})

test('the end of the token, with its delay, on the clock of the session', () => {
  expect(next({ expireAt: WALL_MS / 1000 + 10 })).toBe(NOW_MS + 15_000)
  expect(next({ expireAt: WALL_MS / 1000 + 3600 })).toBe(NOW_MS + 25_000)
  expect(next({ expireAt: WALL_MS / 1000 - 100 })).toBeLessThan(NOW_MS)
})

test('a look each second while subscriptions expire', () => {
  expect(next({ hasExpiringSubscriptions: true })).toBe(NOW_MS + 1_000)
})

test('of all of them the earliest', () => {
  const all = {
    pongDueMs: NOW_MS + 700,
    expireAt: WALL_MS / 1000 - 4,
    hasExpiringSubscriptions: true,
  }
  expect(next(all, {}, NOW_MS - 59_500)).toBe(NOW_MS + 500)
  expect(next(all)).toBe(NOW_MS + 700)
})
