import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Effects } from '../../src/messenger/effects.ts'
import type { WriteContext } from '../../src/messenger/method.ts'
import type { PresenceEvent } from '../../src/messenger/model.ts'
import type { PublishOutcome } from '../../src/messenger/ports.ts'
import { ADMISSION_MS, CHANGES_MAX, Presence, PUBLISH_INTERVAL_MS } from '../../src/messenger/presence.ts'
import { lastSeenOf } from '../../src/messenger/store/last-seen.ts'
import { openWorld, type World } from './conversation-world.ts'

const GRACE_MS = 10_000

/** Who looks on: what a client knows by the events alone. */
type Onlooker = { online: Set<number>; mustAskAgain: boolean }

let world: World
let connections: Map<number, number>
let events: PresenceEvent[]
let onlooker: Onlooker
let presence: Presence
/** What becomes of publications. */
let outcome: PublishOutcome = { ok: true }

function begin(offlineAfterMs = GRACE_MS): void {
  events = []
  onlooker = { online: new Set(), mustAskAgain: false }
  outcome = { ok: true }
  presence = new Presence({
    relay: {
      connections: user => connections.get(Number(user)) ?? 0,
      publish: (channel, data, done) => {
        expect(channel).toBe('im:presence')
        if (outcome.ok) take(JSON.parse(data))
        done(outcome)
      },
    },
    write: async work => {
      const { db, clock, options } = world
      return work({ db, nowMs: clock.nowMs, effects: new Effects(), options } satisfies WriteContext)
    },
    db: world.db,
    offlineAfterMs,
    nowMs: () => world.clock.nowMs,
  })
}

function take(event: PresenceEvent): void {
  events.push(event)
  if (event.truncated) onlooker.mustAskAgain = true
  for (const user of event.online) onlooker.online.add(user)
  for (const user of event.offline) onlooker.online.delete(user)
}

/** Seconds pass, each with its sweep. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1_000) {
    world.clock.nowMs += 1_000
    presence.sweep(world.clock.nowMs)
    await Promise.resolve()
  }
}

function connect(user: number): void {
  presence.admitted(user)
  connections.set(user, (connections.get(user) ?? 0) + 1)
}

beforeEach(() => {
  world = openWorld()
  connections = new Map()
  begin()
})
afterEach(() => world.close())

describe('who is online', () => {
  test('is who was let in, at once, and until some time after the last connection', async () => {
    connect(1)
    expect(presence.isOnline(1)).toBe(true)
    await pass(60_000)
    connections.delete(1)
    await pass(GRACE_MS - 1_000)
    expect(presence.isOnline(1)).toBe(true)
    await pass(2_000)
    expect(presence.isOnline(1)).toBe(false)
    expect(presence.count).toBe(0)
  })

  test('is also who came back within that time: nobody hears of it', async () => {
    connect(1)
    await pass(5_000)
    for (let round = 0; round < 10; round++) {
      connections.delete(1)
      await pass(GRACE_MS - 2_000)
      connect(1)
      await pass(2_000)
    }
    expect(events).toEqual([{ type: 'presence', online: [1], offline: [], truncated: false, total: 1 }])
  })

  test('is not who was let in and never came', async () => {
    begin(0)
    presence.admitted(1)
    await pass(ADMISSION_MS - 1_000)
    expect(presence.isOnline(1)).toBe(true)
    await pass(2_000)
    expect(presence.isOnline(1)).toBe(false)
  })

  test('is listed by ascending ids', async () => {
    for (const user of [30, 1, 200]) connect(user)
    expect(presence.all()).toEqual([1, 30, 200])
    await pass(1_000)
    connections.delete(30)
    await pass(GRACE_MS + 1_000)
    expect(presence.all()).toEqual([1, 200])
  })

  test('is found again after a start of the messenger alone', async () => {
    const [ann, bob] = [world.addUser(), world.addUser()]
    connections.set(ann, 2)
    begin()
    await pass(1_000)
    expect(presence.all()).toEqual([ann])
    expect(presence.isOnline(bob)).toBe(false)
    connections.delete(ann)
    await pass(GRACE_MS + 1_000)
    expect(presence.all()).toEqual([])
  })
})

describe('events of presence', () => {
  test('are one for all changes of two seconds, and none without a change', async () => {
    for (let user = 1; user <= 300; user++) connect(user)
    await pass(30_000)
    expect(events).toHaveLength(1)
    expect(events[0]).toMatchObject({ offline: [], truncated: false, total: 300 })
    expect(events[0]!.online).toHaveLength(300)
    for (let user = 301; user <= 340; user++) {
      connect(user)
      await pass(1_000)
    }
    await pass(PUBLISH_INTERVAL_MS)
    expect(events.length).toBeLessThanOrEqual(2 + 40_000 / PUBLISH_INTERVAL_MS)
    expect(onlooker.online.size).toBe(340)
  })

  test('hold a bounded number of changes and say when there were more', async () => {
    for (let user = 1; user <= 10_000; user++) connect(user)
    await pass(4_000)
    expect(events).toHaveLength(1)
    expect(events[0]).toMatchObject({ truncated: true, total: 10_000 })
    expect(events[0]!.online).toHaveLength(CHANGES_MAX)
  })

  test('that could not be published make the next one say that something was missed', async () => {
    outcome = { ok: false, error: { code: 100, message: 'internal server error', temporary: true } }
    connect(1)
    await pass(1_000)
    outcome = { ok: true }
    await pass(3_000)
    expect(events).toEqual([{ type: 'presence', online: [], offline: [], truncated: true, total: 1 }])
  })

  test('leave an onlooker with what is so, or let it know that it must ask, after any comings and goings', async () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant('connect'), user: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ kind: fc.constant('lose'), user: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ kind: fc.constant('pass'), user: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ kind: fc.constant('fail'), user: fc.constant(0) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60 }), async actions => {
        connections = new Map()
        begin()
        for (const { kind, user } of actions) {
          if (kind === 'connect') connect(user)
          if (kind === 'lose') connections.delete(user)
          if (kind === 'pass') await pass(user * 1_000)
          if (kind === 'fail') outcome = { ok: false, error: { code: 100, message: '', temporary: true } }
          else outcome = { ok: true }
        }
        outcome = { ok: true }
        await pass(GRACE_MS + 5_000)
        const isSo = [...connections.keys()].sort((a, b) => a - b)
        expect(presence.all()).toEqual(isSo)
        if (!onlooker.mustAskAgain) expect([...onlooker.online].sort((a, b) => a - b)).toEqual(isSo)
      }),
    )
  })
})

describe('when somebody was last seen', () => {
  test('is written as one comes, as one goes, and at the end for all who are there', async () => {
    const [ann, bob] = [world.addUser(), world.addUser()]
    const cameMs = world.clock.nowMs
    connect(ann)
    connect(bob)
    await pass(1_000)
    await expect.poll(() => lastSeenOf(world.db, ann)).toBe(cameMs)
    connections.delete(ann)
    const leftMs = world.clock.nowMs
    await pass(GRACE_MS + 2_000)
    await expect.poll(() => lastSeenOf(world.db, ann)).toBe(leftMs)
    expect(lastSeenOf(world.db, bob)).toBe(cameMs)
    await presence.close()
    expect(lastSeenOf(world.db, bob)).toBe(world.clock.nowMs)
    expect(lastSeenOf(world.db, ann)).toBe(leftMs)
  })

  test('never stops presence when it can not be stored', async () => {
    const failing = new Presence({
      relay: { connections: () => 0, publish: (_, _data, done) => done({ ok: true }) },
      write: () => Promise.reject(new Error('disk full')),
      db: world.db,
      offlineAfterMs: 0,
      nowMs: () => world.clock.nowMs,
    })
    failing.admitted(1)
    failing.sweep(world.clock.nowMs)
    await failing.close()
    expect(failing.isOnline(1)).toBe(true)
  })
})

describe('methods', () => {
  test('presence.get tells of users who are there, and when they were seen', async () => {
    const [ann, bob, eve] = [world.addUser(), world.addUser(), world.addUser()]
    world.online.add(bob)
    world.setState(eve, 'deleted')
    world.db.run('UPDATE users SET last_seen_ms = 5 WHERE id = ?', ann)
    expect(await world.call(ann, 'presence.get', { users: [bob, ann, bob, eve, 99] })).toEqual({
      users: [
        { user: bob, online: true, last_seen_ms: 0 },
        { user: ann, online: false, last_seen_ms: 5 },
      ],
    })
    const tooMany = Array.from({ length: 501 }, (_, index) => index + 1)
    await expect(world.call(ann, 'presence.get', { users: tooMany })).rejects.toThrow()
  })

  test('presence.list comes in pages without a gap', async () => {
    const ann = world.addUser()
    for (let id = 10; id < 110; id += 3) world.online.add(id)
    const all = [...world.online]
    for (const limit of [1, 7, 34, 5_000]) {
      const found: number[] = []
      for (let after = 0; ; ) {
        const page = await world.call(ann, 'presence.list', { after, limit })
        expect(page.total).toBe(all.length)
        found.push(...page.users)
        after = page.next
        if (after === 0) break
      }
      expect(found).toEqual(all)
    }
  })
})
