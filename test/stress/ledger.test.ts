// A judge is worth what it finds: each fault that the stress run looks for is given to it here.

import { beforeEach, expect, test } from 'vitest'
import { Ledger, type Payload, type Publication, payloadOf, type View } from './ledger.ts'

let ledger: Ledger
let view: View

beforeEach(() => {
  ledger = new Ledger(channel => ({ historySize: channel === 'live' ? 0 : 10, recoveryMax: 300 }))
  view = ledger.view('s1', 'room')
  view.onSubscribed({ epoch: 'e1' }, undefined)
})

function payload(sequence: number, channel = 'room'): Payload {
  return payloadOf({ channel, publisher: 7, connection: 1, sequence, size: 5 })
}

function publicationAt(offset: number, sequence = offset): Publication {
  return { offset, data: payload(sequence) }
}

function see(...offsets: number[]): void {
  for (const offset of offsets) view.onPublication(publicationAt(offset))
}

function found(): string {
  ledger.finish()
  return ledger.violations.join('; ')
}

test('an unbroken run has no violations', () => {
  see(1, 2, 3)
  for (const sequence of [1, 2, 3]) ledger.acknowledge(payload(sequence), { epoch: 'e1', offset: sequence })
  view.onEnded()
  view.onSubscribed(
    {
      epoch: 'e1',
      offset: 5,
      recovered: true,
      was_recovering: true,
      publications: [publicationAt(4), publicationAt(5)],
    },
    view.position,
  )
  see(6)
  expect(found()).toBe('')
})

test('a dropped offset is found', () => {
  see(1, 3)
  expect(found()).toContain('s1 in room: e1/3 (7.1.3) came after 1')
})

test('two offsets that changed places are found', () => {
  see(1, 3, 2, 4)
  expect(ledger.violationCount).toBe(3)
})

test('an offset that comes twice is found', () => {
  see(1, 2, 2)
  expect(found()).toContain('e1/2 (7.1.2) came after 2')
})

test('other data at the same offset is found', () => {
  see(1)
  const other = ledger.view('s2', 'room')
  other.onSubscribed({ epoch: 'e1' }, undefined)
  other.onPublication(publicationAt(1, 2))
  expect(found()).toContain('s2: room e1/1 is 7.1.2, others have 7.1.1')
})

test('an acknowledged offset at which subscribers saw something else is found', () => {
  see(1, 2)
  ledger.acknowledge(payload(1), { epoch: 'e1', offset: 2 })
  expect(found()).toContain('its publisher: room e1/2 is 7.1.1, others have 7.1.2')
})

test('damaged data is found', () => {
  view.onPublication({ offset: 1, data: { ...payload(1), text: '€€€' } })
  expect(found()).toContain('7.1.1 is damaged')
})

test('data of another channel is found', () => {
  view.onPublication({ offset: 1, data: payload(1, 'lobby') })
  expect(found()).toContain('a publication of lobby')
})

test("a publisher's publications in another order than it made them are found", () => {
  view.onPublication(publicationAt(1, 2))
  view.onPublication(publicationAt(2, 1))
  expect(found()).toContain('room e1/2: 7.1.1 stands after 2')
})

test('one publication at two offsets is found', () => {
  view.onPublication(publicationAt(1, 1))
  view.onPublication(publicationAt(2, 1))
  expect(found()).toContain('7.1.1 stands twice')
})

test('an acknowledged publication that nobody saw is found', () => {
  for (const sequence of [1, 2, 3]) ledger.acknowledge(payload(sequence), undefined)
  view.onPublication(publicationAt(1, 1))
  view.onPublication(publicationAt(2, 3))
  expect(found()).toContain('7.1.2 was promised and is nowhere in e1/1–2')
})

test('an acknowledged publication at the end that nobody saw is found', () => {
  for (const sequence of [1, 2]) ledger.acknowledge(payload(sequence), undefined)
  see(1)
  expect(found()).toContain('7.1.2 was promised and is nowhere')
})

test('an acknowledged publication may be lost when a new epoch said so', () => {
  for (const sequence of [1, 2, 3]) ledger.acknowledge(payload(sequence), undefined)
  see(1)
  view.onUnsubscribed(2500)
  view.onSubscribed({ epoch: 'e2', was_recovering: true }, view.position)
  view.onPublication(publicationAt(1, 3))
  expect(found()).toBe('')
})

test('an acknowledged publication may be lost in an epoch of which nobody saw more than its name', () => {
  for (const sequence of [1, 2]) ledger.acknowledge(payload(sequence), undefined)
  see(1)
  ledger.hear('room', 'e2')
  expect(found()).toBe('')
})

test('a recovery with a hole, at its beginning, within, or at its end, is found', () => {
  for (const offsets of [
    [2, 3],
    [1, 3],
    [1, 2],
  ]) {
    const other = ledger.view('s2', 'room')
    const asked = { epoch: 'e1', offset: 0 }
    const publications = offsets.map(offset => publicationAt(offset))
    const before = ledger.violationCount
    other.onSubscribed({ epoch: 'e1', offset: 3, recovered: true, was_recovering: true, publications }, asked)
    expect(ledger.violationCount).toBe(before + 1)
  }
})

test('a recovery over a change of epoch is found', () => {
  see(1)
  view.onEnded()
  view.onSubscribed({ epoch: 'e2', offset: 1, recovered: true, was_recovering: true }, view.position)
  expect(found()).toContain('recovered from e1 in e2')
})

test('a loss that was told is none, a needless one is', () => {
  see(1)
  view.onEnded()
  view.onSubscribed({ epoch: 'e1', offset: 12, was_recovering: true }, view.position)
  expect(ledger.violationCount).toBe(0)
  view.onEnded()
  view.onSubscribed({ epoch: 'e1', offset: 14, was_recovering: true }, view.position)
  expect(found()).toContain('not recovered, though only 2 were missed')
})

test('insufficient state that was none is found', () => {
  see(1)
  view.onUnsubscribed(2500)
  view.onSubscribed({ epoch: 'e1', offset: 1, recovered: true, was_recovering: true }, view.position)
  expect(found()).toContain('was told 2500 at 1, but the history was there')
})

test('a publication after the end of the subscription is found', () => {
  see(1)
  view.onEnded()
  see(2)
  expect(found()).toContain('a publication while not subscribed')
})

test('without history the order of each publisher counts, and nothing comes twice', () => {
  const live = ledger.view('s1', 'live')
  live.onSubscribed({}, undefined)
  const sequences = [1, 2, 5, 5, 4]
  for (const sequence of sequences) live.onPublication({ data: payload(sequence, 'live') })
  expect(ledger.violations).toEqual(['s1 in live: 7.1.5 came after 5', 's1 in live: 7.1.4 came after 5'])
})
