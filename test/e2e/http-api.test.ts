import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { connectedClient, nextEvent, record, signToken, subscribe } from '../support/sdk.ts'

const SECRET = 'a-secret-of-the-back-end'
const BODY_MAX = 64 * 1024

let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({
    http_api: { max_body_size: BODY_MAX },
    client: { token: { hmac_secret_key: SECRET } },
    channel: {
      namespaces: [
        { name: 'kept', ...OPEN_CHANNELS, history_size: 100, history_ttl: '60s' },
        { name: 'bare' },
      ],
    },
  })
})

afterAll(async () => {
  expect(await relay.stop()).toBe(0)
})

async function request(
  path: string,
  init: { method?: string; headers?: Record<string, string>; body?: string | Uint8Array } = {},
): Promise<{ status: number; headers: Headers; body: any }> {
  const response = await fetch(`http://127.0.0.1:${relay.ports.http}${path}`, {
    method: 'POST',
    headers: { 'X-API-Key': 'test-key' },
    ...init,
  })
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) }
}

const result = async (method: string, body: unknown) => (await relay.api(method, body)).body.result
const codeOf = async (method: string, body: unknown) => (await relay.api(method, body)).body.error?.code

test('publish answers with the place in the history', async () => {
  const first = await result('publish', { channel: 'kept:place', data: 1 })
  expect(first).toEqual({ offset: 1, epoch: expect.stringMatching(/^[\w-]+$/) })
  expect(await result('publish', { channel: 'kept:place', data: 2 })).toEqual({ ...first, offset: 2 })
  expect(await result('publish', { channel: 'nothing-kept', data: 2 })).toEqual({})
})

test('data of any kind arrives as it is', async () => {
  const client = await connectedClient(relay.websocketUrl)
  const received = record(await subscribe(client, 'any'), 'publication')
  const values = [0, false, '', 'text', [], {}, [[[]]], { a: { b: [null] } }, '\u2028 \u0000 "quoted" \\']
  for (const data of values) expect(await result('publish', { channel: 'any', data })).toEqual({})
  expect((await received.until(values.length)).map(({ data }) => data)).toEqual(values)
})

test('tags go with the publication, also from the history', async () => {
  const client = await connectedClient(relay.websocketUrl)
  const received = record(await subscribe(client, 'kept:tags'), 'publication')
  await result('publish', { channel: 'kept:tags', data: 1, tags: { lang: 'de', kind: 'news' } })
  expect((await received.until(1))[0].tags).toEqual({ lang: 'de', kind: 'news' })
  const { publications } = await result('history', { channel: 'kept:tags', limit: 1 })
  expect(publications).toEqual([{ data: 1, offset: 1, tags: { lang: 'de', kind: 'news' } }])
  expect(await codeOf('publish', { channel: 'kept:tags', data: 1, tags: { n: 1 } })).toBe(107)
})

test('skip_history: it is delivered and not kept', async () => {
  const client = await connectedClient(relay.websocketUrl)
  const received = record(await subscribe(client, 'kept:skip'), 'publication')
  expect(await result('publish', { channel: 'kept:skip', data: 'gone', skip_history: true })).toEqual({})
  await result('publish', { channel: 'kept:skip', data: 'kept' })
  expect((await received.until(2)).map(({ data, offset }) => [data, offset])).toEqual([
    ['gone', undefined],
    ['kept', 1],
  ])
  const { publications } = await result('history', { channel: 'kept:skip', limit: 10 })
  expect(publications).toEqual([{ data: 'kept', offset: 1 }])
})

test('idempotency_key: a retry is not published again, per channel', async () => {
  const client = await connectedClient(relay.websocketUrl)
  const received = record(await subscribe(client, 'kept:once'), 'publication')
  const request = { channel: 'kept:once', data: 1, idempotency_key: 'order-1' }
  const first = await result('publish', request)
  expect(await result('publish', request)).toEqual(first)
  expect(await result('publish', { ...request, idempotency_key: 'order-2', data: 2 })).toMatchObject({
    offset: 2,
  })
  expect(await result('publish', { ...request, channel: 'kept:twice' })).toMatchObject({ offset: 1 })
  expect((await received.until(2)).map(({ data }) => data)).toEqual([1, 2])
})

test('broadcast: each channel has its own answer', async () => {
  const client = await connectedClient(relay.websocketUrl)
  const received = [
    record(await subscribe(client, 'kept:bc'), 'publication'),
    record(await subscribe(client, 'bc'), 'publication'),
  ]
  const answer = await relay.api('broadcast', {
    channels: ['kept:bc', 'bc', 'nowhere:x', 'with space'],
    data: 'all',
  })
  expect(answer.status).toBe(200)
  expect(answer.body.result.responses).toMatchObject([
    { result: { offset: 1 } },
    { result: {} },
    { error: { code: 102, message: 'unknown channel' } },
    { error: { code: 107 } },
  ])
  for (const recording of received) expect((await recording.until(1))[0].data).toBe('all')
  expect(await codeOf('broadcast', { channels: [], data: 1 })).toBe(107)
  expect(await codeOf('broadcast', { channels: 'bc', data: 1 })).toBe(107)
})

test('batch: commands in their order, each with its own answer', async () => {
  const { status, body } = await relay.api('batch', {
    commands: [
      { publish: { channel: 'kept:batch', data: { n: 1 } } },
      { publish: { channel: 'nowhere:x', data: {} } },
      { dance: {} },
      { publish: { channel: 'kept:batch' } },
      { history: { channel: 'kept:batch', limit: 5 } },
      { presence_stats: { channel: 'kept:batch' } },
      'nothing',
      { broadcast: { channels: ['a', 'b'], data: 1 } },
    ],
  })
  expect(status).toBe(200)
  expect(body.replies).toMatchObject([
    { publish: { offset: 1 } },
    { error: { code: 102 } },
    { error: {} },
    { error: { code: 107 } },
    { history: { publications: [{ data: { n: 1 }, offset: 1 }], offset: 1 } },
    { presence_stats: { num_clients: 0, num_users: 0 } },
    { error: { code: 107 } },
    { broadcast: { responses: [{ result: {} }, { result: {} }] } },
  ])
  expect((await relay.api('batch', { commands: [], parallel: true })).body).toEqual({ replies: [] })
  expect(await codeOf('batch', { commands: {} })).toBe(107)
  // The relay is as well as before.
  expect(await relay.metric('fanwire_quarantines_total')).toBe(0)
})

test('history: position alone, pages, and what is gone', async () => {
  // Nobody used the channel yet: to ask for its history does not begin one.
  expect(await result('history', { channel: 'kept:hist' })).toEqual({
    publications: [],
    offset: 0,
    epoch: '',
  })
  const { epoch } = await result('publish', { channel: 'kept:hist', data: 1 })
  for (let n = 2; n <= 5; n++) await result('publish', { channel: 'kept:hist', data: n })
  expect(await result('history', { channel: 'kept:hist' })).toEqual({ publications: [], offset: 5, epoch })
  const numbers = async (request: object) =>
    (await result('history', { channel: 'kept:hist', ...request })).publications.map(({ data }: any) => data)
  expect(await numbers({ limit: 2 })).toEqual([1, 2])
  expect(await numbers({ limit: -1 })).toEqual([1, 2, 3, 4, 5])
  expect(await numbers({ limit: 2, since: { offset: 2, epoch } })).toEqual([3, 4])
  expect(await numbers({ limit: 2, reverse: true })).toEqual([5, 4])
  expect(await codeOf('history', { channel: 'kept:hist', limit: 2, since: { offset: 2, epoch: 'x' } })).toBe(
    112,
  )
  expect(await codeOf('history', { channel: 'bare:x', limit: 2 })).toBe(108)
  expect(await codeOf('history', { channel: 'kept:hist', limit: 1.5 })).toBe(107)
  expect(await result('history_remove', { channel: 'kept:hist' })).toEqual({})
  expect(await result('history', { channel: 'kept:hist', limit: 5 })).toEqual({
    publications: [],
    offset: 5,
    epoch,
  })
  expect(await result('publish', { channel: 'kept:hist', data: 6 })).toEqual({ offset: 6, epoch })
  expect(await codeOf('history_remove', { channel: 'bare:x' })).toBe(108)
})

test('presence and presence_stats', async () => {
  const token = await signToken({ sub: 'ann', info: { name: 'Ann' } }, SECRET)
  await subscribe(await connectedClient(relay.websocketUrl, { token }), 'there')
  const { presence } = await result('presence', { channel: 'there' })
  expect(Object.values(presence)).toEqual([
    { user: 'ann', client: Object.keys(presence)[0], conn_info: { name: 'Ann' } },
  ])
  expect(await result('presence_stats', { channel: 'there' })).toEqual({ num_clients: 1, num_users: 1 })
  expect(await result('presence', { channel: 'empty' })).toEqual({ presence: {} })
  expect(await codeOf('presence', { channel: 'bare:x' })).toBe(108)
  expect(await codeOf('presence_stats', { channel: 'bare:x' })).toBe(108)
})

test('channels: those with subscribers, by pattern', async () => {
  const client = await connectedClient(relay.websocketUrl)
  for (const channel of ['glob.a1', 'glob.a2', 'glob.b1', 'globXa1']) await subscribe(client, channel)
  const matching = async (pattern: string) =>
    Object.keys((await result('channels', { pattern })).channels).sort()
  expect(await matching('glob.a*')).toEqual(['glob.a1', 'glob.a2'])
  expect(await matching('glob.?1')).toEqual(['glob.a1', 'glob.b1'])
  expect(await matching('glob*1')).toEqual(['glob.a1', 'glob.b1', 'globXa1'])
  expect(await matching('none*')).toEqual([])
  expect((await result('channels', {})).channels).toMatchObject({ 'glob.a1': { num_clients: 1 } })
})

test('info counts what is there', async () => {
  const own = await startTestRelay({
    client: { token: { hmac_secret_key: SECRET } },
  })
  onTestFinished(async () => void (await own.stop()))
  const token = await signToken({ sub: 'ann' }, SECRET)
  for (let n = 0; n < 3; n++) {
    const client = await connectedClient(own.websocketUrl, n < 2 ? { token } : {})
    await subscribe(client, 'one')
    await subscribe(client, `own-${n}`)
  }
  expect((await own.api('info', {})).body.result.nodes).toEqual([
    {
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: 'fanwire',
      version: expect.any(String),
      num_clients: 3,
      num_users: 1,
      num_channels: 4,
      num_subs: 6,
      uptime: expect.any(Number),
    },
  ])
})

test('the key: as X-API-Key or as authorization, and nothing without it', async () => {
  const body = '{"channel":"key","data":1}'
  const statusWith = async (headers: Record<string, string>) =>
    (await request('/api/publish', { headers, body })).status
  expect(await statusWith({ 'X-API-Key': 'test-key' })).toBe(200)
  expect(await statusWith({ Authorization: 'apikey test-key' })).toBe(200)
  expect(await statusWith({ 'X-API-Key': 'wrong' })).toBe(401)
  expect(await statusWith({ Authorization: 'Bearer test-key' })).toBe(401)
  expect(await statusWith({})).toBe(401)
  const refused = await request('/api/no-such', { headers: {}, body })
  expect(refused.status).toBe(401)
  expect(refused.body).toEqual({ error: { code: 101, message: 'unauthorized' } })
})

test('a path that is none is 404, another method than POST is 405', async () => {
  expect((await request('/api/dance', { body: '{}' })).status).toBe(404)
  expect((await request('/api/', { body: '{}' })).status).toBe(404)
  expect((await request('/api/constructor', { body: '{}' })).status).toBe(404)
  expect((await request('/elsewhere', { body: '{}' })).status).toBe(404)
  const wrong = await request('/api/publish', { method: 'GET' })
  expect(wrong.status).toBe(405)
  expect(wrong.headers.get('allow')).toBe('POST')
})

test('a body that is too large is 413, and the relay goes on', async () => {
  const body = JSON.stringify({ channel: 'large', data: 'x'.repeat(BODY_MAX) })
  expect((await request('/api/publish', { body })).status).toBe(413)
  const fits = JSON.stringify({ channel: 'large', data: 'x'.repeat(BODY_MAX - 100) })
  expect((await request('/api/publish', { body: fits })).body).toEqual({ result: {} })
})

test('what is wrong with a request is said, by name', async () => {
  const messageOf = async (body: unknown) => (await relay.api('publish', body)).body.error?.message
  expect(await messageOf({ chanel: 'a', channel: 'a', data: 1 })).toContain('"chanel"')
  expect(await messageOf({ channel: 'a' })).toContain('data')
  expect(await messageOf({ data: 1 })).toContain('channel')
  expect(await messageOf({ channel: 7, data: 1 })).toContain('channel')
  expect(await messageOf('not json')).toContain('JSON')
  expect(await messageOf('')).toContain('channel')
  expect(await codeOf('publish', { channel: 'a', data: 1, b64data: 'AAAA' })).toBe(108)
  expect(await codeOf('publish', { channel: 'a', data: 1, delta: false })).toBeUndefined()
  const deep = `{"channel":"a","data":${'['.repeat(100)}${']'.repeat(100)}}`
  expect(await messageOf(deep)).toContain('deep')
  const notUtf8 = await request('/api/publish', { body: Buffer.from([0x7b, 0xff, 0x7d]) })
  expect([notUtf8.status, notUtf8.body.error.code]).toEqual([400, 107])
})

test('errors by status, for who asks for it', async () => {
  const headers = { 'X-API-Key': 'test-key', 'X-Centrifugo-Error-Mode': 'transport' }
  const statusOf = async (method: string, body: unknown) => {
    const answer = await request(`/api/${method}`, { headers, body: JSON.stringify(body) })
    return [answer.status, answer.body.code]
  }
  expect(await statusOf('publish', { channel: 'nowhere:x', data: 1 })).toEqual([404, 102])
  expect(await statusOf('publish', { channel: 'a' })).toEqual([400, 107])
  expect(await statusOf('history', { channel: 'bare:x' })).toEqual([400, 108])
  expect(await statusOf('history', { channel: 'kept:x', since: { offset: 1, epoch: 'x' } })).toEqual([
    416, 112,
  ])
  expect(await statusOf('publish', { channel: 'a', data: 1 })).toEqual([200, undefined])
})

test('errors by status, when the configuration says so', async () => {
  const own = await startTestRelay({ shards: 1, http_api: { error_mode: 'transport' } })
  onTestFinished(async () => void (await own.stop()))
  expect((await own.api('publish', { channel: 'nowhere:x', data: 1 })).status).toBe(404)
})

test('many requests at once on few connections are all answered', async () => {
  const client = await connectedClient(relay.websocketUrl)
  const received = record(await subscribe(client, 'kept:storm'), 'publication')
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, n) => relay.api('publish', { channel: 'kept:storm', data: n })),
  )
  const offsets = answers.map(({ body }) => body.result.offset).sort((a, b) => a - b)
  expect(offsets).toEqual(Array.from({ length: 100 }, (_, n) => n + 1))
  expect((await received.until(100)).map(({ offset }) => offset)).toEqual(offsets)
})

test('a request that is broken off is forgotten', async () => {
  const controller = new AbortController()
  const client = await connectedClient(relay.websocketUrl)
  const subscription = await subscribe(client, 'aborted')
  const published = nextEvent(subscription, 'publication')
  const body = new ReadableStream({
    start(stream) {
      stream.enqueue(new TextEncoder().encode('{"channel":"aborted",'))
    },
  })
  const broken = fetch(`http://127.0.0.1:${relay.ports.http}/api/publish`, {
    method: 'POST',
    headers: { 'X-API-Key': 'test-key' },
    body,
    duplex: 'half',
    signal: controller.signal,
  } as RequestInit)
  controller.abort()
  await expect(broken).rejects.toThrow()
  await relay.api('publish', { channel: 'aborted', data: 'whole' })
  expect((await published).data).toBe('whole')
})
