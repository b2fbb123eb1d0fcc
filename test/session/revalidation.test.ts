// Live sessions are looked at again: by the clock, and when the messenger was replaced.

import { expect, test } from 'vitest'
import { disconnects, errors } from '../../src/protocol/codes.ts'
import { Revalidation } from '../../src/session/revalidation.ts'
import { ANNA, admitted, logIn, PATIENTLY, setUp } from './account-world.ts'

async function live(...channels: string[]) {
  const all = setUp()
  const client = all.open()
  const { done } = await logIn(client, all.messenger)
  done(admitted(...channels))
  await client.reply(2).toMatchObject({ connect: {} })
  all.messenger.admissions.length = 0
  const revalidation = new Revalidation({ ...all.here.relay.env, messenger: all.messenger }, 0)
  return { ...all, client, revalidation }
}

test('a session is looked at each half hour, not before', async () => {
  const { messenger, revalidation } = await live()
  revalidation.sweep(30 * 60_000 - 1)
  expect(messenger.admissions).toEqual([])
  revalidation.sweep(30 * 60_000)
  expect(messenger.admissions.map(({ login }) => login)).toEqual([ANNA])
  revalidation.sweep(30 * 60_000 + 1000)
  expect(messenger.admissions).toHaveLength(1)
})

test('whose login has expired is told to log in again', async () => {
  const { messenger, client, revalidation } = await live()
  revalidation.beginAtOnce(0)
  revalidation.sweep(0)
  messenger.admissions[0]!.done({ ok: false, error: errors.unauthorized })
  expect(client.wire.ends).toEqual([disconnects.sessionEnded.code])
})

test('joins and leaves that were never told are made good', async () => {
  const { messenger, client, revalidation } = await live('im:u:1', 'im:c:1', 'im:c:2')
  revalidation.beginAtOnce(0)
  revalidation.sweep(0)
  messenger.admissions[0]!.done(admitted('im:u:1', 'im:c:2', 'im:c:3'))
  const pushes = () => client.lines().flatMap(({ push }) => (push === undefined ? [] : [push]))
  await expect.poll(() => pushes().length, PATIENTLY).toBe(2)
  expect(pushes().find(({ unsubscribe }) => unsubscribe)).toMatchObject({ channel: 'im:c:1' })
  expect(pushes().find(({ subscribe }) => subscribe)).toMatchObject({ channel: 'im:c:3' })
  expect(client.channels()).toEqual(['im:c:2', 'im:c:3', 'im:u:1'])
})

test('a messenger that could not say is asked again', async () => {
  const { messenger, client, revalidation } = await live()
  revalidation.beginAtOnce(0)
  revalidation.sweep(0)
  messenger.admissions[0]!.done({ ok: false, error: errors.internal })
  expect(client.wire.ends).toEqual([])
  revalidation.sweep(1000)
  expect(messenger.admissions).toHaveLength(2)
})
