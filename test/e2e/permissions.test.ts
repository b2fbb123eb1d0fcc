import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import {
  codeOf,
  connectedClient,
  inSeconds,
  nextEvent,
  PATIENTLY,
  record,
  signToken,
  soon,
  subscribe,
} from '../support/sdk.ts'
import { TcpClient } from '../support/tcp-client.ts'

const SECRET = 'a-secret-of-the-back-end'

let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({
    client: {
      token: { hmac_secret_key: SECRET },
      channel_limit: 3,
      command_rate_limit: 0,
      expired_sub_close_delay: '0s',
    },
    channel: {
      namespaces: [
        { name: 'closed' },
        { name: 'members', allow_subscribe_for_client: true, allow_publish_for_subscriber: true },
        {
          name: 'talk',
          allow_user_limited_channels: true,
          allow_subscribe_for_client: true,
          allow_publish_for_subscriber: true,
        },
        {
          name: 'kept',
          history_size: 10,
          history_ttl: '60s',
          presence: true,
          allow_subscribe_for_client: true,
        },
        { name: 'bare', allow_subscribe_for_client: true, allow_history_for_client: true },
        { name: 'room', channel_regex: '^[0-9]+$', allow_subscribe_for_client: true },
      ],
      without_namespace: OPEN_CHANNELS,
    },
  })
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
})

const asUser = async (user: string) =>
  connectedClient(relay.websocketUrl, { token: await signToken({ sub: user }, SECRET) })

async function openTcp(user = '42'): Promise<TcpClient> {
  const tcp = await TcpClient.open(relay.ports.tcp)
  onTestFinished(() => tcp.close())
  await tcp.call({ id: 1, connect: { token: await signToken({ sub: user }, SECRET) } })
  return tcp
}

test('each refusal has its code', async () => {
  const tcp = await openTcp()
  let id = 1
  const codeOfCommand = async (command: Record<string, unknown>) => {
    id++
    return (await tcp.call({ id, ...command })).error?.code
  }
  const cases: [Record<string, unknown>, number | undefined][] = [
    [{ subscribe: { channel: 'nowhere:x' } }, 102],
    [{ publish: { channel: 'nowhere:x', data: 1 } }, 102],
    [{ history: { channel: 'nowhere:x' } }, 102],
    [{ presence: { channel: 'nowhere:x' } }, 102],
    [{ subscribe: { channel: 'closed:x' } }, 103],
    [{ publish: { channel: 'closed:x', data: 1 } }, 103],
    [{ publish: { channel: 'members:x', data: 1 } }, 103],
    [{ subscribe: { channel: 'members:x' } }, undefined],
    [{ publish: { channel: 'members:x', data: 1 } }, undefined],
    [{ subscribe: { channel: 'members:x' } }, 105],
    [{ rpc: { method: 'no.such', data: {} } }, 104],
    [{ subscribe: { channel: '' } }, 107],
    [{ subscribe: { channel: 'a b' } }, 107],
    [{ subscribe: { channel: 'room:kitchen' } }, 107],
    [{ subscribe: { channel: `long${'g'.repeat(300)}` } }, 107],
    [{ publish: { channel: 'members:x' } }, 107],
    [{ subscribe: 7 }, 107],
    // It has them, but not for this client.
    [{ history: { channel: 'kept:x' } }, 103],
    [{ presence: { channel: 'kept:x' } }, 103],
    [{ presence_stats: { channel: 'kept:x' } }, 103],
    // It has none at all.
    [{ history: { channel: 'bare:x' } }, 108],
    [{ presence: { channel: 'bare:x' } }, 108],
    [{ presence_stats: { channel: 'bare:x' } }, 108],
    [{ subscribe: { channel: 'one' } }, undefined],
    [{ subscribe: { channel: 'two' } }, undefined],
    [{ subscribe: { channel: 'three' } }, 106],
    [{ unsubscribe: { channel: 'one' } }, undefined],
    [{ subscribe: { channel: 'three' } }, undefined],
  ]
  for (const [command, code] of cases) {
    expect([command, await codeOfCommand(command)]).toEqual([command, code])
  }
})

test('a client without a user has only what is open to anonymous ones', async () => {
  const client = await connectedClient(relay.websocketUrl)
  const subscription = client.newSubscription('members:x')
  const unsubscribed = nextEvent(subscription, 'unsubscribed')
  subscription.subscribe()
  expect(await unsubscribed).toMatchObject({ code: 103 })
  expect(await codeOf(client.publish('members:x', {}))).toBe(103)
  await client.publish('open', {})
})

test('a channel that names its users admits those alone', async () => {
  const bob = await asUser('bob')
  const ann = await asUser('ann')
  const eve = await asUser('eve')
  const nobody = await connectedClient(relay.websocketUrl)
  const received = record(await subscribe(bob, 'talk:dialog#ann,bob'), 'publication')
  await subscribe(ann, 'talk:dialog#ann,bob')
  await ann.publish('talk:dialog#ann,bob', 'for two')
  expect((await received.until(1))[0]).toMatchObject({ data: 'for two', info: { user: 'ann' } })
  for (const stranger of [eve, nobody]) {
    const subscription = stranger.newSubscription('talk:dialog#ann,bob')
    const unsubscribed = nextEvent(subscription, 'unsubscribed')
    subscription.subscribe()
    expect(await unsubscribed).toMatchObject({ code: 103 })
    expect(await codeOf(stranger.publish('talk:dialog#ann,bob', 'let me in'))).toBe(103)
  }
})

test('a private channel wants a token for this user and this channel', async () => {
  const client = await asUser('42')
  const subscription = await subscribe(client, '$secret', {
    getToken: ({ channel }) => signToken({ sub: '42', channel, info: { role: 'guest' } }, SECRET),
  })
  const joined = await client.presence('$secret')
  expect(Object.values(joined.clients)).toMatchObject([{ user: '42', chanInfo: { role: 'guest' } }])
  const received = record(subscription, 'publication')
  await relay.api('publish', { channel: '$secret', data: 1 })
  await received.until(1)

  const tcp = await openTcp('42')
  const codeWith = async (id: number, token?: string) =>
    (await tcp.call({ id, subscribe: { channel: '$secret', ...(token && { token }) } })).error?.code
  expect(await codeWith(2)).toBe(103)
  expect(await codeWith(3, 'not a token')).toBe(103)
  expect(await codeWith(4, await signToken({ sub: '43', channel: '$secret' }, SECRET))).toBe(103)
  expect(await codeWith(5, await signToken({ sub: '42', channel: '$other' }, SECRET))).toBe(103)
  expect(await codeWith(6, await signToken({ sub: '42' }, SECRET))).toBe(103)
  expect(await codeWith(7, await signToken({ sub: '42', channel: '$secret' }, 'another secret'))).toBe(103)
  expect(
    await codeWith(8, await signToken({ sub: '42', channel: '$secret', exp: inSeconds(-5) }, SECRET)),
  ).toBe(109)
  expect(await codeWith(9, await signToken({ sub: '42', channel: '$secret' }, SECRET))).toBeUndefined()
})

test('a token opens a channel that is closed to clients otherwise', async () => {
  const client = await asUser('42')
  await subscribe(client, 'closed:x', {
    token: await signToken({ sub: '42', channel: 'closed:x' }, SECRET),
  })
  expect(await codeOf(client.publish('closed:x', 'no'))).toBe(103)
})

test('a subscription token that was expired is fetched anew', async () => {
  const client = await asUser('42')
  let asked = 0
  await subscribe(client, '$again', {
    token: await signToken({ sub: '42', channel: '$again', exp: inSeconds(-5) }, SECRET),
    getToken: ({ channel }) => {
      asked++
      return signToken({ sub: '42', channel, exp: inSeconds(3600) }, SECRET)
    },
  })
  expect(asked).toBe(1)
})

test('a subscription token that expires soon is renewed, and the subscription stays', async () => {
  const own = await startTestRelay({ shards: 1, client: { token: { hmac_secret_key: SECRET } } })
  onTestFinished(async () => void (await own.stop()))
  const client = await connectedClient(own.websocketUrl, { token: await signToken({ sub: '42' }, SECRET) })
  const subscription = client.newSubscription('$renewed', {
    token: await signToken({ sub: '42', channel: '$renewed', exp: soon() }, SECRET),
    getToken: ({ channel }) => signToken({ sub: '42', channel, exp: inSeconds(3600) }, SECRET),
  })
  const agreed = record(subscription, 'subscribed')
  const left = record(subscription, 'unsubscribed')
  subscription.subscribe()
  await agreed.until(1)
  await expect
    .poll(() => own.metric('fanwire_commands_total{command="sub_refresh",outcome="ok"}'), PATIENTLY)
    .toBe(1)
  const received = record(subscription, 'publication')
  await own.api('publish', { channel: '$renewed', data: 1 })
  await received.until(1)
  expect(agreed.all).toHaveLength(1)
  expect(left.all).toHaveLength(0)
})

test('a subscription whose token is not renewed in time ends with code 2501', async () => {
  const tcp = await openTcp('42')
  const token = await signToken({ sub: '42', channel: '$short', exp: soon() }, SECRET)
  const { subscribe: result } = await tcp.call({ id: 2, subscribe: { channel: '$short', token } })
  expect(result).toMatchObject({ expires: true })
  const { push } = await tcp.next(line => line.push?.unsubscribe !== undefined)
  expect(push).toEqual({
    channel: '$short',
    unsubscribe: { code: 2501, reason: 'subscription expired' },
  })
  expect((await tcp.call({ id: 3, sub_refresh: { channel: '$short', token } })).error.code).toBe(107)
})

test('what is no command at all ends the connection with 3501', async () => {
  for (const text of ['hello', '[]', '{"id":2,"dance":{}}', '{"id":-1,"ping":{}}', '{"id":3,"connect":{}}']) {
    const tcp = await openTcp()
    tcp.send(text)
    const { push } = await tcp.next(line => line.push?.disconnect !== undefined)
    expect([text, push.disconnect.code]).toEqual([text, 3501])
    await tcp.ended
  }
})

test('a command before connect ends the connection with 3501', async () => {
  const tcp = await TcpClient.open(relay.ports.tcp)
  tcp.send({ id: 1, subscribe: { channel: 'news' } })
  const { push } = await tcp.next(line => line.push?.disconnect !== undefined)
  expect(push.disconnect.code).toBe(3501)
})
