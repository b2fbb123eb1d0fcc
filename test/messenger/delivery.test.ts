// What durable calls cause, as the relay gets it: order, homes that are away, orders before publications, limits.

import { expect, test } from 'vitest'
import { Delivery } from '../../src/messenger/delivery.ts'
import { Effects } from '../../src/messenger/effects.ts'
import type { ConversationEvent } from '../../src/messenger/model.ts'
import { slotCount, slots } from '../../src/metrics/slots.ts'
import { disconnects, errors } from '../../src/protocol/codes.ts'
import { PATIENTLY, RecordingRelay } from '../support/messenger.ts'

function open() {
  const relay = new RecordingRelay()
  const row = new Float64Array(slotCount)
  const warnings: string[] = []
  const warn = (_: object, text: string) => void warnings.push(text)
  const log = { info: warn, warn, error: warn }
  const clock = { nowMs: 1_000_000 }
  const delivery = new Delivery({ relay, row, log, nowMs: () => clock.nowMs })
  const carryOut = (add: (effects: Effects) => void) => {
    const effects = new Effects()
    add(effects)
    delivery.carryOut(effects.list)
  }
  return { relay, row, warnings, clock, delivery, carryOut }
}

const change = (rev: number): ConversationEvent => ({ type: 'members', rev, joined: [rev], left: [] })
const revs = (relay: RecordingRelay, conversation: number) =>
  relay.eventsOf(`im:c:${conversation}`).map(({ rev }) => rev)
const upTo = (rev: number) => Array.from({ length: rev }, (_, index) => index + 1)

test('events of a conversation go out in their order, also while its home is away for a while', async () => {
  const { relay, row, carryOut, delivery } = open()
  let asked = 0
  relay.answer = channel =>
    channel === 'im:c:1' && ++asked <= 30 ? { ok: false, error: errors.internal } : { ok: true }
  for (let rev = 1; rev <= 10; rev++) carryOut(effects => effects.publish(1, change(rev)))
  for (let rev = 1; rev <= 3; rev++) carryOut(effects => effects.publish(2, change(rev)))
  expect(row[slots.messengerUndelivered]).toBe(13)
  await expect.poll(() => revs(relay, 1), PATIENTLY).toEqual(upTo(10))
  expect(revs(relay, 2)).toEqual(upTo(3))
  expect(delivery.undelivered).toBe(0)
  // Others did not wait for it.
  expect(relay.publications.slice(0, 3).map(({ channel }) => channel)).toEqual(['im:c:2', 'im:c:2', 'im:c:2'])
})

test('what is published waits for those who are still to join, or to leave', async () => {
  const { relay, carryOut } = open()
  let done = () => {}
  relay.ordersDone = new Promise(resolve => {
    done = resolve
  })
  carryOut(effects => {
    effects.join(7, 1)
    effects.leave(8, 1)
    effects.publish(1, change(1))
    effects.publish(2, change(1))
    effects.tell(7, { type: 'conversation_removed', conversation: 1 })
  })
  await expect.poll(() => relay.publications.length, PATIENTLY).toBe(2)
  expect(revs(relay, 1)).toEqual([])
  expect(relay.orders).toMatchObject([
    { kind: 'subscribe', user: '7', client: '', channel: 'im:c:1' },
    { kind: 'unsubscribe', user: '8', client: '', channel: 'im:c:1' },
  ])
  done()
  await expect.poll(() => revs(relay, 1), PATIENTLY).toEqual([1])
})

test('logins that ended are closed at once, by their own ids', () => {
  const { relay, carryOut } = open()
  carryOut(effects => {
    effects.end(7, 'one', disconnects.sessionEnded)
    effects.end(8, '', disconnects.accountClosed, 'this one')
    effects.notice('a topic', 'a text')
  })
  expect(relay.orders).toMatchObject([
    { kind: 'disconnect', user: '7', session: 'one', except: '', code: 4500, keep: [] },
    { kind: 'disconnect', user: '8', session: '', except: 'this one', code: 4501, keep: [] },
  ])
  expect(relay.notices).toEqual([{ topic: 'a topic', text: 'a text' }])
})

test('typing is not shown while anything waits', async () => {
  const { relay, carryOut, clock } = open()
  const type = (user: number) =>
    carryOut(effects => effects.publish(1, { type: 'typing', user, typing: true }))
  carryOut(effects => effects.publish(1, change(1)))
  type(7)
  await expect.poll(() => revs(relay, 1), PATIENTLY).toEqual([1])
  clock.nowMs += 2_000
  type(7)
  type(8)
  await expect.poll(() => relay.eventsOf('im:c:1').length, PATIENTLY).toBeGreaterThan(1)
  const typing = relay.eventsOf('im:c:1').filter(({ type }) => type === 'typing')
  expect(typing).toEqual([{ type: 'typing', user: 7, typing: true }])
})

test('of marks only the newest of each member goes out, for each conversation together', async () => {
  const { relay, carryOut, delivery } = open()
  for (let seq = 1; seq <= 100; seq++) {
    carryOut(effects => {
      effects.publish(1, { type: 'marks', marks: [{ user: 7, read_seq: seq, delivered_seq: seq }] })
      effects.publish(1, { type: 'marks', marks: [{ user: 8, read_seq: 0, delivered_seq: seq }] })
      effects.tell(7, { type: 'mark', conversation: 1, read_seq: seq, unread: 0, unread_mentions: 0 })
    })
  }
  expect(relay.publications).toEqual([])
  // Whatever waits goes out at the end.
  await delivery.close()
  expect(relay.eventsOf('im:c:1')).toEqual([
    {
      type: 'marks',
      marks: [
        { user: 7, read_seq: 100, delivered_seq: 100 },
        { user: 8, read_seq: 0, delivered_seq: 100 },
      ],
    },
  ])
  expect(relay.eventsOf('im:u:7')).toMatchObject([{ type: 'mark', read_seq: 100 }])
})

test('a home that never comes back costs no memory without bound, and the newest is kept', async () => {
  const { relay, carryOut, delivery, warnings } = open()
  relay.answer = () => ({ ok: false, error: errors.internal })
  for (let rev = 1; rev <= 5_000; rev++) carryOut(effects => effects.publish(1, change(rev)))
  expect(delivery.undelivered).toBeLessThan(1_500)
  expect(warnings[0]).toBe('a publication was dropped')
  relay.answer = () => ({ ok: true })
  await expect.poll(() => revs(relay, 1).at(-1), PATIENTLY).toBe(5_000)
  const sent = revs(relay, 1)
  expect(sent).toEqual([...sent].sort((a, b) => a - b))
})
