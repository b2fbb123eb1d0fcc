// What wrong commands get, on both transports: an error that names what is wrong, or a goodbye that says why; and
// nobody else notices.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { RawClient } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { expectServing, TRANSPORTS } from '../support/serving.ts'

const KIB = 1024
let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay()
})

afterEach(() => expectServing(relay))

afterAll(async () => {
  expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
  expect(await relay.stop()).toBe(0)
})

describe.each(TRANSPORTS)('on %s', transport => {
  const live = () => RawClient.connect(relay, transport)

  test.each([
    ['broken JSON', '{"id":2,', 'not JSON'],
    ['a JSON text that is no object', '[1]', 'a command is a JSON object'],
    ['an id that is no number', '{"id":"2","ping":{}}', 'id is a whole number from 1 to 4294967295'],
    ['an id that is negative', '{"id":-1,"ping":{}}', 'id is a whole number from 1 to 4294967295'],
    ['an id beyond 32 bits', '{"id":4294967296,"ping":{}}', 'id is a whole number from 1 to 4294967295'],
    ['a command that needs an id', '{"ping":{}}', 'ping needs an id'],
    ['an id without a command', '{"id":2}', 'no command beside the id'],
    ['a command nobody knows', '{"id":2,"destroy":{}}', 'unknown command "destroy"'],
    ['a name that only every object has', '{"id":2,"__proto__":{}}', 'unknown command "__proto__"'],
    ['a lone surrogate in that name', '{"id":2,"\\ud800":{}}', 'unknown command "\ufffd"'],
    ['half a command of version 1', '{"id":2,"method":1,"params":{}}', 'unknown command "method"'],
    ['a byte order mark', '\ufeff{"id":2,"ping":{}}', 'not JSON'],
    ['a second connect', '{"id":2,"connect":{}}', 'already connected'],
    ['refresh without a token', '{"id":2,"refresh":{}}', 'refresh needs a token'],
  ])('%s ends the connection with 3501 and the reason', async (_name, text, why) => {
    const client = await live()
    client.text(text)
    expect(await client.ended).toMatchObject({ code: 3501, reason: `bad request: ${why}` })
  })

  test('a pong that nobody asked for ends a WebSocket connection, and on TCP is passed over', async () => {
    const client = await live()
    client.text('{}')
    if (transport === 'websocket') {
      expect(await client.ended).toEqual({ code: 3501, reason: 'bad request: a pong without a ping' })
    } else {
      expect(await client.call({ id: 2, ping: {} })).toEqual({ id: 2, ping: {} })
      client.close()
    }
  })

  test.each(['subscribe', 'publish', 'history', 'presence', 'rpc', 'refresh', 'send', 'ping'])(
    '%s before connect ends the connection with 3501',
    async kind => {
      const client = await RawClient.open(relay, transport)
      client.send({ ...(kind === 'send' ? {} : { id: 1 }), [kind]: { channel: 'a', data: 1, token: 'x' } })
      expect(await client.ended).toMatchObject({ code: 3501, reason: `bad request: ${kind} before connect` })
    },
  )

  test('what stands behind the command that ended the connection is not carried out', async () => {
    const watcher = await RawClient.connect(relay, transport)
    await watcher.subscribe(2, 'behind')
    const client = await live()
    client.text('{"id":2,"connect":{}}\n{"id":3,"publish":{"channel":"behind","data":"too late"}}')
    await client.ended
    await watcher.call({ id: 3, publish: { channel: 'behind', data: 'last' } })
    await watcher.next(({ push }) => push?.pub?.data === 'last')
    expect(watcher.publications('behind').map(({ data }) => data)).toEqual(['last'])
    watcher.close()
  })

  test.each([
    [{ subscribe: { channel: 7 } }, 'subscribe.channel is a string'],
    [{ subscribe: {} }, 'subscribe.channel is required'],
    [{ subscribe: [] }, 'subscribe is an object'],
    [{ subscribe: 'news' }, 'subscribe is an object'],
    [{ subscribe: { channel: 'a', recover: 1 } }, 'subscribe.recover is true or false'],
    [{ subscribe: { channel: 'a', offset: -1 } }, 'subscribe.offset is a whole number from 0'],
    [{ subscribe: { channel: 'a', offset: 1e300 } }, 'subscribe.offset is a whole number from 0'],
    [{ subscribe: { channel: 'a', epoch: 'e'.repeat(65) } }, 'subscribe.epoch has at most 64 characters'],
    [{ publish: { channel: 'a' } }, 'publish.data is required'],
    [{ publish: { channel: 'a', data: null } }, 'publish.data is required'],
    [{ history: { channel: 'a', limit: 1.5 } }, 'history.limit is a whole number from -1'],
    [{ history: { channel: 'a', since: 3 } }, 'history.since is an object with offset and epoch'],
    [{ history: { channel: 'a', since: { offset: '1' } } }, 'history.since.offset is a whole number from 0'],
    [{ history: { channel: 'a', reverse: 'yes' } }, 'history.reverse is true or false'],
    [{ rpc: { method: 'm'.repeat(256) } }, 'rpc.method has at most 255 characters'],
    [{ rpc: { method: {} } }, 'rpc.method is a string'],
    [
      { subscribe: { channel: '\ud800' } },
      'subscribe.channel has a lone surrogate, which is no Unicode text',
    ],
  ])('%j is answered with 107 and the field', async (body, why) => {
    const client = await live()
    const reply = await client.call({ id: 2, ...body })
    expect(reply.error).toEqual({ code: 107, message: `bad request: ${why}` })
    expect(await client.call({ id: 3, ping: {} })).toEqual({ id: 3, ping: {} })
    client.close()
  })

  test.each([
    ['white space', 'a b'],
    ['a line break and a header', 'a\r\nX-Injected: 1'],
    ['a line break and a reply', 'a\n{"id":1}'],
    ['a null byte', 'a\0b'],
    ['256 bytes', 'a'.repeat(256)],
    ['256 bytes in few characters', '\u00e9'.repeat(128)],
  ])('a channel with %s is refused with 107', async (_name, channel) => {
    const client = await live()
    const replies = [
      await client.call({ id: 2, subscribe: { channel } }),
      await client.call({ id: 3, publish: { channel, data: 1 } }),
      await client.call({ id: 4, history: { channel } }),
      await client.call({ id: 5, presence: { channel } }),
    ]
    expect(replies.map(({ error }) => error?.code)).toEqual([107, 107, 107, 107])
    client.close()
  })

  test('the 16th command that is wrong in its fields ends the connection with 3509', async () => {
    const client = await live()
    for (let id = 2; id < 17; id++) {
      expect((await client.call({ id, subscribe: {} })).error.code).toBe(107)
    }
    client.send({ id: 17, subscribe: {} })
    expect(await client.ended).toMatchObject({ code: 3509 })
  })

  test('data of 64 levels passes as it is, of 65 or of 30,000 it is refused with 107', async () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    const publish = (id: number, data: string) => `{"id":${id},"publish":{"channel":"deep","data":${data}}}`
    const client = await live()
    await client.subscribe(2, 'deep')
    for (const [id, depth] of [
      [3, 64],
      [4, 65],
      [5, 30_000],
    ] as const) {
      client.text(publish(id, nested(depth)))
      const reply = await client.next(line => line.id === id)
      expect(reply.error).toEqual(
        depth <= 64
          ? undefined
          : { code: 107, message: 'bad request: publish.data nests deeper than 64 levels' },
      )
    }
    await client.next(({ push }) => push?.pub !== undefined)
    expect(JSON.stringify(client.publications('deep').map(({ data }) => data))).toBe(`[${nested(64)}]`)
    client.close()
  })

  test('deep nesting elsewhere does no harm either', async () => {
    const client = await live()
    client.text(`{"id":2,"subscribe":{"channel":${'['.repeat(30_000)}${']'.repeat(30_000)}}}`)
    expect((await client.next(({ id }) => id === 2)).error.code).toBe(107)
    client.text(`{"id":3,"ping":{"x":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}}`)
    expect(await client.next(({ id }) => id === 3)).toEqual({ id: 3, ping: {} })
    client.close()
  })

  test('a command of exactly 64 KiB is carried out, and one byte more ends the connection', async () => {
    const ofSize = (bytes: number) => {
      const start = '{"id":2,"publish":{"channel":"size","data":"'
      return `${start}${'x'.repeat(bytes - start.length - 3)}"}}`
    }
    const client = await live()
    client.text(ofSize(64 * KIB))
    expect(await client.next(({ id }) => id === 2)).toEqual({ id: 2, publish: {} })
    client.text(ofSize(64 * KIB + 1))
    expect(await client.ended).toMatchObject(
      transport === 'websocket'
        ? { code: 1009, reason: 'message too big' }
        : { code: 3501, reason: 'bad request: a line is too long' },
    )
  })

  test('names that every object has are names like others', async () => {
    const client = await live()
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
    let id = 2
    for (const channel of names) {
      expect((await client.subscribe(id++, channel)).subscribe).toBeDefined()
      await client.call({ id: id++, publish: { channel, data: { ['__proto__']: { admin: true } } } })
      await client.next(({ push }) => push?.channel === channel && push.pub !== undefined)
      expect(
        Object.keys((await client.call({ id: id++, presence: { channel } })).presence.presence),
      ).toHaveLength(1)
    }
    const tags = '{"__proto__":"a","constructor":"b"}'
    const body = `{"channel":"__proto__","data":{"__proto__":1},"tags":${tags}}`
    expect((await relay.api('publish', body)).body).toEqual({ result: {} })
    const tagged = await client.next(({ push }) => push?.pub?.tags !== undefined)
    expect(JSON.stringify(tagged.push.pub.tags)).toBe(tags)
    expect((await client.call({ id: id++, rpc: { method: '__proto__' } })).error.code).toBe(104)
    expect(Object.keys((await relay.api('channels', {})).body.result.channels)).toEqual(
      expect.arrayContaining(names),
    )
    client.close()
  })
})
