import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CallError } from '../../../src/messenger/failures.ts'
import { addressKey, backoffMs, createLoginGuards, GUARDED_MAX } from '../../../src/messenger/guards/login.ts'

const HOUR_MS = 3_600_000

function guarded(changed: { signups_per_hour?: number; logins_per_minute?: number } = {}) {
  const clock = { nowMs: 1_700_000_000_000 }
  const options = { signups_per_hour: 5, logins_per_minute: 1_000_000, ...changed }
  const guards = createLoginGuards({ options, nowMs: () => clock.nowMs })
  const refusal = (work: () => unknown) => {
    try {
      work()
      return undefined
    } catch (error) {
      return error as CallError
    }
  }
  return {
    clock,
    signup: (address: string) => refusal(() => guards.signup(address)),
    start: guards.login,
    login: (key: string, address: string, succeeds: boolean) =>
      refusal(() => guards.login(key, address)(succeeds)),
  }
}

describe('27: an account whose passwords are guessed', () => {
  test('takes 5 wrong ones, and then each after a wait that doubles up to 15 minutes', () => {
    const { clock, login } = guarded()
    const waits: number[] = []
    for (let failures = 0; failures < 20; ) {
      const refused = login('anna', '192.0.2.1', false)
      if (refused === undefined) {
        failures += 1
        continue
      }
      waits.push(refused.retryAfterMs ?? 0)
      expect(waits.length).toBe(failures - 4)
      clock.nowMs += refused.retryAfterMs ?? 0
    }
    expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000])
    expect(waits.at(-1)).toBe(15 * 60_000)
    expect([1, 4, 5, 6].map(backoffMs)).toEqual([0, 0, 1_000, 2_000])
  })

  test('is never locked: after the wait the right password passes, and all begins anew', () => {
    const { clock, login } = guarded()
    for (let failures = 1; failures <= 30; failures++) {
      login('anna', '192.0.2.1', false)
      clock.nowMs += 15 * 60_000
    }
    expect(login('anna', '192.0.2.9', true)).toBeUndefined()
    for (let failures = 1; failures <= 4; failures++) {
      expect(login('anna', '192.0.2.1', false)).toBeUndefined()
    }
    expect(login('anna', '192.0.2.1', true)).toBeUndefined()
  })

  test('is open at once to its user where the user has logged in before', () => {
    const { login } = guarded()
    expect(login('anna', '198.51.100.7', true)).toBeUndefined()
    for (let failures = 1; failures <= 9; failures++) login('anna', '192.0.2.1', false)
    expect(login('anna', '192.0.2.1', true)).toMatchObject({ kind: 'rate' })
    expect(login('anna', '198.51.100.7', true)).toBeUndefined()
    // There, too, guessing has an end.
    for (let failures = 1; failures <= 5; failures++) login('anna', '198.51.100.7', false)
    expect(login('anna', '198.51.100.7', true)).toMatchObject({ kind: 'rate' })
  })

  test('is held back in the same way when there is no such account', () => {
    const { login } = guarded()
    for (let failures = 1; failures <= 5; failures++) login('nobody', '192.0.2.1', false)
    const refused = login('nobody', '192.0.2.1', false)
    expect(refused).toMatchObject({ kind: 'rate', retryAfterMs: 1_000 })
  })

  test('gains nothing by trying many at once', () => {
    const { start, login } = guarded()
    const settles = Array.from({ length: 5 }, (_, index) => start('anna', `192.0.2.${index}`))
    expect(login('anna', '192.0.2.77', true)).toMatchObject({ kind: 'rate' })
    for (const settle of settles) settle(undefined)
    expect(login('anna', '192.0.2.77', true)).toBeUndefined()
  })
})

test('27: whoever guesses from wherever, the tries of an account fit into its waits', () => {
  const tries = fc.array(
    fc.record({
      afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 * 60_000 })),
      address: fc.integer({ min: 1, max: 200 }),
      takesMs: fc.constantFrom(0, 0, 50, 2_000),
    }),
    { minLength: 50, maxLength: 300 },
  )
  fc.assert(
    fc.property(tries, all => {
      const { clock, start } = guarded()
      const beganMs = clock.nowMs
      const underWay: { settle: (succeeded: boolean) => void; untilMs: number }[] = []
      let checked = 0
      for (const { afterMs, address, takesMs } of all) {
        clock.nowMs += afterMs
        for (const one of underWay.splice(0)) {
          if (one.untilMs <= clock.nowMs) one.settle(false)
          else underWay.push(one)
        }
        try {
          const settle = start('anna', `192.0.2.${address}`)
          checked += 1
          if (takesMs === 0) settle(false)
          else underWay.push({ settle, untilMs: clock.nowMs + takesMs })
        } catch (error) {
          expect(error).toMatchObject({ kind: 'rate' })
        }
      }
      let neededMs = 0
      for (let failures = 5; failures < checked; failures++) neededMs += backoffMs(failures)
      expect(clock.nowMs - beganMs).toBeGreaterThanOrEqual(neededMs)
    }),
  )
})

describe('27: an address that tries passwords', () => {
  test('may try so many a minute, whoever they are of and whether they are right', () => {
    const { clock, login } = guarded({ logins_per_minute: 3 })
    for (const key of ['a', 'b', 'c']) expect(login(key, '192.0.2.1', true)).toBeUndefined()
    expect(login('d', '192.0.2.1', true)).toMatchObject({ kind: 'rate', retryAfterMs: 20_000 })
    expect(login('d', '192.0.2.2', true)).toBeUndefined()
    clock.nowMs += 20_000
    expect(login('d', '192.0.2.1', true)).toBeUndefined()
  })

  test('counts as its /64 when it is of IPv6', () => {
    const { login } = guarded({ logins_per_minute: 1 })
    expect(login('a', '2001:db8:1:2::1', true)).toBeUndefined()
    expect(login('b', '2001:db8:1:2:ffff:ffff:ffff:ffff', true)).toMatchObject({ kind: 'rate' })
    expect(login('b', '2001:db8:1:3::1', true)).toBeUndefined()
  })
})

describe('26: sign-ups from an address', () => {
  test('are 5 an hour, wherever in the hour', () => {
    const { clock, signup } = guarded()
    for (let count = 1; count <= 5; count++) expect(signup('192.0.2.1')).toBeUndefined()
    expect(signup('192.0.2.1')).toMatchObject({ kind: 'rate', retryAfterMs: HOUR_MS / 5 })
    expect(signup('192.0.2.2')).toBeUndefined()
    clock.nowMs += HOUR_MS / 5
    expect(signup('192.0.2.1')).toBeUndefined()
    expect(signup('192.0.2.1')).toMatchObject({ kind: 'rate' })
  })
})

test('20: tables are bounded; what was touched lately is what stays', () => {
  const { login } = guarded()
  for (let failures = 1; failures <= 5; failures++) login('anna', '192.0.2.1', false)
  for (let other = 0; other < GUARDED_MAX - 2; other++) login(`other${other}`, '192.0.2.1', false)
  expect(login('anna', '192.0.2.1', true)).toMatchObject({ kind: 'rate' })
  for (let other = 0; other <= GUARDED_MAX; other++) login(`more${other}`, '192.0.2.1', false)
  expect(login('anna', '192.0.2.1', true)).toBeUndefined()
})

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::ffff:c000:201', '192.0.2.1'],
  ['2001:DB8:0:0:1::7', '2001:db8:0:0::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['', ''],
])('%j counts as %j', (address, key) => {
  expect(addressKey(address)).toBe(key)
})
