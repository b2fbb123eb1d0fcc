// The messenger's HTTP on a messenger in the test's process, asked with Requests: without sockets.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { DIRECTORIES } from '../../src/messenger/files/paths.ts'
import { createMessengerHttp, type MessengerHttpOptions } from '../../src/messenger/http/app.ts'
import { openMessenger, type TestMessenger } from '../support/messenger.ts'

export type Ask = (path: string, init?: RequestInit) => Promise<Response>

export type TestHttp = TestMessenger &
  Readonly<{
    ask: Ask
    /** POST of a method, with its data as JSON; `token` '': nobody's. */
    post: (
      method: string,
      data: unknown,
      token?: string,
      headers?: Record<string, string>,
    ) => Promise<Response>
    /** What was a fault of the program. */
    errors: unknown[]
  }>

export const HOST = 'chat.example'
export const ORIGIN = `https://${HOST}`
export const OTHER_ORIGIN = 'https://evil.example'

const paths: string[] = []
afterAll(async () => {
  // What looks after uploads sees in its own time whether its directory is there, and fails when it is not.
  while (process.getActiveResourcesInfo().includes('FSReqCallback')) {
    await new Promise(resolve => setImmediate(resolve))
  }
  for (const path of paths.splice(0)) rmSync(path, { recursive: true, force: true })
})

/** A data directory as main makes it. */
function makePath(): string {
  const path = mkdtempSync(join(tmpdir(), 'fanwire-http-'))
  paths.push(path)
  for (const name of Object.values(DIRECTORIES)) mkdirSync(join(path, name))
  return path
}

export function openHttp(
  changed: Parameters<typeof openMessenger>[0] & Partial<Pick<MessengerHttpOptions, 'port'>> = {},
): TestHttp {
  const { port, ...options } = changed
  const world = openMessenger({ ...options, path: makePath() })
  const errors: unknown[] = []
  const http = createMessengerHttp({
    port: port ?? world.messenger,
    options: world.options,
    dataPath: world.path,
    isPageAllowed: (origin, host) => origin === '' || URL.parse(origin)?.host === host,
    addressOf: (peer, forwardedFor) => forwardedFor || peer,
    nowMs: () => world.clock.nowMs,
    onError: error => errors.push(error),
  })
  const ask: Ask = (path, init = {}) => {
    const headers = new Headers(init.headers)
    if (!headers.has('host')) headers.set('host', HOST)
    const streamed = init.body instanceof ReadableStream ? { duplex: 'half' } : {}
    const request = new Request(`http://${HOST}${path}`, { ...init, ...streamed, headers } as RequestInit)
    return http.fetch(request, { address: '192.0.2.1' })
  }
  const post: TestHttp['post'] = (method, data, token = '', headers = {}) =>
    ask(`/messenger/rpc/${method}`, {
      method: 'POST',
      body: typeof data === 'string' ? data : JSON.stringify(data),
      headers: {
        'content-type': 'application/json',
        ...(token && { authorization: `Bearer ${token}` }),
        ...headers,
      },
    })
  return { ...world, ask, post, errors }
}
