// Calls of methods: who calls, whether the method is for them, whether the input is right, and where it runs. The
// messenger's thread. Invariant: each call has exactly one outcome, and what a client claims of itself counts nowhere.

import { z } from 'zod'
import type { MessengerOptions } from '../config/schema.ts'
import { slots } from '../metrics/slots.ts'
import type { Call, CallOutcome, Login, Who } from '../protocol/call.ts'
import { type Found, findCaller, touchSession } from './accounts/sessions.ts'
import type { Caller } from './caller.ts'
import type { GroupCommit } from './commit.ts'
import { type Effect, Effects } from './effects.ts'
import { CallError } from './failures.ts'
import { FairPool } from './fair-pool.ts'
import type { Method, StepsContext, StepsMethod, WriteMethod } from './method.ts'
import { methods } from './methods/registry.ts'
import type { Guards, Online, Pool } from './ports.ts'
import type { Database } from './store/database.ts'

/** Calls at once that wait or run, of all clients together. */
const OPEN_MAX = 10_000
/** A login that only reads is noted as used so often; who writes is noted on the way. */
const TOUCH_INTERVAL_MS = 60_000
/** Of the name of a method that there is not. */
const NAME_SHOWN_LENGTH = 64
/** Longer values are named by their field alone. */
const SHOWN_LENGTH_MAX = 40
/** It may name what the client sent. */
const DETAIL_LENGTH_MAX = 300

export type CallsOptions = Readonly<{
  db: Database
  commit: GroupCommit
  pool: Pool
  guards: Guards
  online: Online
  signToken: StepsContext['signToken']
  carryOut: (effects: readonly Effect[]) => void
  options: MessengerOptions
  nowMs: () => number
  row: Float64Array
  /** An error that is a fault of the program; the caller gets `internal`. */
  onFault: (error: unknown) => void
}>

type Done = (outcome: CallOutcome) => void
type Failed = Readonly<{ ok: false; error: unknown }>
/** `effects`: behind the answer. */
type Ended =
  | Readonly<{ ok: true; data: string; login?: Login | undefined; effects?: readonly Effect[] }>
  | Failed

export class Calls {
  readonly #o: CallsOptions
  readonly #pool: FairPool
  #open = 0

  constructor(options: CallsOptions) {
    this.#o = options
    this.#pool = new FairPool(options.pool)
  }

  call(call: Call, done: Done): void {
    if (this.#open >= OPEN_MAX) return this.#answer(call, done, { ok: false, error: new CallError('busy') })
    this.#open += 1
    const settle = (ended: Ended) => {
      this.#open -= 1
      this.#answer(call, done, ended)
      if (ended.ok && ended.effects !== undefined) this.#o.carryOut(ended.effects)
    }
    try {
      this.#start(call, settle)
    } catch (error) {
      settle({ ok: false, error })
    }
  }

  #start(call: Call, settle: (ended: Ended) => void): void {
    const method = methodOf(call)
    const input = inputOf(method, call)
    if (method.kind === 'write') return this.#write(method, call, input, settle)
    const caller = this.#callerOf(method, call)
    const running =
      method.kind === 'read'
        ? this.#read(method.name, caller, input)
        : this.#runSteps(method, call, caller, input)
    running.then(settle, (error: unknown) => settle({ ok: false, error }))
  }

  /** Who calls is found out within the transaction: a login that ended before it in the same one counts no more. */
  #write(
    method: WriteMethod<unknown, unknown>,
    call: Call,
    input: unknown,
    settle: (ended: Ended) => void,
  ): void {
    this.#o.commit.write(
      context => {
        const caller = this.#callerOf(method, call)
        if (method.rated) this.#o.guards.message(caller.user)
        return jsonOf(method.run(context, caller, input))
      },
      outcome => settle(outcome.ok ? { ok: true, data: outcome.value } : { ok: false, error: outcome.error }),
    )
  }

  async #read(method: string, caller: Caller, data: unknown): Promise<Ended> {
    return { ok: true, data: await this.#pool.of(caller.user).run('read', { method, caller, data }) }
  }

  async #runSteps(
    method: StepsMethod<unknown, unknown>,
    call: Call,
    caller: Caller,
    input: unknown,
  ): Promise<Ended> {
    const { db, commit, guards, online, signToken, options, nowMs } = this.#o
    const effects = new Effects()
    let login: Login | undefined
    const context: StepsContext = {
      db,
      nowMs,
      options,
      pool: this.#pool.of(caller.user),
      online,
      guards,
      signToken,
      effects,
      grant: granted => {
        login = granted
      },
      write: work =>
        commit.writeAsync(context => {
          // It may have ended while a step before took its time.
          if (caller.user !== 0) this.#mustStillBe(caller)
          return work(context)
        }),
    }
    const data = jsonOf(await method.run(context, caller, input))
    // Only over a connection that waits for its user.
    if (call.transport === 'http') login = undefined
    return { ok: true, data, login, effects: effects.list }
  }

  /** Throws what the caller gets who may not call it. */
  #callerOf(method: Method, call: Call): Caller {
    const found = this.#find(call.who)
    const { access } = method
    if (found === undefined && access !== 'stranger') throw new CallError('unauthorized')
    if (access === 'admin' && found?.role !== 'admin') throw new CallError('forbidden')
    const { client, address, device, transport } = call
    // What shards ask is theirs to bound; and to give something back must not be refused.
    if (found !== undefined && transport !== 'shard') this.#o.guards.called(found.user)
    const { user = 0, role = 'user', session = '' } = found ?? {}
    return { user, role, session, client, address, device, transport }
  }

  #find(who: Who): Found | undefined {
    const { db, commit, options, nowMs } = this.#o
    const found = findCaller(db, who, nowMs(), options)
    if (found === undefined) return undefined
    if (db.isInTransaction) touchSession(db, found, nowMs())
    else if (nowMs() - found.usedMs >= TOUCH_INTERVAL_MS) {
      // Nobody waits for it, and the next call tries again.
      commit.write(
        context => touchSession(context.db, found, context.nowMs),
        () => {},
      )
    }
    return found
  }

  #mustStillBe({ user, session }: Caller): void {
    const { db, options, nowMs } = this.#o
    const found = findCaller(db, { kind: 'login', user, session }, nowMs(), options)
    if (found === undefined) throw new CallError('unauthorized')
  }

  #answer(call: Call, done: Done, ended: Ended): void {
    const { row } = this.#o
    if (call.method === 'auth.login') row[slots.messengerLogins[ended.ok ? 'ok' : 'refused']]! += 1
    if (ended.ok) {
      row[slots.messengerCalls.ok]! += 1
      const { data, login } = ended
      return done(login === undefined ? { ok: true, data } : { ok: true, data, login })
    }
    const error = this.#refusalOf(ended.error)
    const isOurs = error.kind === 'internal' || error.kind === 'storage' || error.kind === 'busy'
    row[slots.messengerCalls[isOurs ? 'failed' : 'refused']]! += 1
    done({ ok: false, error: error.error })
  }

  #refusalOf(error: unknown): CallError {
    if (error instanceof CallError) return error
    this.#o.onFault(error)
    return new CallError('internal')
  }
}

function methodOf({ method: name, transport }: Call): Method {
  const method = methods.get(name)
  // To those outside, methods of our own shards do not exist.
  if (method === undefined || (method.access === 'shard' && transport !== 'shard')) {
    throw new CallError('method_not_found', JSON.stringify(name.slice(0, NAME_SHOWN_LENGTH)))
  }
  return method
}

/** What a method without a result answers with. */
function jsonOf(output: unknown): string {
  return output === undefined ? '{}' : JSON.stringify(output)
}

function inputOf(method: Method, { data, transport }: Call): unknown {
  let given: unknown = {}
  try {
    if (data !== '') given = JSON.parse(data)
  } catch {
    throw new CallError('bad_request', 'the data is no JSON')
  }
  // Newer clients may send more over the client protocol; in a request over HTTP it is a mistake.
  const schema = transport === 'http' ? strictOf(method.input) : method.input
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const path = issue?.path ?? []
  const detail =
    path.length === 0
      ? `${issue?.message}`
      : `${path.join('.')}${shownAt(given, path, method.name)}: ${issue?.message}`
  throw new CallError('bad_request', detail.slice(0, DETAIL_LENGTH_MAX))
}

/** The value that is wrong, where it is short and no secret: what these methods are given may be a password. */
function shownAt(given: unknown, path: readonly PropertyKey[], method: string): string {
  if (method.startsWith('auth.') || method.startsWith('admin.')) return ''
  let value = given
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return ''
    value = (value as Readonly<Record<PropertyKey, unknown>>)[key]
  }
  if (typeof value === 'object' || value === undefined) return ''
  const shown = JSON.stringify(value)
  return shown.length > SHOWN_LENGTH_MAX ? '' : ` ${shown}`
}

const strict = new Map<z.ZodType, z.ZodType>()

function strictOf(schema: z.ZodType): z.ZodType {
  let made = strict.get(schema)
  if (made === undefined) {
    made = schema instanceof z.ZodObject ? schema.strict() : schema
    strict.set(schema, made)
  }
  return made
}
