// An afternoon of an attacker with an account of his own, at a real relay with the messenger that logs all it can.

import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, unlinkSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { methods } from '../../src/messenger/methods/registry.ts'
import { PATIENTLY } from '../support/messenger.ts'
import {
  call,
  callAsStranger,
  loggedIn,
  must,
  newPerson,
  PASSWORD,
  type Person,
  upload,
  WAYS,
} from '../support/people.ts'
import { exchangeToEnd, RawClient } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'

const MANY = 1_000_000
/** What must stand in no log, beside passwords and tokens. */
const SAID = 'zanzibar-4711'

let relay: TestRelay
let path: string
let root: Person
let ada: Person
let eve: Person
/** Of Ada alone. */
let group: number
let attached: string
let hidden: string
/** Listens where links in messages point to. */
let bait: Server
let visits = 0

beforeAll(async () => {
  path = mkdtempSync(join(tmpdir(), 'fanwire-hostile-'))
  const rates = { signups_per_hour: MANY, logins_per_minute: MANY, message_rate: MANY }
  relay = await startTestRelay({ log: { level: 'trace' }, messenger: { enabled: true, path, ...rates } })
  root = await loggedIn(relay, 'auth.signup', 'root')
  ada = await newPerson(root, 'ada')
  eve = await newPerson(root, 'eve')
  const made = await must(ada, 'conversation.create_group', { name: `${SAID} group` })
  group = made.conversation.id
  attached = await upload(ada, `${SAID} attached`)
  hidden = await upload(ada, `${SAID} hidden`)
  const sent = { conversation: group, client_id: 'a', text: `${SAID} secret`, attachments: [attached] }
  await must(ada, 'message.send', sent)
  bait = createServer(socket => {
    visits++
    socket.destroy()
  })
  bait.listen(0, '127.0.0.1')
  await once(bait, 'listening')
})

afterAll(async () => {
  bait?.close()
  await relay?.stop()
  rmSync(path, { recursive: true, force: true })
})

type Sent = Readonly<{ method?: string; headers?: Record<string, string>; body?: string }>

const at = (where: string) => `http://127.0.0.1:${relay.ports.http}/messenger${where}`
const auth = (person: Person) => ({ authorization: `Bearer ${person.session.token}` })
const ask = (person: Person, where: string, { headers = {}, ...rest }: Sent = {}) =>
  fetch(at(where), { ...rest, headers: { ...auth(person), ...headers }, redirect: 'error' })
const JSON_BODY = { 'content-type': 'application/json' }

/** A request as it stands; the status and all of the answer. */
async function raw(line: string, headers: readonly string[] = []): Promise<string> {
  const all = [
    'Connection: close',
    ...(headers.some(one => /^host:/i.test(one)) ? [] : ['Host: x']),
    ...headers,
  ]
  return exchangeToEnd(relay.ports.http, `${line} HTTP/1.1\r\n${all.join('\r\n')}\r\n\r\n`)
}

describe('40: whatever stands in the data of a call', () => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const PROTOTYPES = '{"__proto__":{"role":"admin"},"constructor":{"prototype":{"role":"admin"}}}'
  const TEXTS = [
    PROTOTYPES,
    nested(20_000),
    `${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}`,
    'null',
    '[]',
    '1e999',
    '{',
  ]
  const VALUES = [
    null,
    -1,
    1.5,
    2 ** 53,
    1e308,
    '',
    '\ud800',
    '\u0000',
    'x'.repeat(3_000),
    "'; DROP TABLE users; --",
    '" OR tags : c1 NEAR(',
    '%_%_%_%_%_%',
    '*'.repeat(200),
    '../../token.key',
    [],
    [[1]],
    { $gt: 0 },
  ]

  /** All fields with the same value: each is wrong in its turn where one alone is looked at first. */
  function bodiesOf(input: z.ZodType): string[] {
    const fields = input instanceof z.ZodObject ? Object.keys(input.shape) : []
    return VALUES.map(value => JSON.stringify(Object.fromEntries(fields.map(name => [name, value]))))
  }

  test('is refused or answered over HTTP, and none of it is a fault of the program', async () => {
    for (const method of ['user.me', 'message.send', 'message.list', 'presence.get', 'auth.login']) {
      for (const body of TEXTS) {
        const answer = await ask(eve, `/rpc/${method}`, { method: 'POST', headers: JSON_BODY, body })
        expect([method, body.slice(0, 50), answer.status < 500]).toEqual([method, body.slice(0, 50), true])
      }
    }
    expect((await must(eve, 'user.me')).user).toMatchObject({ id: eve.id, role: 'user' })
  })

  test('is refused or answered over a connection, by each method, and the connection stays', async () => {
    const clients = {
      user: await RawClient.connect(relay, 'websocket', { token: eve.connection }),
      admin: await RawClient.connect(relay, 'websocket', { token: root.connection }),
    }
    let id = 1_000
    for (const { name, input, access } of methods.values()) {
      // They would end what is tried here.
      if (/^auth\.(?:logout|delete)/.test(name)) continue
      const client = clients[access === 'admin' ? 'admin' : 'user']
      client.answersPings = true
      // What is no JSON at all is no call, and counts against the connection.
      for (const body of [...TEXTS.slice(0, 1), ...bodiesOf(input)]) {
        const own = ++id
        client.text(`{"id":${own},"rpc":{"method":"${name}","data":${body}}}`)
        const reply = await client.next(line => line.id === own)
        expect(reply.error?.code, `${name} ${body.slice(0, 100)}`).not.toBe(100)
      }
    }
    for (const client of Object.values(clients)) client.close()
  })
})

describe('34: what is Ada’s', () => {
  test('is not there for Eve, by no address of HTTP', async () => {
    const tus = { 'tus-resumable': '1.0.0' }
    const made = await ask(ada, '/uploads', { method: 'POST', headers: { ...tus, 'upload-length': '100' } })
    const mine = new URL(made.headers.get('location')!, at('/uploads')).pathname.replace('/messenger', '')
    const patch = { ...tus, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }
    const tries: [string, Sent][] = [
      ...[attached, hidden].flatMap(id =>
        ['', '/view', '/thumbnail', '?download=1'].flatMap((part): [string, Sent][] => [
          [`/files/${id}${part}`, {}],
          [`/files/${id}${part}`, { method: 'HEAD' }],
          [`/files/${id}${part}`, { headers: { range: 'bytes=0-0' } }],
          [`/files/${id}${part}`, { headers: { 'if-none-match': '*' } }],
        ]),
      ),
      [`/conversations/${group}/export`, {}],
      [`/conversations/${group}/export?format=html`, {}],
      [mine, { method: 'HEAD', headers: tus }],
      [mine, { method: 'PATCH', headers: patch, body: 'x' }],
      [mine, { method: 'DELETE', headers: tus }],
      [mine, {}],
    ]
    for (const [where, sent] of tries) {
      const answer = await ask(eve, where, sent)
      expect([answer.status, where, sent]).toEqual([404, where, sent])
      expect(await answer.text()).not.toContain(SAID)
    }
    expect((await ask(ada, mine, { method: 'HEAD', headers: tus })).headers.get('upload-offset')).toBe('0')
    expect((await ask(ada, mine, { method: 'DELETE', headers: tus })).status).toBe(204)
  })

  test('is not found by searching, naming or guessing', async () => {
    const peeks: [string, object][] = [
      ['search.messages', { query: SAID }],
      ['search.messages', { query: 'zanzi*' }],
      ['search.messages', { query: `${SAID}" OR tags : c${group} OR "` }],
      ['search.messages', { query: 'has:file' }],
      ['file.search', { query: SAID }],
      ['file.search', { query: 'zanz', owner: ada.id }],
      ['file.list', { of: 'shared' }],
      ['file.list', { owner: ada.id }],
      ['file.most_downloaded', {}],
      ['conversation.list', {}],
      ['user.get', { ids: [ada.id] }],
    ]
    for (const way of WAYS) {
      for (const [method, data] of peeks) {
        const { outcome, data: found } = await call(way, eve, method, data)
        expect([method, outcome]).toEqual([method, 'ok'])
        expect(JSON.stringify(found), method).not.toContain('zanzibar')
      }
    }
    const inGroup = { query: 'zanzibar', in: group }
    expect((await call('http', eve, 'search.messages', inGroup)).outcome).toBe('not_found')
    expect((await call('http', eve, 'search.messages', { query: `in:${group} a` })).outcome).toBe('not_found')
    // A file of another can't be had by sending it on, nor by naming it in a message of one's own.
    const taken = { everyone: true, client_id: 'steal', text: 'x', attachments: [hidden] }
    expect((await call('tcp', eve, 'message.send', taken)).outcome).toBe('not_found')
    const quoted = { everyone: true, client_id: 'reply', text: 'x', reply_to: 9_999 }
    expect((await call('tcp', eve, 'message.send', quoted)).outcome).toBe('not_found')
  })

  test('is reached by no channel of the relay', async () => {
    const client = await RawClient.connect(relay, 'tcp', { token: eve.connection })
    let id = 10
    for (const channel of [`im:c:${group}`, `im:u:${ada.id}`, `im:c:${group} `, `im:c:0${group}`]) {
      for (const command of ['subscribe', 'publish', 'history', 'presence', 'presence_stats']) {
        const reply = await client.call({ id: ++id, [command]: { channel, data: {} } })
        expect(reply.error, `${command} ${channel}`).toBeDefined()
      }
    }
    client.close()
  })
})

describe('30: a path', () => {
  test.each([
    '/messenger/files/../../token.key',
    '/messenger/files/..%2f..%2ftoken.key',
    '/messenger/files/%2e%2e%2ftoken.key',
    '/messenger/files/..%5c..%5ctoken.key',
    '/messenger/files/%00',
    '/messenger/files/%c0%ae%c0%ae',
    '/messenger/files/%',
    '/messenger/uploads/..%2f..%2ffanwire.db',
    '/messenger/uploads//etc/passwd',
    '/messenger//files/x',
    '/messenger/conversations/..%2f1/export',
    '/messenger/conversations/1e0x/export',
    '/messenger/rpc/../files/x',
  ])('%s leads nowhere', async where => {
    const answer = await raw(`GET ${where}`, [`Authorization: Bearer ${eve.session.token}`])
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect(answer).not.toMatch(/SQLite|root:|ENOENT/)
  })
})

describe('39: a request', () => {
  test.each(['x:99999', '1.2.3.4.5', '999.1.1.1', '[::::]', 'xn--a', 'a b', 'x/y', 'x@y', ''])(
    'for the host "%s" is refused or answered, and no fault of the program',
    async host => {
      const answer = await raw('GET /messenger/openapi.json?token=very-secret', [`Host: ${host}`])
      expect(answer).toMatch(/^(?:HTTP\/1\.1 (?:200|4\d\d) |$)/)
    },
  )

  test.each([
    ['a name without end', 'attachment; filename="a'],
    ['nothing', ';;;='],
    ['an encoding that there is not', "attachment; filename*=klingon''%ff%fe"],
    ['half an escape', "attachment; filename*=UTF-8''%"],
    ['a prototype', 'attachment; __proto__=x; constructor=y'],
  ])('to store a file that is named by %s is refused or answered', async (_, disposition) => {
    const sent = { method: 'POST', headers: { 'content-disposition': disposition }, body: 'x' }
    const answer = await ask(eve, '/files', sent)
    expect(answer.status).toBeLessThan(500)
  })
})

test('31: no name of a file becomes a header, a path or a page', async () => {
  const names = [
    'a\r\nSet-Cookie: x=1',
    '"; filename=evil.exe',
    '../../x',
    '\u202egpj.exe',
    '<script>.html',
    'a\u0000b',
    '%0d%0aX: y',
  ]
  for (const name of names) {
    const sent = { method: 'POST', body: '<script>alert(1)</script>' }
    const stored = await ask(eve, `/files?name=${encodeURIComponent(name)}`, sent)
    expect(stored.status).toBe(201)
    const { file }: any = await stored.json()
    expect(file.name).not.toMatch(/[\p{Cc}\u202e/\\<>:"]|^\./u)
    const { headers } = await ask(eve, `/files/${file.id}`)
    expect(headers.get('set-cookie')).toBeNull()
    expect(headers.get('content-disposition')).toMatch(/^attachment; /)
    expect(headers.get('content-type')).toBe('application/octet-stream')
  }
})

test('32: no metadata of an upload does more than to name it', async () => {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const tries: [string, number][] = [
    [`filename ${base64('../../../x')}`, 201],
    [`filename ${base64('a\r\nX-Evil: 1')},filetype ${base64('text/html')}`, 201],
    [`__proto__ ${base64('x')},constructor ${base64('y')}`, 400],
    [`visibility ${base64('users')}`, 400],
    [`visibility ${base64('public; x')}`, 400],
    ['filename !!!', 400],
    [`filename ${base64('a')},filename ${base64('b')}`, 400],
    [' , , ', 400],
  ]
  const headers = { 'tus-resumable': '1.0.0', 'upload-length': '10' }
  for (const [metadata, status] of tries) {
    const sent = { method: 'POST', headers: { ...headers, 'upload-metadata': metadata } }
    const answer = await ask(eve, '/uploads', sent)
    expect([metadata, answer.status]).toEqual([metadata, status])
    if (status !== 201) continue
    const where = new URL(answer.headers.get('location')!, at('/uploads')).pathname.replace('/messenger', '')
    const known = await ask(eve, where, { method: 'HEAD', headers })
    expect(known.headers.get('x-evil')).toBeNull()
    // Another method than the one of the request line does not count.
    const override = { ...headers, 'x-http-method-override': 'DELETE' }
    await ask(eve, where, { method: 'HEAD', headers: override })
    expect((await ask(eve, where, { method: 'HEAD', headers })).status).toBe(200)
    expect((await ask(eve, where, { method: 'DELETE', headers })).status).toBe(204)
  }
  const concat = { ...headers, 'upload-concat': 'partial' }
  expect((await ask(eve, '/uploads', { method: 'POST', headers: concat })).status).toBeGreaterThanOrEqual(400)
})

test('26: of many who want a name at once one gets it', async () => {
  const tries = ['Mallory', 'mallory', 'MALLORY', 'Ｍallory', 'mаllory', 'mallorу'].flatMap(name => [
    name,
    name,
  ])
  const outcomes = await Promise.all(
    tries.map(async (nickname, index) => {
      const data = { nickname, password: PASSWORD }
      return (await callAsStranger(relay, WAYS[index % WAYS.length]!, 'auth.signup', data)).outcome
    }),
  )
  expect(outcomes.filter(outcome => outcome === 'ok')).toHaveLength(1)
  expect(outcomes.filter(outcome => !['ok', 'name_taken', 'bad_request', 'busy'].includes(outcome))).toEqual(
    [],
  )
})

test('6: what is sent while its sender is removed is stored before the end or not at all', async () => {
  const { conversation } = await must(ada, 'conversation.create_group', { name: 'race', members: [eve.id] })
  const client = await RawClient.connect(relay, 'tcp', { token: eve.connection })
  const COUNT = 30
  const send = (index: number) => ({
    id: 100 + index,
    rpc: {
      method: 'message.send',
      data: { conversation: conversation.id, client_id: `r${index}`, text: 'x' },
    },
  })
  for (let index = 0; index < COUNT; index++) client.send(send(index))
  const removed = must(ada, 'conversation.remove', { conversation: conversation.id, user: eve.id })
  const replies = await Promise.all(
    Array.from({ length: COUNT }, (_, index) => client.next(line => line.id === 100 + index)),
  )
  await removed
  expect((await client.call(send(COUNT))).error).toMatchObject({ code: 1000 })
  const { messages } = await must(ada, 'message.list', { conversation: conversation.id })
  const stored = replies.flatMap(({ rpc }) => (rpc === undefined ? [] : [rpc.data.message.seq]))
  expect(messages.map(({ seq }: any) => seq)).toEqual(stored)
  client.close()
})

test('29: a login gets a token of its own, whatever the one who logs in has brought', async () => {
  const fixed = 'A'.repeat(43)
  const origin = `http://127.0.0.1:${relay.ports.http}`
  const body = JSON.stringify({ nickname: 'eve', password: PASSWORD, cookie: true })
  const headers = { ...JSON_BODY, origin, cookie: `__Host-fanwire=${fixed}` }
  const answer = await fetch(at('/rpc/auth.login'), { method: 'POST', headers, body })
  expect(answer.status).toBe(200)
  expect(answer.headers.getSetCookie()[0]).toMatch(
    /^__Host-fanwire=(?!A{43})[\w-]{43}; .*HttpOnly; Secure; SameSite=Strict/,
  )
  const again = await fetch(at('/rpc/user.me'), { method: 'POST', headers, body: '{}' })
  expect(again.status).toBe(401)
})

test('20: thousands of calls before connect end the connections that made them, and nobody else’s', async () => {
  const clients = await Promise.all(Array.from({ length: 50 }, () => RawClient.open(relay, 'tcp')))
  for (const client of clients) {
    const calls = Array.from({ length: 100 }, (_, index) => ({
      id: index + 1,
      rpc: { method: 'auth.token' },
    }))
    client.send(...calls)
  }
  await must(ada, 'user.me')
  expect(new Set((await Promise.all(clients.map(({ ended }) => ended))).map(({ code }) => code))).toEqual(
    new Set([3501]),
  )
})

test('38: the server looks at no address that stands in a message or in the name of a file', async () => {
  const { port } = bait.address() as { port: number }
  const link = `http://127.0.0.1:${port}/preview.png`
  await must(eve, 'message.send', {
    everyone: true,
    client_id: 'link',
    text: `${link} [x](${link}) <img src="${link}">`,
  })
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="${link}"/></svg>`
  const stored = await ask(eve, `/files?name=${encodeURIComponent(link)}.svg`, { method: 'POST', body: svg })
  const { file }: any = await stored.json()
  await must(eve, 'message.send', { everyone: true, client_id: 'svg', text: link, attachments: [file.id] })
  await ask(eve, '/conversations/1/export?format=html').then(answer => answer.arrayBuffer())
  expect(visits).toBe(0)
})

test('41: no password, token or text gets into the log, whatever fails', async () => {
  const secrets = [PASSWORD, SAID, 'wrong-guess-0815', 'very-secret', 'zanz', 'eyJ']
  const guess = { nickname: 'ada', password: 'wrong-guess-0815' }
  for (const way of WAYS) {
    expect((await callAsStranger(relay, way, 'auth.login', guess)).outcome).toBe('bad_credentials')
    await callAsStranger(relay, way, 'auth.signup', { nickname: 'wrong-guess-0815', password: 'short' })
    await call(way, eve, 'message.send', { everyone: true, client_id: `l${way}`, text: SAID })
    await call(way, eve, 'search.messages', { query: `${SAID} in:nowhere` })
  }
  for (const token of ['very-secret', `${eve.connection}x`]) {
    const client = await RawClient.open(relay, 'tcp')
    client.send({ id: 1, connect: { token } })
    await client.ended
  }
  await fetch(at('/rpc/user.me?token=very-secret'), { method: 'POST', headers: JSON_BODY, body: '{}' })
  await raw('GET /messenger/files/x?token=very-secret', ['Authorization: Bearer very-secret'])
  await raw('GET /messenger/files/x?token=very-secret', ['Host: x:99999'])
  // What is gone from the disk, and a messenger that ends in the middle of everything.
  for (const folder of readdirSync(join(path, 'blobs'))) {
    for (const name of readdirSync(join(path, 'blobs', folder))) unlinkSync(join(path, 'blobs', folder, name))
  }
  expect((await ask(ada, `/files/${attached}`)).status).toBe(503)
  const quarantine = `http://127.0.0.1:${relay.ports.internal}/admin/messenger/quarantine`
  await fetch(quarantine, { method: 'POST', headers: { 'X-API-Key': 'test-key' } })
  const calls = Array.from({ length: 20 }, (_, index) =>
    call('http', ada, 'message.send', { everyone: true, client_id: `k${index}`, text: SAID }),
  )
  await Promise.all(calls)
  await expect.poll(() => call('http', ada, 'user.me').then(({ outcome }) => outcome), PATIENTLY).toBe('ok')
  // All that was tried before, too: this is the last test.
  const faults = ['an error was caught at the edge', 'work of the messenger failed']
  expect(relay.log.filter(({ msg }) => faults.includes(msg))).toEqual([])
  const log = JSON.stringify(relay.log)
  expect(log.length).toBeGreaterThan(100)
  const tokens = [root, ada, eve].flatMap(({ session, connection }) => [session.token, connection])
  expect([...secrets, ...tokens].filter(secret => log.includes(secret))).toEqual([])
  // And few lines at all: nobody fills a disk by what is refused.
  expect(relay.log.length).toBeLessThan(50)
})
