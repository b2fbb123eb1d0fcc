// What is on its way to one channel: order, refusals, holds and limits.

import { expect, test } from 'vitest'
import { Lane } from '../../src/messenger/lane.ts'
import type { PublishOutcome } from '../../src/messenger/ports.ts'
import { errors } from '../../src/protocol/codes.ts'
import { PATIENTLY } from '../support/messenger.ts'

const AWAY: PublishOutcome = { ok: false, error: errors.internal }

function open() {
  const sent: string[] = []
  const gone: string[] = []
  const dropped: unknown[] = []
  const open: ((outcome: PublishOutcome) => void)[] = []
  const state = { empty: 0 }
  const lane = new Lane({
    publish: (data, done) => {
      sent.push(data)
      open.push(done)
    },
    onGone: data => gone.push(data),
    onDropped: reason => dropped.push(reason),
    onEmpty: () => {
      state.empty++
    },
  })
  /** The home answers what is open. */
  const answer = (...outcomes: PublishOutcome[]) => {
    for (const outcome of outcomes) open.shift()!(outcome)
  }
  return { lane, sent, gone, dropped, answer, open, state }
}

const OK: PublishOutcome = { ok: true }

test('publications go out in order, several at once, and the lane is empty when all have come', () => {
  const { lane, sent, gone, answer, state } = open()
  for (const data of ['a', 'b', 'c']) lane.publish(data)
  expect(sent).toEqual(['a', 'b', 'c'])
  answer(OK, OK)
  expect(state.empty).toBe(0)
  answer(OK)
  expect(gone).toEqual(['a', 'b', 'c'])
  expect(state.empty).toBe(1)
})

test('what a home that is away refused is sent again before what came later', async () => {
  const { lane, sent, answer, open: underWay, dropped } = open()
  for (const data of ['a', 'b', 'c']) lane.publish(data)
  answer(OK, AWAY, AWAY)
  lane.publish('d')
  expect(sent).toEqual(['a', 'b', 'c'])
  await expect.poll(() => sent.slice(3), PATIENTLY).toEqual(['b', 'c', 'd'])
  answer(AWAY, AWAY, AWAY)
  await expect.poll(() => sent.slice(6), PATIENTLY).toEqual(['b', 'c', 'd'])
  answer(OK, OK, OK)
  expect(underWay).toEqual([])
  expect(dropped).toEqual([])
})

test('what can never be published is dropped with its reason, and holds up nothing', () => {
  const { lane, sent, gone, dropped, answer } = open()
  lane.publish('too large')
  answer({ ok: false, error: errors.badRequest })
  lane.publish('b')
  expect(sent).toEqual(['too large', 'b'])
  expect(gone).toEqual(['too large'])
  expect(dropped).toEqual(['bad request'])
})

test('nothing goes out while it is held, and all of it afterwards', () => {
  const { lane, sent, state, answer } = open()
  const first = lane.hold()
  const second = lane.hold()
  lane.publish('a')
  first()
  first()
  expect(sent).toEqual([])
  second()
  expect(sent).toEqual(['a'])
  expect(state.empty).toBe(0)
  answer(OK)
  expect(state.empty).toBe(1)
})

test('when too much waits the oldest goes, the newest never', () => {
  const { lane, sent, gone, dropped } = open()
  const release = lane.hold()
  for (let number = 0; number < 1_005; number++) lane.publish(`${number}`)
  expect(gone).toEqual(['0', '1', '2', '3', '4'])
  expect(dropped).toHaveLength(5)
  release()
  expect(sent[0]).toBe('5')
})

test('after its end it sends nothing, also when a home answers late', async () => {
  const { lane, sent, answer } = open()
  lane.publish('a')
  lane.close()
  answer(AWAY)
  lane.publish('b')
  expect(sent).toEqual(['a'])
})
