// The messenger's HTTP at a real relay: what only shards, rings and sockets can get wrong.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exchangeToEnd } from '../support/raw-client.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'

const PASSWORD = 'correct horse battery'
const PROXY_OF = '198.51.100.7'

let relay: TestRelay
let path: string
let host: string
let count = 0

beforeAll(async () => {
  path = mkdtempSync(join(tmpdir(), 'fanwire-http-'))
  relay = await startTestRelay({
    client: { allow_anonymous_connect_without_token: false },
    http_server: { trusted_proxies: ['127.0.0.1'] },
    messenger: { enabled: true, path, signups_per_hour: 1_000, message_rate: 1_000_000 },
  })
  host = `127.0.0.1:${relay.ports.http}`
})

afterAll(async () => {
  expect(relay.log.filter(({ level }) => level >= 40)).toEqual([])
  expect(await relay.stop()).toBe(0)
  rmSync(path, { recursive: true, force: true })
})

const post = (method: string, data: unknown, headers: Record<string, string> = {}) =>
  fetch(`http://${host}/messenger/rpc/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof data === 'string' ? data : JSON.stringify(data),
  })

async function newLogin(
  headers: Record<string, string> = {},
): Promise<{ id: number; auth: Record<string, string> }> {
  const answer = await post('auth.signup', { nickname: `user${++count}`, password: PASSWORD }, headers)
  const { user, session }: any = await answer.json()
  return { id: user.id, auth: { Authorization: `Bearer ${session.token}` } }
}

test('a page of this host logs in by a cookie, and one of another host can do nothing with it', async () => {
  const { auth } = await newLogin()
  const nickname = ((await (await post('user.me', {}, auth)).json()) as any).user.nickname
  const Origin = `http://${host}`
  const answer = await post('auth.login', { nickname, password: PASSWORD, cookie: true }, { Origin })
  const Cookie = answer.headers.getSetCookie()[0]!.split(';')[0]!
  expect((await post('auth.token', {}, { Cookie, Origin })).status).toBe(200)
  expect((await post('auth.token', {}, { Cookie, Origin: 'http://evil.example' })).status).toBe(403)
  expect((await post('auth.token', {}, { Cookie })).status).toBe(403)
})

test('the address of a login is the one that the proxy names, not what the client made up', async () => {
  const { auth } = await newLogin({ 'X-Forwarded-For': `203.0.113.9, ${PROXY_OF}`, 'User-Agent': 'phone' })
  const { sessions }: any = await (await post('auth.sessions', {}, auth)).json()
  expect(sessions).toMatchObject([{ address: PROXY_OF, device: 'phone', current: true }])
})

test('the largest input passes between the threads', async () => {
  const { auth } = await newLogin()
  const body = JSON.stringify({ conversation: 1, client_id: 'a', text: '' })
  const filled = body.replace('"text":""', `"text":"${'x'.repeat(256 * 1024 - body.length)}"`)
  expect(filled).toHaveLength(256 * 1024)
  expect((await post('message.send', filled, auth)).status).toBe(413)
  const larger = await post('message.send', `${filled} `, auth)
  expect([larger.status, await larger.text()]).toEqual([413, expect.stringContaining('262144')])
})

test('calls at once over both shards each get their own answer', async () => {
  const people = await Promise.all(Array.from({ length: 4 }, () => newLogin()))
  const asked = Array.from({ length: 200 }, (_, index) => people[index % people.length]!)
  const answers = await Promise.all(
    asked.map(async ({ auth }) => ((await (await post('user.me', {}, auth)).json()) as any).user.id),
  )
  expect(answers).toEqual(asked.map(({ id }) => id))
})

test('an export comes whole, and its file is gone', async () => {
  const { auth } = await newLogin()
  const text = 'grüße '.repeat(500)
  for (let index = 0; index < 50; index++) {
    const sent = await post('message.send', { everyone: true, client_id: `m${index}`, text }, auth)
    expect(sent.status).toBe(200)
  }
  const answer = await fetch(`http://${host}/messenger/conversations/1/export`, { headers: auth })
  const lines = (await answer.text()).trimEnd().split('\n')
  expect(lines.filter(line => JSON.parse(line).text === text.trimEnd())).toHaveLength(50)
  expect(readdirSync(join(path, 'tmp'))).toEqual([])
})

test('39: what hides behind a body of two lengths is not carried out', async () => {
  const { id, auth } = await newLogin()
  const hidden = ['POST /messenger/rpc/user.update_profile HTTP/1.1', `Host: ${host}`]
  const body = '{"display_name":"hidden"}'
  const lines = [`Authorization: ${auth.Authorization}`, 'Content-Type: application/json']
  const smuggled = `${[...hidden, ...lines, `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`
  const outer = ['POST /messenger/rpc/user.me HTTP/1.1', `Host: ${host}`, ...lines]
  const lengths = ['Content-Length: 2', `Content-Length: ${smuggled.length + 2}`]
  await exchangeToEnd(relay.ports.http, `${[...outer, ...lengths].join('\r\n')}\r\n\r\n{}${smuggled}`)
  const { user }: any = await (await post('user.me', {}, auth)).json()
  expect(user).toMatchObject({ id, display_name: user.nickname })
})

test('a relay without the messenger serves nothing of it', async () => {
  const plain = await startTestRelay()
  const at = `http://127.0.0.1:${plain.ports.http}/messenger`
  for (const part of ['/rpc/auth.signup', '/openapi.json', '/files']) {
    const answer = await fetch(`${at}${part}`, { method: 'POST', body: '{}' })
    expect(answer.status).toBe(404)
  }
  expect(await plain.stop()).toBe(0)
})
