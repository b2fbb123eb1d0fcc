// A messenger in the test's process, on a data directory of its own, for tests of accounts: what a shard would ask it is
// asked here, and what it tells the relay is kept. Passwords are hashed for real.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configSchema, type MessengerOptions } from '../../../src/config/schema.ts'
import { createMessenger } from '../../../src/messenger/core.ts'
import { startPool } from '../../../src/messenger/pool/run.ts'
import type { Pool } from '../../../src/messenger/ports.ts'
import { Database } from '../../../src/messenger/store/database.ts'
import { DATABASE_FILE } from '../../../src/messenger/store/schema.ts'
import type { TaskKind } from '../../../src/messenger/tasks.ts'
import { slotCount } from '../../../src/metrics/slots.ts'
import type { AdmissionOutcome, Call, CallOutcome, Login, Who } from '../../../src/protocol/call.ts'
import type { Order } from '../../../src/session/orders.ts'

export const PASSWORD = 'correct horse battery'
export const TOKEN_KEY = new Uint8Array(32).fill(7)

export type Entered = Readonly<{
  user: { id: number; nickname: string; display_name: string; role: string; state: string }
  session: { token: string; expires_ms: number; id: string }
  connection: { token: string; expires_ms: number }
}>

export type World = Readonly<{
  path: string
  options: MessengerOptions
  clock: { nowMs: number }
  orders: Order[]
  /** Kinds of the tasks that the pool was given. */
  tasks: TaskKind[]
  /** Reads the database beside the messenger. */
  db: Database
  /** `who`: a session's token, a login, or nobody. Rejects with the error's code and message. */
  call: (
    who: string | Login | undefined,
    method: string,
    input?: unknown,
    more?: Partial<Call>,
  ) => Promise<any>
  outcome: (call: Partial<Call>) => Promise<CallOutcome>
  admit: (login: Login) => AdmissionOutcome
  sweep: () => void
  signup: (nickname: string, more?: object, call?: Partial<Call>) => Promise<Entered>
  login: (nickname: string, password?: string, call?: Partial<Call>) => Promise<Entered>
  close: () => Promise<void>
}>

export async function openWorld(changed: Partial<MessengerOptions> = {}): Promise<World> {
  const path = mkdtempSync(join(tmpdir(), 'fanwire-accounts-'))
  const many = { signups_per_hour: 1_000_000, logins_per_minute: 1_000_000 }
  const options = { ...configSchema.parse({}).messenger, enabled: true, path, ...many, ...changed }
  const clock = { nowMs: 1_700_000_000_000 }
  const orders: Order[] = []
  const tasks: TaskKind[] = []
  let runTask: ReturnType<typeof startPool> | undefined
  const pool: Pool = {
    run: async (kind, input) => {
      tasks.push(kind)
      runTask ??= startPool({ options })
      return runTask(kind, input)
    },
  }
  const log = { info: () => {}, warn: () => {}, error: (fields: object) => faults.push(fields) }
  const faults: object[] = []
  const messenger = createMessenger({
    path,
    options,
    relay: {
      publish: (_channel, _data, done) => done({ ok: true }),
      order: (order, done) => {
        orders.push(order)
        done()
      },
      notice: () => {},
      connections: () => 0,
    },
    pool,
    tokenKey: TOKEN_KEY,
    row: new Float64Array(slotCount),
    log,
    nowMs: () => clock.nowMs,
  })
  const db = Database.openReader(join(path, DATABASE_FILE))

  const outcome = (call: Partial<Call>) =>
    new Promise<CallOutcome>(resolve => {
      const whole = {
        method: '',
        data: '',
        who: { kind: 'stranger' } as Who,
        client: '',
        address: '192.0.2.1',
      }
      messenger.call({ ...whole, device: '', transport: 'http', ...call }, resolve)
    })
  const call: World['call'] = async (who, method, input = {}, more = {}) => {
    const result = await outcome({ method, data: JSON.stringify(input), who: whoOf(who), ...more })
    if (result.ok) return JSON.parse(result.data)
    throw Object.assign(new Error(`${result.error.code} ${result.error.message}`), {
      error: result.error,
      faults,
    })
  }
  return {
    path,
    options,
    clock,
    orders,
    tasks,
    db,
    call,
    outcome,
    admit: login => {
      let admitted: AdmissionOutcome | undefined
      messenger.admit(login, result => {
        admitted = result
      })
      return admitted!
    },
    sweep: () => messenger.sweep(clock.nowMs),
    signup: (nickname, more = {}, rest = {}) =>
      call(undefined, 'auth.signup', { nickname, password: PASSWORD, ...more }, rest),
    login: (nickname, password = PASSWORD, rest = {}) =>
      call(undefined, 'auth.login', { nickname, password }, rest),
    close: async () => {
      await messenger.close()
      db.close()
      rmSync(path, { recursive: true })
    },
  }
}

function whoOf(who: string | Login | undefined): Who {
  if (who === undefined) return { kind: 'stranger' }
  return typeof who === 'string' ? { kind: 'token', token: who } : { kind: 'login', ...who }
}
