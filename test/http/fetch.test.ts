// A function from Request to Response behind real sockets: what goes over, what is refused, and that slow or leaving
// peers cost neither memory nor the server.

import { createHash } from 'node:crypto'
import { type IncomingMessage, request as openRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'
import { createApp, listen } from '../../src/edge/uws.ts'
import { attachFetch, type Fetch } from '../../src/http/fetch.ts'
import { attachRoutes } from '../../src/http/routes.ts'
import { exchangeToEnd } from '../support/raw-client.ts'

const MIB = 1024 * 1024
const BIG = 200 * MIB
/** The process may need so much more while a body of BIG passes through it twice (server and client are both here). */
const GROWTH_MAX = 64 * MIB

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

function serve(fetch: Fetch): {
  port: number
  errors: unknown[]
  ask: (path: string, init?: any) => Promise<Response>
} {
  const app = createApp(undefined)
  const errors: unknown[] = []
  const onError = (error: unknown) => errors.push(error)
  attachFetch(app, '/m/*', fetch, onError)
  attachRoutes(app, response => response.close(), onError)
  const { port } = listen(app, '127.0.0.1', 0, false)!
  closing.push(() => app.close())
  return { port, errors, ask: (path, init) => globalThis.fetch(`http://127.0.0.1:${port}${path}`, init) }
}

/** A stream that gives so many bytes in parts, as fast as it is read. */
function streamOf(
  bytes: number,
  { onPart, onCancel }: { onPart?: (bytes: number) => void; onCancel?: () => void } = {},
): ReadableStream<Uint8Array> {
  let left = bytes
  const part = new Uint8Array(256 * 1024).fill(7)
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const size = Math.min(left, part.byteLength)
        controller.enqueue(part.slice(0, size))
        onPart?.(size)
        left -= size
        if (left === 0) controller.close()
      },
      cancel: () => onCancel?.(),
    },
    { highWaterMark: 0 },
  )
}

const hashOf = (bytes: number) => {
  const hash = createHash('sha256')
  const part = Buffer.alloc(MIB, 7)
  for (let left = bytes; left > 0; left -= MIB) hash.update(part.subarray(0, left))
  return hash.digest('hex')
}

/** Resolves when the number has not changed for a while: the peers have come to a stand. */
async function standing(read: () => number): Promise<number> {
  for (let last = read(), same = 0; ; ) {
    await new Promise(resolve => setTimeout(resolve, 10))
    same = read() === last ? same + 1 : 0
    last = read()
    if (same >= 30) return last
  }
}

const head = (line: string, ...headers: string[]) =>
  `${[`${line} HTTP/1.1`, 'Host: x', ...headers].join('\r\n')}\r\n\r\n`

async function openSocket(port: number, bytes: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(bytes)
  return socket
}

describe('a request', () => {
  test('comes with method, address, headers and body, and its answer goes out as it is', async () => {
    const seen: unknown[] = []
    const { ask, errors } = serve(async (request, peer) => {
      const { pathname, search } = new URL(request.url)
      seen.push(
        peer.address,
        request.method,
        pathname,
        search,
        request.headers.get('x-name'),
        await request.text(),
      )
      const headers: [string, string][] = [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
        ['x-made', 'yes'],
      ]
      return new Response('grüße', { status: 201, headers })
    })
    const answer = await ask('/m/a%20b?c=d', { method: 'PUT', body: 'körper', headers: { 'X-Name': 'v' } })
    expect(seen).toEqual(['127.0.0.1', 'PUT', '/m/a%20b', '?c=d', 'v', 'körper'])
    expect([answer.status, answer.headers.get('x-made'), await answer.text()]).toEqual([201, 'yes', 'grüße'])
    expect(answer.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(errors).toEqual([])
  })

  test('with bytes beyond ASCII in a header keeps them', async () => {
    const { port } = serve(
      async request => new Response(Buffer.from(request.headers.get('x-name')!, 'latin1')),
    )
    const answer = await exchangeToEnd(port, head('GET /m/', 'X-Name: grün', 'Connection: close'))
    expect(Buffer.from(answer, 'latin1').toString()).toMatch(/grün/)
  })

  test.each([
    ['HEAD with the length of what GET gives', 'HEAD', { headers: { 'content-length': '5' } }, 200, '5'],
    ['HEAD without a length', 'HEAD', {}, 200, null],
    ['GET of what has not changed', 'GET', { status: 304, headers: { etag: '"x"' } }, 304, null],
    ['DELETE without content', 'DELETE', { status: 204 }, 204, null],
    ['GET of nothing', 'GET', {}, 200, '0'],
  ])('%s gets no body', async (_, method, init: ResponseInit, status, length) => {
    const { ask } = serve(async request => new Response(request.method === 'HEAD' ? 'hello' : null, init))
    for (const _again of [1, 2]) {
      const answer = await ask('/m/', { method })
      expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([
        status,
        length,
        '',
      ])
    }
  })

  test('that is refused before its body was read leaves the connection to the next one', async () => {
    const { port, errors } = serve(async request =>
      request.method === 'POST' ? new Response('too large', { status: 413 }) : new Response('next'),
    )
    const body = 'x'.repeat(3 * MIB)
    const answers = await exchangeToEnd(
      port,
      head('POST /m/', `Content-Length: ${body.length}`) + body + head('GET /m/', 'Connection: close'),
    )
    expect(answers).toMatch(/^HTTP\/1\.1 413 [\s\S]*too large[\s\S]*HTTP\/1\.1 200 [\s\S]*next/)
    expect(errors).toEqual([])
  })
})

describe('39: a request', () => {
  test.each([
    ['two lengths', ['Content-Length: 2', 'Content-Length: 2']],
    ['a length and an encoding', ['Content-Length: 2', 'Transfer-Encoding: chunked']],
    ['an encoding that is not chunked', ['Transfer-Encoding: gzip']],
  ])('with %s is not carried out', async (_, headers) => {
    let calls = 0
    const { port } = serve(async () => {
      calls += 1
      return new Response('')
    })
    const smuggled = `{}${head('POST /m/', 'Content-Length: 2')}{}`
    expect(await exchangeToEnd(port, head('POST /m/', ...headers) + smuggled)).not.toMatch(/ 200 /)
    expect(calls).toBe(0)
  })

  test.each([
    ['TRACE /m/', 'Host: x', 405],
    ['BREW /m/', 'Host: x', 405],
    ['GET /m/', 'Host: a/b', 400],
    ['GET /m/', 'Host: a@b', 400],
    ['GET /m/', 'Host: x:99999999', 400],
    ['GET /m/', 'Host: x:99999', 400],
    ['GET /m/', 'Host: 1.2.3.999', 400],
    ['GET /m/', 'Host: xn--a', 400],
    ['GET /other', 'Host: x', 404],
  ])('%s with %s is refused with %i', async (line, host, status) => {
    const { port, errors } = serve(async () => new Response(''))
    const answer = await exchangeToEnd(port, `${line} HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*nosniff[\\s\\S]*\\{"error":\\{"code":`))
    expect(errors).toEqual([])
  })
})

describe('a failure', () => {
  test('before the answer is 500 without its reason', async () => {
    const { ask, errors } = serve(() => Promise.reject(new Error('secret')))
    const answer = await ask('/m/', { method: 'POST', body: 'x' })
    expect([answer.status, await answer.json()]).toEqual([
      500,
      { error: { code: 100, message: 'internal server error' } },
    ])
    expect(errors).toEqual([new Error('secret')])
  })

  test.each([
    ['a stream that breaks', undefined, () => breakingStream()],
    ['a stream that breaks, of known length', '100000', () => breakingStream()],
    ['less than the length', '100000', () => streamOf(99_999)],
    ['more than the length', '299999', () => streamOf(300_000)],
  ])('in the middle of the answer breaks the connection: %s', async (_, length, body) => {
    const headers: Record<string, string> = length === undefined ? {} : { 'content-length': length }
    const { ask, errors } = serve(async () => new Response(body(), { headers }))
    await expect(ask('/m/').then(answer => answer.arrayBuffer())).rejects.toThrow()
    expect(errors).toHaveLength(1)
  })
})

function breakingStream(): ReadableStream<Uint8Array> {
  let parts = 0
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (parts++ < 3) controller.enqueue(new Uint8Array(1000))
      else controller.error(new Error('disk'))
    },
  })
}

describe('a client that leaves', () => {
  test('in the middle of its body ends the stream with an error, and the signal says so', async () => {
    const outcome = Promise.withResolvers<unknown[]>()
    const { port, ask, errors } = serve(async request => {
      if (request.method === 'GET') return new Response('there')
      const read = await request.arrayBuffer().then(
        () => 'whole',
        () => 'broken',
      )
      outcome.resolve([read, request.signal.aborted])
      return new Response('nobody reads this')
    })
    const socket = await openSocket(port, `${head('POST /m/', 'Content-Length: 1000')}half`)
    await new Promise(resolve => socket.once('connect', resolve))
    socket.end()
    expect(await outcome.promise).toEqual(['broken', true])
    expect(await (await ask('/m/')).text()).toBe('there')
    expect(errors).toEqual([])
  })

  test.each([
    ['of known length', String(BIG)],
    ['of unknown length', undefined],
  ])('in the middle of an answer %s ends its source', async (_, length) => {
    const cancelled = Promise.withResolvers<void>()
    const headers: Record<string, string> = length === undefined ? {} : { 'content-length': length }
    const { port, errors } = serve(
      async () => new Response(streamOf(BIG, { onCancel: cancelled.resolve }), { headers }),
    )
    const socket = await openSocket(port, head('GET /m/'))
    socket.once('data', () => socket.resetAndDestroy())
    await cancelled.promise
    expect(errors).toEqual([])
  })

  test('while the answer is being made gets none, and nothing breaks', async () => {
    const entered = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const left = Promise.withResolvers<void>()
    const { port, ask, errors } = serve(async request => {
      if (request.method === 'GET') return new Response('there')
      request.signal.addEventListener('abort', () => left.resolve())
      entered.resolve()
      await release.promise
      return new Response('late')
    })
    const socket = await openSocket(port, `${head('POST /m/', 'Content-Length: 1')}x`)
    await entered.promise
    socket.destroy()
    await left.promise
    release.resolve()
    expect(await (await ask('/m/')).text()).toBe('there')
    expect(errors).toEqual([])
  })
})

describe('200 MB', () => {
  const memory = () => process.memoryUsage().arrayBuffers

  test('up to a handler that is slow to begin: the rest waits at the client', {
    timeout: 120_000,
  }, async () => {
    const begin = Promise.withResolvers<void>()
    let highest = 0
    const { port } = serve(async request => {
      await begin.promise
      const hash = createHash('sha256')
      for await (const chunk of request.body!) {
        hash.update(chunk)
        highest = Math.max(highest, memory())
      }
      return new Response(hash.digest('hex'))
    })
    const before = memory()
    const upload = openRequest({ port, path: '/m/', method: 'POST', headers: { 'content-length': BIG } })
    const answered = new Promise<IncomingMessage>(resolve => upload.once('response', resolve))
    const part = Buffer.alloc(MIB, 7)
    let given = 0
    const give = () => {
      while (given < BIG) {
        given += part.byteLength
        if (!upload.write(part)) return void upload.once('drain', give)
      }
      upload.end()
    }
    give()
    expect(await standing(() => given)).toBeLessThan(BIG / 2)
    expect(memory() - before).toBeLessThan(GROWTH_MAX)
    begin.resolve()
    expect(await text(await answered)).toBe(hashOf(BIG))
    expect(highest - before).toBeLessThan(GROWTH_MAX)
  })

  test.each([
    ['of known length', String(BIG)],
    ['of unknown length', undefined],
  ])(
    'down, %s, to a client that is slow to read: the rest waits at the source',
    { timeout: 120_000 },
    async (_, length) => {
      let made = 0
      const headers: Record<string, string> = length === undefined ? {} : { 'content-length': length }
      const { port, errors } = serve(
        async () =>
          new Response(
            streamOf(BIG, {
              onPart: bytes => {
                made += bytes
              },
            }),
            { headers },
          ),
      )
      const before = memory()
      const answer = await new Promise<IncomingMessage>(resolve =>
        openRequest({ port, path: '/m/' }, resolve).end(),
      )
      answer.pause()
      expect(await standing(() => made)).toBeLessThan(BIG / 2)
      expect(memory() - before).toBeLessThan(GROWTH_MAX)
      const hash = createHash('sha256')
      let highest = 0
      for await (const chunk of answer) {
        hash.update(chunk as Buffer)
        highest = Math.max(highest, memory())
      }
      expect(hash.digest('hex')).toBe(hashOf(BIG))
      expect(highest - before).toBeLessThan(GROWTH_MAX)
      expect(errors).toEqual([])
    },
  )
})

describe('a client that stands still is closed', () => {
  test.concurrent('in the middle of its head', { timeout: 120_000 }, async () => {
    const { port } = serve(async () => new Response(''))
    const socket = await openSocket(port, 'GET /m/ HTTP/1.1\r\nHost: x\r\nX-A: ')
    socket.resume()
    await new Promise(resolve => socket.once('close', resolve))
  })

  test.concurrent('in the middle of its body', { timeout: 120_000 }, async () => {
    const ended = Promise.withResolvers<boolean>()
    const { port } = serve(async request => {
      await request.text().catch(() => {})
      ended.resolve(request.signal.aborted)
      return new Response('')
    })
    await openSocket(port, `${head('POST /m/', 'Content-Length: 1000')}half`)
    expect(await ended.promise).toBe(true)
  })

  test.concurrent('in the middle of the answer', { timeout: 120_000 }, async () => {
    const cancelled = Promise.withResolvers<void>()
    const headers = { 'content-length': String(BIG) }
    const { port } = serve(
      async () => new Response(streamOf(BIG, { onCancel: cancelled.resolve }), { headers }),
    )
    const socket = await openSocket(port, head('GET /m/'))
    socket.pause()
    await cancelled.promise
    socket.destroy()
  })
})

test('more requests at once than a shard bears are refused until others have their answers', async () => {
  const release = Promise.withResolvers<void>()
  let open = 0
  const { port, errors } = serve(async () => {
    open += 1
    await release.promise
    return new Response('done')
  })
  const one = () => exchangeToEnd(port, head('GET /m/', 'Connection: close'))
  const held = Array.from({ length: 1_000 }, one)
  while (open < 1_000) await new Promise(resolve => setTimeout(resolve, 5))
  expect(await one()).toMatch(/^HTTP\/1\.1 503 [\s\S]*retry-after: 1/)
  release.resolve()
  for (const answer of await Promise.all(held)) expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  expect(await one()).toMatch(/^HTTP\/1\.1 200 /)
  expect(errors).toEqual([])
})

test('a body that comes byte by byte is whole', async () => {
  const { port } = serve(async request => new Response(`got ${await request.text()}`))
  const socket = await openSocket(port, head('POST /m/', 'Transfer-Encoding: chunked', 'Connection: close'))
  const answer = text(socket)
  for (const byte of '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n') {
    await new Promise<void>(resolve => socket.write(byte, () => resolve()))
  }
  expect(await answer).toMatch(/got abcde/)
})
