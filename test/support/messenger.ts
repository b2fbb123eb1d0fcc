// A messenger in the test's process: real database, real methods, tasks of the pool in this thread; what it asks of the
// relay is recorded, and a test may let homes refuse.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Log } from '../../src/base/log.ts'
import { configSchema, type MessengerOptions } from '../../src/config/schema.ts'
import { openSession } from '../../src/messenger/accounts/sessions.ts'
import { createMessenger, type Messenger } from '../../src/messenger/core.ts'
import { Effects } from '../../src/messenger/effects.ts'
import type { UserRole } from '../../src/messenger/model.ts'
import { startPool } from '../../src/messenger/pool/run.ts'
import type { Pool, PublishOutcome, Relay } from '../../src/messenger/ports.ts'
import { addMember } from '../../src/messenger/store/conversations.ts'
import { Database } from '../../src/messenger/store/database.ts'
import { DATABASE_FILE, EVERYONE } from '../../src/messenger/store/schema.ts'
import { insertUser } from '../../src/messenger/store/users.ts'
import { slotCount } from '../../src/metrics/slots.ts'
import type { Call, CallOutcome, Login, Who } from '../../src/protocol/call.ts'
import type { Order } from '../../src/session/orders.ts'

/** For `expect.poll`: how long is no matter, only that it comes. */
export const PATIENTLY = { timeout: 20_000, interval: 10 }

export class RecordingRelay implements Relay {
  readonly publications: { channel: string; data: any }[] = []
  readonly orders: Order[] = []
  readonly notices: { topic: string; text: string }[] = []
  /** Connections of users by their ids. */
  readonly connected = new Map<string, number>()
  /** What a home answers; in the next turn of the loop, as a real one. */
  answer: (channel: string, data: any) => PublishOutcome = () => ({ ok: true })
  /** Until it is resolved no order is done. */
  ordersDone: Promise<void> = Promise.resolve()

  publish = (channel: string, text: string, done: (outcome: PublishOutcome) => void) => {
    const data = JSON.parse(text)
    setImmediate(() => {
      const outcome = this.answer(channel, data)
      if (outcome.ok) this.publications.push({ channel, data })
      done(outcome)
    })
  }

  order = (order: Order, done: () => void) => {
    this.orders.push(order)
    void this.ordersDone.then(done)
  }

  notice = (topic: string, text: string) => {
    this.notices.push({ topic, text })
  }

  connections = (user: string) => this.connected.get(user) ?? 0

  /** Events of a channel, in their order. */
  eventsOf(channel: string): any[] {
    return this.publications.filter(one => one.channel === channel).map(({ data }) => data)
  }
}

export class CallFailed extends Error {
  readonly code: number
  readonly temporary: boolean
  readonly retryAfterMs: number | undefined

  constructor({ error }: Extract<CallOutcome, { ok: false }>) {
    super(error.message)
    this.code = error.code
    this.temporary = error.temporary
    this.retryAfterMs = error.retryAfterMs
  }
}

export type TestUser = Readonly<{
  id: number
  nickname: string
  login: Login
  /** Of the login, for HTTP. */
  token: string
  /** As from a connection of this user. Rejects with CallFailed. */
  call: (method: string, input?: object) => Promise<any>
}>

export type TestMessenger = Readonly<{
  messenger: Messenger
  relay: RecordingRelay
  pool: Pool
  options: MessengerOptions
  /** The data directory. */
  path: string
  /** Another connection to the same database, which may write: for what a test sets up, and to look. */
  db: Database
  /** The time of the messenger. Starts at the true one. */
  clock: { nowMs: number }
  row: Float64Array
  /** Lines of the log from `warn` up. */
  log: object[]
  /** Anybody's call; the whole outcome. */
  outcome: (call: Partial<Call> & { method: string }) => Promise<CallOutcome>
  /** The same, with its result. Rejects with CallFailed. */
  call: (who: Who, method: string, input?: object, rest?: Partial<Call>) => Promise<any>
  /** An account without a password, logged in. */
  addUser: (nickname: string, role?: UserRole) => TestUser
  close: () => Promise<void>
}>

/** Closed, and its directory removed, when the test has ended; `path` given: that directory is the test's to remove. */
export function openMessenger(changed: Partial<MessengerOptions> & { path?: string } = {}): TestMessenger {
  const path = changed.path ?? mkdtempSync(join(tmpdir(), 'fanwire-messenger-'))
  const generous = { signups_per_hour: 1_000_000, logins_per_minute: 1_000_000, message_rate: 1_000_000 }
  const options = { ...configSchema.parse({}).messenger, ...generous, ...changed, enabled: true, path }
  const relay = new RecordingRelay()
  const row = new Float64Array(slotCount)
  const clock = { nowMs: Date.now() }
  const lines: object[] = []
  const pool = poolInProcess(options)
  const tokenKey = new Uint8Array(32).fill(7)
  const nowMs = () => clock.nowMs
  const messenger = createMessenger({
    path,
    options,
    relay,
    pool: pool.pool,
    tokenKey,
    row,
    log: logTo(lines),
    nowMs,
  })
  const db = Database.openWriter(join(path, DATABASE_FILE))

  const outcome = (call: Partial<Call> & { method: string }) =>
    new Promise<CallOutcome>(resolve => {
      messenger.call({ ...PLAIN_CALL, ...call }, resolve)
    })
  const call = async (who: Who, method: string, input: object = {}, rest: Partial<Call> = {}) => {
    const answer = await outcome({ ...rest, who, method, data: JSON.stringify(input) })
    if (!answer.ok) throw new CallFailed(answer)
    return JSON.parse(answer.data)
  }
  const addUser = (nickname: string, role: UserRole = 'user') => {
    const { id, token, session } = insertAccount(db, options, clock.nowMs, nickname, role)
    const login = { user: id, session }
    const who = { kind: 'login', ...login } as const
    return {
      id,
      nickname,
      login,
      token,
      call: (method: string, input?: object) => call(who, method, input, { client: `c${id}` }),
    }
  }
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= messenger.close().then(() => db.close())
    return closing
  }
  onTestFinished(async () => {
    await close()
    if (changed.path === undefined) rmSync(path, { recursive: true, force: true })
  })
  const parts = { messenger, relay, pool: pool.pool, options, path, db, clock, row, log: lines }
  return { ...parts, outcome, call, addUser, close }
}

const PLAIN_CALL: Call = {
  method: '',
  data: '',
  who: { kind: 'stranger' },
  client: 'client',
  address: '127.0.0.1',
  device: 'test',
  transport: 'websocket',
}

/** Opened at the first task: the database is there by then. */
function poolInProcess(options: MessengerOptions): { pool: Pool } {
  let run: Pool['run'] | undefined
  const pool: Pool = {
    run: async (kind, input) => {
      run ??= startPool({ options })
      return run(kind, structuredClone(input))
    },
  }
  return { pool }
}

function insertAccount(
  db: Database,
  options: MessengerOptions,
  nowMs: number,
  nickname: string,
  role: UserRole,
) {
  const key = nickname.toLowerCase()
  db.exec('BEGIN IMMEDIATE')
  const names = { nickname, nicknameKey: key, displayName: nickname, displayKey: key }
  const id = insertUser(db, { ...names, passwordHash: '', role, nowMs })
  addMember(db, EVERYONE, id, 'member', nowMs)
  const context = { db, nowMs, options, effects: new Effects() }
  const session = openSession(context, id, { address: '127.0.0.1', device: 'test' })
  db.exec('COMMIT')
  return { id, token: session.token, session: session.id }
}

function logTo(lines: object[]): Log {
  const add = (fields: object, text: string) => void lines.push({ ...fields, text })
  return { info: () => {}, warn: add, error: add }
}
