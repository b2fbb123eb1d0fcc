// People at a real relay with the messenger: accounts, logins, and calls by each way in.

import { expect } from 'vitest'
import { failures } from '../../src/messenger/failures.ts'
import { RawClient } from './raw-client.ts'
import type { TestRelay } from './relay.ts'

export const WAYS = ['websocket', 'tcp', 'http'] as const
export type Way = (typeof WAYS)[number]
export type Connected = Exclude<Way, 'http'>

export const PASSWORD = 'correct horse battery 7'

/** A user with a login, and what it takes to call by each way in. */
export type Person = Readonly<{
  relay: TestRelay
  id: number
  nickname: string
  session: Readonly<{ id: string; token: string }>
  /** Connection token. */
  connection: string
  /** Opened when they are needed. */
  clients: Map<Connected, RawClient>
}>

/** `outcome`: the kind of a failure by its code; `ended`: the connection was closed for it. */
export type Answer = Readonly<{ outcome: string; data: any }>

const kinds = new Map(Object.entries(failures).map(([kind, { code }]) => [code, kind]))

export async function loggedIn(
  relay: TestRelay,
  method: 'auth.login' | 'auth.signup',
  nickname: string,
): Promise<Person> {
  const client = await RawClient.open(relay, 'tcp')
  const reply = await client.call({ id: 1, rpc: { method, data: { nickname, password: PASSWORD } } })
  expect(reply.error, `${method} of ${nickname}`).toBeUndefined()
  const { user, session, connection } = reply.rpc.data
  expect((await client.call({ id: 2, connect: {} })).error).toBeUndefined()
  const clients = new Map<Connected, RawClient>([['tcp', client]])
  return { relay, id: user.id, nickname, session, connection: connection.token, clients }
}

/** An account that an administrator adds; addresses may sign up a few times only. */
export async function newPerson(by: Person, nickname: string, role: 'user' | 'admin' = 'user') {
  await must(by, 'admin.add_user', { nickname, password: PASSWORD, role })
  return loggedIn(by.relay, 'auth.login', nickname)
}

export async function clientOf(person: Person, way: Connected): Promise<RawClient> {
  let client = person.clients.get(way)
  if (client === undefined) {
    client = await RawClient.connect(person.relay, way, { token: person.connection })
    client.answersPings = true
    person.clients.set(way, client)
  }
  return client
}

let ids = 100

export async function call(way: Way, person: Person, method: string, data: object = {}): Promise<Answer> {
  if (way === 'http') return callHttp(person.relay, person.session.token, method, data)
  return callOver(await clientOf(person, way), method, data)
}

/** In nobody's name. */
export async function callAsStranger(
  relay: TestRelay,
  way: Way,
  method: string,
  data: object = {},
): Promise<Answer> {
  if (way === 'http') return callHttp(relay, undefined, method, data)
  const client = await RawClient.open(relay, way)
  try {
    return await callOver(client, method, data)
  } finally {
    client.socket.destroy()
  }
}

async function callOver(client: RawClient, method: string, data: object): Promise<Answer> {
  try {
    const { rpc, error } = await client.call({ id: ++ids, rpc: { method, data } })
    return error === undefined ? { outcome: 'ok', data: rpc.data } : refusal(error)
  } catch {
    // It was closed without an answer.
    return { outcome: 'ended', data: await client.ended }
  }
}

async function callHttp(
  relay: TestRelay,
  token: string | undefined,
  method: string,
  data: object,
): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${relay.ports.http}/messenger/rpc/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify(data),
  })
  const body: any = await response.json()
  if (response.ok) return { outcome: 'ok', data: body }
  const answer = refusal(body.error)
  const expected = failures[answer.outcome as keyof typeof failures]?.status
  expect(response.status, JSON.stringify(body)).toBe(expected)
  return answer
}

function refusal(error: { code: number }): Answer {
  return { outcome: kinds.get(error.code) ?? `code ${error.code}`, data: error }
}

/** For what a test needs besides what it tests. */
export async function must(person: Person, method: string, data: object = {}): Promise<any> {
  const { outcome, data: result } = await call('tcp', person, method, data)
  expect(outcome, `${method} ${JSON.stringify(result)}`).toBe('ok')
  return result
}

/** Public id of a small file of text. */
export async function upload(owner: Person, text: string): Promise<string> {
  const { http } = owner.relay.ports
  const response = await fetch(`http://127.0.0.1:${http}/messenger/files?name=${text}.txt`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${owner.session.token}` },
    body: text,
  })
  const body: any = await response.json()
  expect(response.status, JSON.stringify(body)).toBe(201)
  return body.file.id
}
