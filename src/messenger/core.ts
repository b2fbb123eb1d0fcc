// The messenger: puts together what answers calls, writes, delivers and cleans up. Runs in the messenger's thread, on a
// data directory that nobody else writes to. Invariant: whatever was answered is durable.

import { join } from 'node:path'
import { reasonOf, StartError } from '../base/errors.ts'
import { Sampler } from '../base/guard.ts'
import type { Log } from '../base/log.ts'
import type { MessengerOptions } from '../config/schema.ts'
import { slots } from '../metrics/slots.ts'
import type { AdmissionOutcome, Login, MessengerPort } from '../protocol/call.ts'
import { findCaller, signToken } from './accounts/sessions.ts'
import { Calls } from './calls.ts'
import { GroupCommit } from './commit.ts'
import { Delivery } from './delivery.ts'
import { CallError } from './failures.ts'
import { FileSweep } from './files/sweep.ts'
import { createLoginGuards } from './guards/login.ts'
import { createRateGuards } from './guards/messages.ts'
import { Janitor } from './janitor.ts'
import type { Guards, Pool, Relay } from './ports.ts'
import { Presence } from './presence.ts'
import { noteAllTold, remindOfChanges } from './reminder.ts'
import { channelsOf } from './store/conversations.ts'
import { Database } from './store/database.ts'
import { migrate } from './store/migrate.ts'
import { DATABASE_FILE } from './store/schema.ts'
import { storageTotals } from './store/uploads.ts'
import { userById } from './store/users.ts'

export type MessengerWorld = Readonly<{
  /** Data directory. It exists, and is this process's alone. */
  path: string
  options: MessengerOptions
  relay: Relay
  pool: Pool
  /** Signs connection tokens. */
  tokenKey: Uint8Array
  /** The messenger's row of the metrics. */
  row: Float64Array
  log: Log
  nowMs: () => number
}>

export type Messenger = MessengerPort &
  Readonly<{
    /** Each second. */
    sweep: (nowMs: number) => void
    /** Resolves when the last batch is committed and told. Calls must have ended. */
    close: () => Promise<void>
  }>

/** Throws StartError when the database can't be opened. */
export function createMessenger(world: MessengerWorld): Messenger {
  const { options, relay, pool, tokenKey, row, log, nowMs } = world
  const db = openDatabase(world.path)
  const sampler = new Sampler()
  const onFault = (error: unknown) => {
    const times = sampler.count(reasonOf(error))
    if (times === 0) return
    const stack = error instanceof Error ? error.stack : undefined
    log.error({ reason: reasonOf(error), stack, times }, 'work of the messenger failed')
  }
  const delivery = new Delivery({ relay, row, log, nowMs })
  const carryOut = delivery.carryOut.bind(delivery)
  const commit = new GroupCommit({ db, options, nowMs, row, log, carryOut, onFault })
  const write = commit.writeAsync.bind(commit)
  const presence = new Presence({ relay, write, db, offlineAfterMs: options.offline_after, nowMs })
  const files = new FileSweep({ db, options, write, onError: onFault })
  files.begin()
  remindOfChanges({ db, options, nowMs, commit, carryOut })
  const janitor = new Janitor({ db, options, write, onError: onFault })
  const guards: Guards = {
    ...createLoginGuards({ options, nowMs }),
    ...createRateGuards(options.message_rate, nowMs),
  }
  const sign = (user: number, session: string) =>
    signToken(tokenKey, { user, session }, nowMs(), options.token_lifetime)
  const parts = { db, commit, pool, guards, carryOut, options, nowMs, row, onFault }
  const calls = new Calls({ ...parts, online: presence, signToken: sign })
  return {
    call: calls.call.bind(calls),
    admit(login, done) {
      let outcome: AdmissionOutcome = { ok: false, error: new CallError('internal').error }
      try {
        outcome = admit(db, login, options, nowMs())
        if (outcome.ok) presence.admitted(login.user)
      } catch (error) {
        onFault(error)
      }
      done(outcome)
    },
    sweep(now) {
      try {
        presence.sweep(now)
        files.sweep(now)
        void janitor.sweep(now)
        row[slots.messengerOnlineUsers] = presence.count
        row[slots.messengerStorageBytes] = storageTotals(db).stored_bytes
      } catch (error) {
        // The disk does not read; the next sweep tries again.
        onFault(error)
      }
    },
    async close() {
      await Promise.all([files.close(), janitor.close()])
      await presence.close()
      await commit.whenIdle()
      await delivery.close()
      if (delivery.undelivered === 0) await noteAllTold(commit)
      db.close()
    },
  }
}

function openDatabase(path: string): Database {
  try {
    const db = Database.openWriter(join(path, DATABASE_FILE))
    migrate(db)
    return db
  } catch (error) {
    if (error instanceof StartError) throw error
    throw new StartError(`the database in ${path} can't be opened: ${reasonOf(error)}`)
  }
}

function admit(db: Database, login: Login, options: MessengerOptions, nowMs: number): AdmissionOutcome {
  const { user, session } = login
  const found = findCaller(db, { kind: 'login', user, session }, nowMs, options)
  const row = found && userById(db, user)
  if (row === undefined) return { ok: false, error: new CallError('unauthorized').error }
  const info = JSON.stringify({ name: row.display_name })
  return { ok: true, admission: { channels: channelsOf(db, user, options), info } }
}
