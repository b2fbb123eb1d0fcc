// Wrong HTTP requests on the client port: no route, no key, bodies that lie about their length.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { exchange, exchangeToEnd, openSocket, upgradeRequest } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'
import { expectServing } from '../support/serving.ts'

let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay({ http_api: { max_body_size: 2048 } })
})

afterEach(() => expectServing(relay))

afterAll(async () => {
  expect(relay.log.filter(({ level }) => level >= 50)).toEqual([])
  expect(await relay.stop()).toBe(0)
})

const request = (line: string, headers: readonly string[] = [], body = '') =>
  `${[`${line} HTTP/1.1`, 'Host: x', 'X-API-Key: test-key', ...headers].join('\r\n')}\r\n\r\n${body}`
const info = (headers: readonly string[], body: string) => request('POST /api/info', headers, body)
const SMUGGLED = request('POST /api/channels', ['Content-Length: 2'], '{}')

describe('a body whose end is not clear', () => {
  /** What came, and that the request hidden behind the body was not carried out. */
  async function refusalOf(headers: readonly string[], body: string): Promise<string> {
    const answer = await exchangeToEnd(relay.ports.http, info(headers, `${body}${SMUGGLED}`))
    for (const method of ['info', 'channels']) {
      const series = `fanwire_api_requests_total{method="${method}",outcome="ok"}`
      expect(await relay.metric(series)).toBe(0)
    }
    return answer
  }

  test.each([
    ['a length and an encoding', ['Content-Length: 2', 'Transfer-Encoding: chunked']],
    ['an encoding and a length', ['Transfer-Encoding: chunked', 'Content-Length: 2']],
    ['a list of lengths', ['Content-Length: 2, 2']],
    ['a length with a sign', ['Content-Length: +2']],
    ['a negative length', ['Content-Length: -2']],
    ['a length beyond all numbers', ['Content-Length: 99999999999999999999']],
    ['a length in hexadecimal', ['Content-Length: 0x2']],
  ])('by %s is refused with 400', async (_name, headers) => {
    expect(await refusalOf(headers, '{}')).toMatch(/^HTTP\/1\.1 400 /)
  })

  test.each([
    ['two lengths that differ', ['Content-Length: 2', `Content-Length: ${2 + SMUGGLED.length}`]],
    ['two equal lengths', ['Content-Length: 2', 'Content-Length: 2']],
  ])('by %s is refused by closing', async (_name, headers) => {
    expect(await refusalOf(headers, '{}')).toBe('')
  })

  test.each(['identity', 'xchunked', 'gzip, chunked', 'chunked, chunked'])(
    'by the encoding "%s" is refused by closing',
    async encoding => {
      expect(await refusalOf([`Transfer-Encoding: ${encoding}`], '2\r\n{}\r\n0\r\n\r\n')).toBe('')
    },
  )

  test('of the upgrade itself is refused as well', async () => {
    const upgrade = upgradeRequest({ 'Content-Length': '2', 'Transfer-Encoding': 'chunked' })
    expect(await exchangeToEnd(relay.ports.http, upgrade)).toMatch(/^HTTP\/1\.1 400 /)
  })

  test.each(['zz', 'FFFFFFFFFFFFFFFF', '-1'])('by chunks of size %s is refused with 400', async size => {
    const body = `${size}\r\n{}\r\n0\r\n\r\n`
    expect(await exchangeToEnd(relay.ports.http, info(['Transfer-Encoding: chunked'], body))).toMatch(
      /^HTTP\/1\.1 400 /,
    )
  })

  test('in proper chunks is taken', async () => {
    const { socket } = await openSocket(relay.ports.http)
    const chunked = info(['Transfer-Encoding: chunked'], '1\r\n{\r\n1\r\n}\r\n0\r\n\r\n')
    expect((await exchange(socket, chunked)).head).toMatch(/^HTTP\/1\.1 200 /)
    socket.destroy()
  })
})

test.each([
  ['a path without a route', request('GET /nowhere'), 404],
  ['TRACE', request('TRACE /nowhere'), 404],
  ['a method nobody knows', request('DESTROY /api/info'), 405],
  ['OPTIONS to the API', request('OPTIONS /api/info'), 405],
  ['GET to the API', request('GET /api/info'), 405],
  ['a method of the API that is none', request('POST /api/constructor', ['Content-Length: 2'], '{}'), 404],
  ['a climb out of the API', request('POST /api/../admin', ['Content-Length: 2'], '{}'), 404],
  ['the internal pages on the client port', request('GET /metrics'), 404],
  ['the upgrade path without an upgrade', request('GET /connection/websocket'), 404],
  ['POST to the upgrade path', request('POST /connection/websocket', ['Content-Length: 0']), 404],
  ['a head of 70 KB', request('GET /nowhere', [`X-Long: ${'a'.repeat(70_000)}`]), 431],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 505],
  ['lines without CR', 'POST /api/info HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}', 505],
  ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 505],
  ['a body beyond the limit', info(['Content-Length: 2049'], ' '.repeat(2049)), 413],
  ['a page of a foreign origin', upgradeRequest({ Origin: 'https://evil.example' }), 403],
  ['a page without an origin of its own', upgradeRequest({ Origin: 'null' }), 403],
  [
    'a page whose origin begins like the host',
    upgradeRequest({ Origin: 'http://127.0.0.1.evil.example' }),
    403,
  ],
])('%s is answered by status', async (_name, text, status) => {
  const answer = await exchangeToEnd(relay.ports.http, text)
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
})

test.each([
  ['no key', []],
  ['a wrong key', ['X-API-Key: test-kez']],
  ['a key that only begins right', ['X-API-Key: test-key2']],
  ['the key in the query', []],
])('the API with %s answers 401 before it reads the body', async (name, headers) => {
  const path = name.endsWith('query') ? '/api/info?api_key=test-key' : '/api/info'
  const head = [`POST ${path} HTTP/1.1`, 'Host: x', ...headers, 'Content-Length: 1000'].join('\r\n')
  expect(await exchangeToEnd(relay.ports.http, `${head}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 401 /)
})

test.each([
  ['no JSON', '{', 107, 'the body is not JSON'],
  ['a list', '[]', 107, 'the body is a JSON object'],
  ['an unknown field', '{"chanel":"a"}', 107, 'unknown field "chanel"'],
  ['an unknown field named like a prototype', '{"__proto__":{"x":1}}', 107, 'unknown field "__proto__"'],
  ['no channel', '{"data":1}', 107, 'channel is required'],
  ['a channel that is a number', '{"channel":1,"data":1}', 107, 'channel is a string'],
  ['a lone surrogate', '{"channel":"\\ud800","data":1}', 107, 'lone surrogate'],
  ['a channel with a line break', '{"channel":"a\\r\\nX: y","data":1}', 107, 'white space or control'],
  ['no data', '{"channel":"a"}', 107, 'data is required'],
  ['data that is too deep', `{"channel":"a","data":${'['.repeat(65)}${']'.repeat(65)}}`, 107, '64 levels'],
  ['tags that are a list', '{"channel":"a","data":1,"tags":["b"]}', 107, 'tags is an object'],
  ['tags that are numbers', '{"channel":"a","data":1,"tags":{"b":1}}', 107, 'tags is an object'],
  ['an unknown namespace', '{"channel":"nowhere:a","data":1}', 102, 'unknown channel'],
])('publish with %s is answered with code and reason', async (_name, body, code, why) => {
  const answer = await relay.api('publish', body)
  expect(answer.status).toBe(200)
  expect(answer.body.error.code).toBe(code)
  expect(answer.body.error.message).toContain(why)
})

test('a body that is not UTF-8 is answered with 400', async () => {
  const head = info(['Content-Length: 3'], '')
  const bytes = Buffer.concat([Buffer.from(head), Buffer.from([0x22, 0xff, 0x22])])
  expect(await exchangeToEnd(relay.ports.http, bytes)).toMatch(/^HTTP\/1\.1 400 .*not UTF-8/s)
})

test('heads and bodies that stop half way hold up nobody', async () => {
  const halves = [
    'GET /nowhere HT',
    'GET /nowhere HTTP/1.1\r\nHost:',
    upgradeRequest().slice(0, -2),
    info(['Content-Length: 100'], '{"chan'),
    info(['Transfer-Encoding: chunked'], '64\r\n{"chan'),
  ]
  const sockets = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const { socket } = await openSocket(relay.ports.http)
      socket.on('error', () => {})
      socket.write(halves[i % halves.length]!)
      return socket
    }),
  )
  await expectServing(relay)
  for (const socket of sockets) socket.destroy()
})
