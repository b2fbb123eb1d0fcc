// The messenger over HTTP: who may ask from where, what is refused before anything looks at it, and that a call is the
// same one as over a connection.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { failures } from '../../src/messenger/failures.ts'
import { methods } from '../../src/messenger/methods/registry.ts'
import type { Call, MessengerPort } from '../../src/protocol/call.ts'
import { PATIENTLY } from '../support/messenger.ts'
import { ORIGIN, OTHER_ORIGIN, openHttp, type TestHttp } from './http-world.ts'

const PASSWORD = 'correct horse battery'
const account = (nickname: string, more: object = {}) => ({ nickname, password: PASSWORD, ...more })
const cookieOf = (answer: Response) => answer.headers.get('set-cookie')!.split(';')[0]!

async function signedUp(http: TestHttp, nickname = 'ann'): Promise<{ id: number; token: string }> {
  const { user, session }: any = await (await http.post('auth.signup', account(nickname))).json()
  return { id: user.id, token: session.token }
}

async function errorOf(answer: Response): Promise<{ status: number; code: number; message: string }> {
  const { error }: any = await answer.json()
  return { status: answer.status, code: error.code, message: error.message }
}

describe('a call over HTTP', () => {
  test('is that of the login whose token it has, and gives the bare result', async () => {
    const http = openHttp()
    const ann = http.addUser('ann')
    const sent = await http.post('message.send', { everyone: true, client_id: 'a', text: 'hi' }, ann.token)
    expect([sent.status, sent.headers.get('content-type')]).toEqual([200, 'application/json'])
    expect(await sent.json()).toMatchObject({ message: { conversation: 1, seq: 1, client_id: 'a' } })
    const me: any = await (await http.post('user.me', {}, ann.token)).json()
    expect(me.user).toMatchObject({ id: ann.id, nickname: 'ann' })
    expect(http.errors).toEqual([])
  })

  test('has the same outcome as over a connection, whoever makes it', async () => {
    const http = openHttp()
    const admin = http.addUser('root', 'admin')
    const ann = http.addUser('ann')
    const ben = http.addUser('ben')
    const group: any = await admin.call('conversation.create_group', { name: 'g', members: [ann.id] })
    const conversation = group.conversation.id
    const callsOf = (nickname: string): [string, object][] => [
      ['user.me', {}],
      ['conversation.get', { conversation }],
      ['conversation.rename', { conversation, name: 'h' }],
      ['message.list', { conversation, limit: 3 }],
      ['message.list', { conversation: 999 }],
      ['message.list', { conversation: 'x' }],
      ['message.edits', { conversation, seq: 77 }],
      ['auth.login', account(nickname, { password: 'wrong wrong' })],
      ['auth.signup', account('a!')],
      ['auth.signup', account('new', { password: '12345678' })],
      ['admin.users', {}],
      ['file.open', { id: 'A'.repeat(22), part: 'original' }],
      ['no.such', {}],
    ]
    const seen = new Set<string>()
    for (const person of [undefined, ann, ben, admin]) {
      for (const [method, data] of callsOf(person?.nickname ?? 'nobody')) {
        const who = person ? ({ kind: 'login', ...person.login } as const) : ({ kind: 'stranger' } as const)
        const outcome = await http.outcome({ method, data: JSON.stringify(data), who })
        const answer = await http.post(method, data, person?.token)
        const body: any = await answer.json()
        const where = `${method} by ${person?.nickname}`
        if (outcome.ok) {
          expect([answer.status, body], where).toEqual([200, JSON.parse(outcome.data)])
        } else {
          const { code, message } = outcome.error
          const kind = Object.entries(failures).find(
            ([, one]) => one.code === code,
          )![0] as keyof typeof failures
          expect([answer.status, body.error.code], where).toEqual([failures[kind].status, code])
          expect(body.error.message, where).toBe(message)
          seen.add(kind)
        }
      }
    }
    const kinds = [
      'bad_credentials',
      'bad_request',
      'forbidden',
      'method_not_found',
      'not_found',
      'unauthorized',
    ]
    expect([...seen]).toEqual(expect.arrayContaining([...kinds, 'weak_password']))
  })

  test.each([...methods.values()].filter(({ access }) => access === 'shard').map(({ name }) => name))(
    'never reaches %s, which is for our own shards',
    async name => {
      const http = openHttp()
      const admin = http.addUser('root', 'admin')
      expect(await errorOf(await http.post(name, {}, admin.token))).toMatchObject({ status: 404, code: 104 })
    },
  )

  test('carries the address behind the proxies and what the device calls itself', async () => {
    const calls: Call[] = []
    const port: MessengerPort = {
      call: (call, done) => {
        calls.push(call)
        done({ ok: true, data: '{}' })
      },
      admit: () => {},
    }
    const { post } = openHttp({ port })
    const headers = { 'x-forwarded-for': '198.51.100.7', 'user-agent': 'x'.repeat(500) }
    await post('user.me', {}, 'secret', headers)
    await post('user.me', {})
    expect(calls[0]).toEqual({
      method: 'user.me',
      data: '{}',
      who: { kind: 'token', token: 'secret' },
      client: '',
      address: '198.51.100.7',
      device: 'x'.repeat(200),
      transport: 'http',
    })
    expect(calls[1]).toMatchObject({ who: { kind: 'stranger' }, address: '192.0.2.1' })
  })

  test('that breaks something of ours says nothing of it', async () => {
    const port: MessengerPort = {
      call: () => {
        throw new Error('secret detail')
      },
      admit: () => {},
    }
    const { post, errors } = openHttp({ port })
    const answer = await post('user.me', {})
    expect(await errorOf(answer)).toEqual({ status: 500, code: 100, message: 'internal server error' })
    expect(errors).toEqual([new Error('secret detail')])
  })

  test('that may be tried again says when', async () => {
    const error = { code: 111, message: 'too many requests', temporary: true, retryAfterMs: 4_200 }
    const refusals = [
      error,
      { ...error, retryAfterMs: undefined },
      { ...error, temporary: false, retryAfterMs: undefined },
    ]
    const port = {
      call: (_: Call, done: any) => done({ ok: false, error: refusals.shift() }),
      admit: () => {},
    }
    const { post } = openHttp({ port })
    for (const seconds of ['5', '1', null]) {
      const answer = await post('message.send', {})
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, seconds])
    }
  })
})

describe('a login by cookie', () => {
  test('gives a cookie that only this host gets and no script sees, and no token in the answer', async () => {
    const http = openHttp()
    for (const method of ['auth.signup', 'auth.login']) {
      const answer = await http.post(method, account('ann', { cookie: true }), '', { origin: ORIGIN })
      const [pair, ...attributes] = answer.headers.get('set-cookie')!.split('; ')
      expect(pair).toMatch(/^__Host-fanwire=[\w-]{43}$/)
      expect(attributes).toEqual(['Max-Age=7776000', 'Path=/', 'HttpOnly', 'Secure', 'SameSite=Strict'])
      const text = await answer.text()
      expect(text).not.toContain(pair!.split('=')[1])
      expect(JSON.parse(text)).toMatchObject({
        user: { nickname: 'ann' },
        session: { id: expect.any(String) },
      })
    }
    const plain = await http.post('auth.login', account('ann'))
    expect(plain.headers.get('set-cookie')).toBeNull()
  })

  test.each(['auth.logout', 'auth.delete_account', 'auth.logout_everywhere'])(
    'ends with %s',
    async method => {
      const http = openHttp()
      await signedUp(http, 'first')
      const headers = { origin: ORIGIN }
      const cookie = cookieOf(await http.post('auth.signup', account('ann', { cookie: true }), '', headers))
      const asAnn = { ...headers, cookie }
      expect((await http.post('auth.token', {}, '', asAnn)).status).toBe(200)
      const data = method === 'auth.delete_account' ? { password: PASSWORD } : {}
      const ended = await http.post(method, data, '', asAnn)
      expect([ended.status, ended.headers.get('set-cookie')]).toEqual([
        200,
        '__Host-fanwire=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Strict',
      ])
      expect((await http.post('auth.token', {}, '', asAnn)).status).toBe(401)
    },
  )

  test('stays when all others are ended', async () => {
    const http = openHttp()
    const headers = { origin: ORIGIN }
    const cookie = cookieOf(await http.post('auth.signup', account('ann', { cookie: true }), '', headers))
    const asAnn = { ...headers, cookie }
    const ended = await http.post('auth.logout_everywhere', { except_current: true }, '', asAnn)
    expect([ended.status, ended.headers.get('set-cookie')]).toEqual([200, null])
    expect((await http.post('user.me', {}, '', asAnn)).status).toBe(200)
  })

  test.each([
    ['of a page of another site', OTHER_ORIGIN],
    ['of a page without an origin', 'null'],
    ['that names no page', undefined],
  ])('counts nothing in a request %s', async (_, origin) => {
    const http = openHttp()
    const cookie = cookieOf(
      await http.post('auth.signup', account('ann', { cookie: true }), '', { origin: ORIGIN }),
    )
    const headers: Record<string, string> = { cookie, ...(origin !== undefined && { origin }) }
    for (const [method, path] of [
      ['POST', '/messenger/rpc/auth.logout'],
      ['POST', '/messenger/files?name=a'],
      ['POST', '/messenger/uploads'],
      ['PATCH', `/messenger/uploads/${'A'.repeat(22)}`],
      ['DELETE', `/messenger/uploads/${'A'.repeat(22)}`],
    ] as const) {
      const answer = await http.ask(path, {
        method,
        headers: { ...headers, 'content-type': 'application/json' },
      })
      expect([path, answer.status]).toEqual([path, 403])
    }
    expect((await http.post('user.me', {}, '', { cookie, origin: ORIGIN })).status).toBe(200)
  })

  test.each([
    ['a token beside it goes first', '__Host-fanwire=COOKIE', 200],
    ['others are not looked at', 'fanwire=COOKIE; __Secure-fanwire=COOKIE', 401],
    ['of two the first counts', '__Host-fanwire=bad; __Host-fanwire=COOKIE', 401],
    ['what is no token is none', '__Host-fanwire="; DROP TABLE users', 401],
  ])('%s', async (name, pattern, status) => {
    const http = openHttp()
    const { token } = await signedUp(http)
    const isBeside = name.startsWith('a token')
    const cookie = pattern.replace('COOKIE', isBeside ? 'stale' : token)
    const answer = await http.post('user.me', {}, isBeside ? token : '', { cookie, origin: ORIGIN })
    expect(answer.status).toBe(status)
  })
})

describe('a token', () => {
  test.each(['Basic YTpi', 'Bearer', 'Bearer a b', `Bearer ${'x'.repeat(2000)}`, 'token x'])(
    'is not what %s says, and the cookie does not count instead',
    async authorization => {
      const http = openHttp()
      const { token } = await signedUp(http)
      const headers = { authorization, cookie: `__Host-fanwire=${token}`, origin: ORIGIN }
      const answer = await http.post('user.me', {}, '', headers)
      expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    },
  )

  test.each(['token', 'access_token', 'session', 'password', 'Authorization', 'api_key', 'jwt', 'key'])(
    'in an address as ?%s= is refused',
    async name => {
      const http = openHttp()
      const { token } = await signedUp(http)
      const init = { headers: { authorization: `Bearer ${token}` } }
      const answer = await http.ask(`/messenger/files/${'A'.repeat(22)}?download=1&${name}=${token}`, init)
      const error = await errorOf(answer)
      expect(error).toMatchObject({ status: 400, code: 107 })
      expect(error.message).not.toContain(token)
    },
  )
})

describe('39: a request', () => {
  test.each([
    ['GET', '/messenger/rpc/user.me', 'POST'],
    ['PUT', '/messenger/rpc/user.me', 'POST'],
    ['DELETE', '/messenger/files/x', 'GET, HEAD'],
    ['POST', '/messenger/openapi.json', 'GET, HEAD'],
    ['GET', '/messenger/files', 'POST'],
    ['POST', '/messenger/conversations/1/export', 'GET, HEAD'],
  ])('%s %s is the wrong method', async (method, path, allow) => {
    const answer = await openHttp().ask(path, { method })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, allow])
    expect(await errorOf(answer)).toMatchObject({ code: 107 })
  })

  test.each([
    '/messenger/',
    '/messenger/nope',
    '/messenger/rpc/',
    '/messenger/rpc/user.me/x',
    '/messenger/..%2f..%2fetc',
    '/messenger/../api/info',
    '/messenger/rpc%2fuser.me',
  ])('for %s finds nothing', async path => {
    for (const method of ['GET', 'POST']) {
      const answer = await openHttp().ask(path, { method })
      expect([answer.status, answer.headers.get('content-type')]).toEqual([404, 'application/json'])
    }
  })

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    '',
  ])('with a body of type %j, which a form can send, calls nothing', async type => {
    const http = openHttp()
    const answer = await http.post('auth.signup', account('ann'), '', { 'content-type': type })
    expect(await errorOf(answer)).toMatchObject({ status: 415, code: 1011 })
    expect(http.db.all('SELECT id FROM users')).toEqual([])
  })

  test.each([
    ['no JSON', '{', 400, 107],
    ['no object', '[]', 400, 107],
    ['null', 'null', 400, 107],
    ['a field that nobody knows', '{"nickname":"ann","password":"x","role":"admin"}', 400, 107],
    ['nested deep', `${'['.repeat(2000)}${']'.repeat(2000)}`, 400, 107],
    ['too large for a password', `{"nickname":"ann","password":"${'x'.repeat(4096)}"}`, 413, 1007],
  ])('whose body is %s is refused', async (_, body, status, code) => {
    const http = openHttp()
    expect(await errorOf(await http.post('auth.login', body))).toMatchObject({ status, code })
    expect(http.errors).toEqual([])
  })

  test('whose body is not UTF-8 is refused', async () => {
    const { ask } = openHttp()
    const init = {
      method: 'POST',
      body: Buffer.from('7b22c3287d', 'hex'),
      headers: { 'content-type': 'application/json' },
    }
    expect(await errorOf(await ask('/messenger/rpc/user.me', init))).toMatchObject({ status: 400, code: 107 })
  })

  test('whose body is larger than the limit is not read on', async () => {
    const { ask } = openHttp()
    const headers = { 'content-type': 'application/json' }
    let given = 0
    let isCancelled = false
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        given += 65_536
        controller.enqueue(new Uint8Array(65_536).fill(0x20))
      },
      cancel() {
        isCancelled = true
      },
    })
    const streamed = await ask('/messenger/rpc/message.send', { method: 'POST', body: endless, headers })
    expect(await errorOf(streamed)).toMatchObject({ status: 413, code: 1007 })
    expect(isCancelled).toBe(true)
    expect(given).toBeLessThan(2 * 256 * 1024)
    const announced = { ...headers, 'content-length': String(256 * 1024 + 1) }
    const refused = await ask('/messenger/rpc/message.send', {
      method: 'POST',
      body: '{}',
      headers: announced,
    })
    expect(refused.status).toBe(413)
  })

  test('gets an answer that is not to be guessed at, kept or shown as a page, whatever it was', async () => {
    const http = openHttp()
    const ann = http.addUser('ann')
    const answers = [
      await http.post('user.me', {}, ann.token),
      await http.post('user.me', {}),
      await http.post('user.me', {}, ann.token, { origin: OTHER_ORIGIN }),
      await http.ask('/messenger/nope'),
      await http.ask('/messenger/rpc/user.me'),
      await http.ask('/messenger/openapi.json'),
      await http.ask('/messenger/files/x?token=1'),
      await http.ask('/messenger/uploads', { method: 'OPTIONS' }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 403, 404, 405, 200, 400, 204])
    for (const { headers } of answers) {
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('content-security-policy')).toContain("default-src 'none'")
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('access-control-allow-origin')).toBeNull()
    }
  })
})

describe('an export', () => {
  async function withMessages(): Promise<{
    http: TestHttp
    token: string
    stranger: string
    left: () => string[]
  }> {
    const http = openHttp()
    const ann = http.addUser('ann')
    const ben = http.addUser('ben')
    const cat = http.addUser('cat')
    for (const text of ['one', 'zwei „ü“', '<b>three</b>']) {
      await ann.call('message.send', { user: ben.id, client_id: text, text })
    }
    const left = () => readdirSync(join(http.path, 'tmp'))
    return { http, token: ann.token, stranger: cat.token, left }
  }

  const get = ({ ask }: TestHttp, query: string, token?: string, method = 'GET') =>
    ask(`/messenger/conversations/2/export${query}`, {
      method,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    })

  test('has all messages, a line each, and leaves no file', async () => {
    const { http, token, left } = await withMessages()
    const answer = await get(http, '', token)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('application/jsonl')
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment; filename/)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    const text = await answer.text()
    expect(answer.headers.get('content-length')).toBe(String(Buffer.byteLength(text)))
    const lines = text
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(lines.map(line => line.text)).toEqual(['one', 'zwei „ü“', '<b>three</b>'])
    expect(left()).toEqual([])
  })

  test('is a zip as a page', async () => {
    const { http, token, left } = await withMessages()
    const answer = await get(http, '?format=html', token)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/zip'])
    const bytes = Buffer.from(await answer.arrayBuffer())
    expect(bytes.subarray(0, 4)).toEqual(Buffer.from('PK\x03\x04'))
    expect(left()).toEqual([])
  })

  test('that nobody reads leaves no file either', async () => {
    const { http, token, left } = await withMessages()
    const answer = await get(http, '', token)
    await answer.body!.cancel()
    expect(left()).toEqual([])
  })

  test.each([
    ['without a login', '', 'nobody', 401],
    ['by somebody who is no member', '', 'stranger', 404],
    ['in another format', '?format=exe', 'member', 400],
  ])('%s is refused', async (_, query, who, status) => {
    const { http, token, stranger, left } = await withMessages()
    const answer = await get(http, query, { nobody: undefined, stranger, member: token }[who])
    expect(answer.status).toBe(status)
    expect(left()).toEqual([])
  })

  test('21: is sent to a user twice at a time, and again when one was read or given up', async () => {
    const { http, token, left } = await withMessages()
    const [first, second] = [await get(http, '', token), await get(http, '', token)]
    const refused = await get(http, '', token)
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10'])
    expect(left()).toEqual([])
    await first.body!.cancel()
    await expect.poll(async () => (await get(http, '', token)).status, PATIENTLY).toBe(200)
    expect((await get(http, '', token)).status).toBe(429)
    await second.text()
    await expect.poll(async () => (await get(http, '', token)).status, PATIENTLY).toBe(200)
  })

  test('is not made for its length alone', async () => {
    const { http, token } = await withMessages()
    const answer = await get(http, '', token, 'HEAD')
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET'])
  })
})
