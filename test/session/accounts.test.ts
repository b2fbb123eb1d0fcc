// Sessions whose clients have accounts: what may be said before `connect`, who gets in, what follows the messenger's
// orders while a session is being set up.

import { describe, expect, test } from 'vitest'
import { disconnects, errors } from '../../src/protocol/codes.ts'
import { ANNA, admitted, logIn, order, PATIENTLY, setUp, tokenOf } from './account-world.ts'
import { blockWay } from './shard-pair.ts'

describe('before connect', () => {
  test('a stranger may call what begins with auth., and the answer comes while nothing else is heard', async () => {
    const { messenger, open } = setUp()
    const client = open()
    client.send({ id: 1, rpc: { method: 'auth.signup', data: { nickname: 'anna' } } })
    client.send({ id: 2, rpc: { method: 'auth.login' } })
    expect(messenger.calls.map(({ call }) => call)).toEqual([
      {
        method: 'auth.signup',
        data: '{"nickname":"anna"}',
        who: { kind: 'stranger' },
        client: '',
        address: '192.0.2.1',
        device: 'a browser',
        transport: 'websocket',
      },
    ])
    messenger.calls[0]!.done({ ok: true, data: '{"user":1}' })
    await client.reply(1).toEqual({ id: 1, rpc: { data: { user: 1 } } })
    await expect.poll(() => messenger.calls.length, PATIENTLY).toBe(2)
    messenger.calls[1]!.done({ ok: false, error: { code: 1002, message: 'no', temporary: false } })
    await client.reply(2).toEqual({ id: 2, error: { code: 1002, message: 'no' } })
    expect(client.session.isOpen).toBe(true)
  })

  test.each([
    ['another method', { rpc: { method: 'message.send', data: {} } }],
    ['a publication', { publish: { channel: 'im:c:1', data: {} } }],
  ])('%s ends the connection', (_, command) => {
    const { messenger, open } = setUp()
    const client = open()
    client.send({ id: 1, ...command })
    expect(client.wire.ends).toEqual([disconnects.badRequest.code])
    expect(messenger.calls).toEqual([])
  })

  test('ten calls are heard, the eleventh ends the connection', async () => {
    const { messenger, open } = setUp()
    const client = open()
    for (let id = 1; id <= 11; id++) client.send({ id, rpc: { method: 'auth.login', data: {} } })
    for (let answered = 0; answered < 10; answered++) {
      await expect.poll(() => messenger.calls.length, PATIENTLY).toBe(answered + 1)
      messenger.calls[answered]!.done({ ok: false, error: errors.unauthorized })
    }
    await expect.poll(() => client.wire.ends, PATIENTLY).toEqual([disconnects.badRequest.code])
    expect(messenger.calls).toHaveLength(10)
  })

  test('data that no login needs is refused and does not reach the messenger', async () => {
    const { messenger, open } = setUp()
    const client = open()
    client.send({ id: 1, rpc: { method: 'auth.login', data: { password: 'x'.repeat(4096) } } })
    await client.reply(1).toMatchObject({ error: { code: errors.badRequest.code } })
    expect(messenger.calls).toEqual([])
  })

  test('an answer that comes after the connection has ended is nobody’s', () => {
    const { messenger, open } = setUp()
    const client = open()
    client.send({ id: 1, rpc: { method: 'auth.login', data: {} } })
    client.session.closed()
    messenger.calls[0]!.done({ ok: true, data: '{}', login: ANNA })
    expect(client.lines()).toEqual([])
  })
})

describe('connect', () => {
  test('without token and login is refused', () => {
    const { messenger, open } = setUp()
    const client = open()
    client.send({ id: 1, connect: {} })
    expect(client.wire.ends).toEqual([disconnects.invalidToken.code])
    expect(messenger.admissions).toEqual([])
  })

  test('with a login of this connection lets it in and subscribes it to what the messenger says', async () => {
    const { here, messenger, open } = setUp()
    const client = open()
    const { login, done } = await logIn(client, messenger)
    expect(login).toEqual(ANNA)
    done(admitted('im:u:1', 'im:c:1'))
    // At once: the messenger's next order is for it, too.
    expect([...here.relay.env.sessions.ofUser('1')]).toEqual([client.session])
    expect(client.session.state).toMatchObject({
      kind: 'live',
      expireAt: 0,
      identity: { user: '1', session: 'phone', info: '{"name":"Anna"}' },
    })
    await client.reply(2).toMatchObject({ connect: { subs: { 'im:u:1': {}, 'im:c:1': {} } } })
    expect(client.channels()).toEqual(['im:c:1', 'im:u:1'])
  })

  test('with a token of a login lets it in until the token expires, and only that login renews it', async () => {
    const { messenger, open } = setUp()
    const client = open()
    const exp = Math.floor(Date.now() / 1000) + 600
    client.send({ id: 1, connect: { token: await tokenOf({ sub: '1', sid: 'phone', exp }) } })
    await expect.poll(() => messenger.admissions.length, PATIENTLY).toBe(1)
    expect(messenger.admissions[0]!.login).toEqual(ANNA)
    messenger.admissions[0]!.done(admitted())
    await client.reply(1).toMatchObject({ connect: { expires: true } })

    client.send({ id: 2, refresh: { token: await tokenOf({ sub: '1', sid: 'phone', exp: exp + 600 }) } })
    await client.reply(2).toMatchObject({ refresh: { expires: true } })
    expect(client.session.state).toMatchObject({ expireAt: exp + 600, identity: { info: '{"name":"Anna"}' } })
    client.send({ id: 3, refresh: { token: await tokenOf({ sub: '1', sid: 'laptop', exp: exp + 900 }) } })
    await expect.poll(() => client.wire.ends, PATIENTLY).toEqual([disconnects.invalidToken.code])
  })

  test.each([
    ['a login', { sub: '1' }],
    ['a user', { sid: 'phone' }],
    ['a user by number', { sub: 'anna', sid: 'phone' }],
    ['a user as we write them', { sub: '1e0', sid: 'phone' }],
  ])('with a token that does not name %s is refused', async (_, claims) => {
    const { messenger, open } = setUp()
    const client = open()
    const exp = Math.floor(Date.now() / 1000) + 600
    client.send({ id: 1, connect: { token: await tokenOf({ ...claims, exp }) } })
    await expect.poll(() => client.wire.ends, PATIENTLY).toEqual([disconnects.invalidToken.code])
    expect(messenger.admissions).toEqual([])
  })

  test.each([
    ['has ended', errors.unauthorized, disconnects.sessionEnded],
    ['is of an account that was closed', errors.permissionDenied, disconnects.accountClosed],
  ])('of a login that %s says so, and the client does not come back', async (_, error, disconnect) => {
    const { messenger, open } = setUp()
    const client = open()
    const { done } = await logIn(client, messenger)
    done({ ok: false, error })
    expect(client.wire.ends).toEqual([disconnect.code])
  })

  test('while the messenger is away is answered with a temporary error', async () => {
    const { messenger, open } = setUp()
    const client = open()
    const { done } = await logIn(client, messenger)
    done({ ok: false, error: errors.internal })
    await client.reply(2).toMatchObject({ error: { code: errors.internal.code, temporary: true } })
    expect(client.session.isOpen).toBe(true)
  })

  test('of a client that has gone meanwhile counts nobody', async () => {
    const { here, messenger, open } = setUp()
    const client = open()
    const { done } = await logIn(client, messenger)
    client.session.closed()
    done(admitted('im:c:1'))
    expect([...here.relay.env.sessions.ofUser('1')]).toEqual([])
  })

  test('subscribes to hundreds of conversations, here and elsewhere, whatever clients may choose', async () => {
    const { messenger, open } = setUp()
    const client = open()
    const { done } = await logIn(client, messenger)
    const channels = Array.from({ length: 500 }, (_, n) => `im:c:${n + 1}`)
    done(admitted(...channels))
    await client.reply(2).toMatchObject({ connect: {} })
    const [connected] = client.lines().filter(({ id }) => id === 2)
    expect(Object.keys(connected.connect.subs).sort()).toEqual([...channels].sort())
    expect(client.channels()).toEqual([...channels].sort())
  })
})

describe('orders while connect is under way', () => {
  /** More conversations than are asked for at once, all at home on the shard that does not answer yet. */
  async function underWay() {
    const all = setUp()
    const { pair, messenger, open } = all
    const client = open()
    const { done } = await logIn(client, messenger)
    const channels: string[] = []
    for (let n = 1; channels.length < 40; n++) {
      const channel = pair.channelAtHomeOnSecond(`im:c:${n}x`)
      if (!channels.includes(channel)) channels.push(channel)
    }
    done(admitted(...channels))
    return { ...all, client, channels }
  }

  test('an end before a subscription was asked for leaves it out', async () => {
    const { here, client, channels } = await underWay()
    const last = channels.at(-1)!
    order(here, { kind: 'unsubscribe', channel: last })
    await client.reply(2).toMatchObject({ connect: {} })
    const connected = client.lines().find(({ id }) => id === 2)
    expect(Object.keys(connected.connect.subs)).toHaveLength(39)
    expect(connected.connect.subs[last]).toBeUndefined()
    expect(client.channels()).not.toContain(last)
    expect(client.lines().filter(({ push }) => push !== undefined)).toEqual([])
  })

  test('an end of a subscription that was asked for is told after the reply', async () => {
    const { here, client, channels } = await underWay()
    order(here, { kind: 'unsubscribe', channel: channels[0]! })
    await expect.poll(() => client.lines().at(-1)?.push?.unsubscribe, PATIENTLY).toBeDefined()
    const [, connected, told] = client.lines()
    expect(connected.connect.subs[channels[0]!]).toBeDefined()
    expect(told.push.channel).toBe(channels[0])
    expect(client.channels()).toHaveLength(39)
  })

  test('a subscription that is in the list is not made twice, another one is told after the reply', async () => {
    const { here, client, channels } = await underWay()
    order(here, { kind: 'subscribe', channel: channels.at(-1)! })
    order(here, { kind: 'subscribe', channel: channels[0]! })
    order(here, { kind: 'subscribe', channel: 'im:c:999' })
    await expect.poll(() => client.lines().at(-1)?.push?.subscribe, PATIENTLY).toBeDefined()
    expect(client.lines().map(({ id, push }) => id ?? push.channel)).toEqual([1, 2, 'im:c:999'])
    expect(client.channels()).toEqual([...channels, 'im:c:999'].sort())
  })

  test('leaving and joining again before the home has answered ends with the subscription', async () => {
    const { here, client, channels } = await underWay()
    for (const channel of [channels[0]!, channels.at(-1)!]) {
      order(here, { kind: 'unsubscribe', channel })
      order(here, { kind: 'subscribe', channel })
    }
    await expect
      .poll(() => client.lines().filter(({ push }) => push?.subscribe !== undefined).length, PATIENTLY)
      .toBe(2)
    expect(client.channels()).toEqual([...channels].sort())
  })

  test('the end of the login ends it', async () => {
    const { here, client } = await underWay()
    order(here, { kind: 'disconnect', code: 4500, reason: 'session ended', keep: [], session: 'phone' })
    expect(client.wire.ends).toEqual([4500])
    expect([...here.relay.env.sessions.ofUser('1')]).toEqual([])
  })
})

describe('live', () => {
  async function live() {
    const all = setUp()
    const client = all.open()
    const { done } = await logIn(client, all.messenger)
    done(admitted())
    await client.reply(2).toMatchObject({ connect: {} })
    all.messenger.calls.length = 0
    return { ...all, client }
  }

  test('calls say who calls, and are answered in the order in which the messenger is ready', async () => {
    const { messenger, client } = await live()
    client.send({ id: 3, rpc: { method: 'message.send', data: { text: 'a' } } })
    client.send({ id: 4, rpc: { method: 'users.find' } })
    expect(messenger.calls.map(({ call: { method, data, who } }) => [method, data, who])).toEqual([
      ['message.send', '{"text":"a"}', { kind: 'login', ...ANNA }],
      ['users.find', '', { kind: 'login', ...ANNA }],
    ])
    messenger.calls[1]!.done({ ok: true, data: '[]' })
    messenger.calls[0]!.done({ ok: true, data: '{}', login: { user: 2, session: 'stolen' } })
    await client.reply(3).toEqual({ id: 3, rpc: { data: {} } })
    expect(
      client
        .lines()
        .slice(-2)
        .map(({ id }) => id),
    ).toEqual([4, 3])
    expect(client.session.state).toMatchObject({ identity: { user: '1', session: 'phone' } })
  })

  test('four calls are carried out at once, and what comes behind waits for one to be answered', async () => {
    const { messenger, client } = await live()
    for (let id = 3; id < 9; id++) client.send({ id, rpc: { method: 'message.list', data: { id } } })
    client.send({ id: 9, ping: {} })
    const asked = () => messenger.calls.map(({ call }) => JSON.parse(call.data).id)
    expect(asked()).toEqual([3, 4, 5, 6])
    messenger.calls[2]!.done({ ok: true, data: '{}' })
    await expect.poll(asked, PATIENTLY).toEqual([3, 4, 5, 6, 7])
    messenger.calls[0]!.done({ ok: false, error: errors.internal })
    await expect.poll(asked, PATIENTLY).toEqual([3, 4, 5, 6, 7, 8])
    messenger.calls[5]!.done({ ok: true, data: '{}' })
    await client.reply(9).toMatchObject({ id: 9 })
    const answered = client.lines().map(({ id }) => id)
    expect(answered.slice(-4)).toEqual([5, 3, 8, 9])
  })

  test('a session that ends while commands wait for a call is not called for any more', async () => {
    const { messenger, client } = await live()
    for (let id = 3; id < 9; id++) client.send({ id, rpc: { method: 'message.list', data: {} } })
    client.session.closed()
    for (const { done } of [...messenger.calls]) done({ ok: true, data: '{}' })
    await new Promise(resolve => setImmediate(resolve))
    expect(messenger.calls).toHaveLength(4)
  })

  test('orders find the sessions of one login, or all others of the user', async () => {
    const { here, messenger, client, open } = await live()
    const other = open()
    const { done } = await logIn(other, messenger, { user: 1, session: 'laptop' })
    done(admitted())
    const end = { kind: 'disconnect', code: 4500, reason: 'session ended', keep: [] } as const
    order(here, { ...end, session: 'tablet' })
    expect([client.wire.ends, other.wire.ends]).toEqual([[], []])
    order(here, { ...end, except: 'phone' })
    expect([client.wire.ends, other.wire.ends]).toEqual([[], [4500]])
    order(here, { ...end, session: 'phone' })
    expect(client.wire.ends).toEqual([4500])
  })

  test('who could not be subscribed to a conversation is told to come again', async () => {
    const { pair, here, there, client } = await live()
    const channel = pair.channelAtHomeOnSecond('im:c:')
    order(here, { kind: 'subscribe', channel })
    blockWay(there, 0)
    there.links.drain()
    await expect.poll(() => client.wire.ends, PATIENTLY).toEqual([disconnects.forceReconnect.code])
  })
})
