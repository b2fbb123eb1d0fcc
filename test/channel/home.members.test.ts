// The home of channels: who is in them, and who is told of it.

import { describe, expect, test } from 'vitest'
import { slots } from '../../src/metrics/slots.ts'
import { addSubscribers, createHome, resultOf, subscribe } from './recording-outlet.ts'

describe('members', () => {
  test('are listed and counted while they are there', () => {
    const shard = createHome()
    const member = (client: string, user: string) => ({
      client,
      user,
      info: `{"user":"${user}"}`,
      presence: true,
    })
    subscribe(shard, 'c', member('one', 'u'), 1)
    subscribe(shard, 'c', member('two', 'u'), 2)
    subscribe(shard, 'c', member('three', 'v'))
    subscribe(shard, 'c', { ...member('hidden', 'w'), presence: false })
    const { members } = resultOf(shard.home.presence({ channel: 'c' }))
    expect(JSON.parse(`{${members}}`)).toEqual({
      one: { user: 'u' },
      two: { user: 'u' },
      three: { user: 'v' },
    })
    expect(resultOf(shard.home.presenceStats({ channel: 'c' }))).toEqual({ clients: 3, users: 2 })
    shard.home.leave({ channel: 'c', client: 'one', presence: true, emitsJoinLeave: false })
    shard.home.leave({ channel: 'c', client: 'nobody', presence: true, emitsJoinLeave: false })
    shard.home.leave({ channel: 'nowhere', client: 'two', presence: true, emitsJoinLeave: false })
    expect(resultOf(shard.home.presenceStats({ channel: 'c' }))).toEqual({ clients: 2, users: 2 })
    expect(resultOf(shard.home.presence({ channel: 'nowhere' }))).toEqual({ members: '' })
    expect(resultOf(shard.home.presenceStats({ channel: 'nowhere' }))).toEqual({ clients: 0, users: 0 })
  })

  test('that join and leave are told of in that order, and once', () => {
    const shard = createHome()
    addSubscribers(shard, 'c', 1)
    subscribe(shard, 'c', { emitsJoinLeave: true })
    const tell = { channel: 'c', client: 'id', presence: false, emitsJoinLeave: true }
    shard.home.leave(tell)
    shard.home.leave(tell)
    const info = { user: 'u', client: 'id' }
    expect(shard.outlet.take()).toEqual([
      { channel: 'c', join: { info } },
      { channel: 'c', leave: { info } },
    ])
    subscribe(shard, 'c', { presence: true })
    shard.home.leave({ ...tell, presence: true })
    expect(shard.outlet.take()).toEqual([])
  })

  test('of a lost shard leave, others stay; those of a lost home are restored without a join', () => {
    const shard = createHome()
    addSubscribers(shard, 'c', 0)
    const shown = { presence: true, emitsJoinLeave: true }
    subscribe(shard, 'c', { ...shown, client: 'here', info: '"here"' }, 0)
    subscribe(shard, 'c', { ...shown, client: 'there', info: '"there"' }, 1)
    shard.outlet.take()
    shard.home.loseShard(1)
    expect(shard.outlet.take()).toEqual([{ channel: 'c', leave: { info: 'there' } }])
    shard.home.restore({ channel: 'c', client: 'back', user: 'u', info: '"back"', ...shown }, 2)
    expect(shard.outlet.take()).toEqual([])
    const { members } = resultOf(shard.home.presence({ channel: 'c' }))
    expect(JSON.parse(`{${members}}`)).toEqual({ here: 'here', back: 'back' })
    shard.home.loseShard(2)
    expect(shard.outlet.take()).toEqual([{ channel: 'c', leave: { info: 'back' } }])
  })

  test('more than fit in a reply are refused with the way out', () => {
    const shard = createHome()
    const info = `"${'x'.repeat(10_000)}"`
    for (let client = 0; client < 12; client++)
      subscribe(shard, 'c', { client: `${client}`, info, presence: true })
    const refused = shard.home.presence({ channel: 'c' })
    expect(refused).toMatchObject({
      error: { code: 106, message: expect.stringMatching(/12 clients.*presence_stats/) },
    })
    expect(resultOf(shard.home.presenceStats({ channel: 'c' })).clients).toBe(12)
  })

  test('events that a ring has no room for are dropped and counted, also those that no ring could carry', () => {
    const shard = createHome()
    addSubscribers(shard, 'c', 0)
    addSubscribers(shard, 'c', 1)
    shard.outlet.full.add(1)
    subscribe(shard, 'c', { emitsJoinLeave: true })
    expect(shard.outlet.take()).toHaveLength(1)
    expect(shard.row[slots.drops.join_leave_ring_full]).toBe(1)
    shard.outlet.lineBytesMax = 100
    subscribe(shard, 'c', { emitsJoinLeave: true, info: `"${'x'.repeat(100)}"` })
    expect(shard.outlet.take()).toHaveLength(0)
    expect(shard.row[slots.drops.join_leave_ring_full]).toBe(3)
  })
})
