// Calls of the messenger, made by clients with the command `rpc`: before they connect, to log in, and live.
// Runs on the shard. Invariant: how many calls of a connection are open is bounded, and each is answered at most once.

import { monotonicMs } from '../base/clock.ts'
import type { CallOutcome, MessengerPort } from '../protocol/call.ts'
import { because, detailed, disconnects, errors } from '../protocol/codes.ts'
import type { Command } from '../protocol/commands.ts'
import { resultReply } from '../protocol/replies.ts'
import type { SessionPort } from './port.ts'
import type { Live, Opening } from './state.ts'

type Rpc = Extract<Command, { kind: 'rpc' }>

/** What strangers may call begins with this; which of them it is the messenger knows. */
const STRANGERS_PREFIX = 'auth.'
/** Somebody who mistypes a password logs in with fewer; more are tries, and cost a connection each. */
const STRANGERS_CALLS_MAX = 10
/** Nickname, password and display name, each character written as \uXXXX, have less. */
const STRANGERS_DATA_LENGTH_MAX = 4096
/**
 * So many pages of the archive fit into an outbox. With more of them at once a client that reads as fast as it can would
 * be ended as a slow one; a user has no more carried out at once anyway.
 */
const OPEN_CALLS_MAX = 4

/** Whether a connection may say this before `connect`. */
export function isForStrangers(command: Command): command is Rpc {
  return command.kind === 'rpc' && command.method.startsWith(STRANGERS_PREFIX)
}

/** Commands that come behind it wait: `connect` needs what it brings. */
export function callAsStranger(
  session: SessionPort,
  messenger: MessengerPort,
  opening: Opening,
  command: Rpc,
): void {
  const { id, method, data } = command
  if (opening.calls >= STRANGERS_CALLS_MAX) {
    const why = `more than ${STRANGERS_CALLS_MAX} calls before connect`
    return session.refuse('rpc', because(disconnects.badRequest, why))
  }
  opening.calls++
  if (data.length > STRANGERS_DATA_LENGTH_MAX) {
    const why = `data of ${data.length} characters, before connect at most ${STRANGERS_DATA_LENGTH_MAX}`
    return session.fail(id, 'rpc', detailed(errors.badRequest, why))
  }
  const { wire } = session.outbox
  const { transport } = wire
  const who = { kind: 'stranger' } as const
  const call = { method, data, who, client: '', address: wire.address(), device: opening.device, transport }
  void session.hold(
    () =>
      new Promise((resolve, reject) => {
        messenger.call(call, outcome => {
          try {
            if (session.state === opening) {
              if (outcome.ok && outcome.login !== undefined) opening.login = outcome.login
              // Who types all this by hand needs the time again.
              const { stale_close_delay: delayMs } = session.env.config.client
              session.env.wheel.schedule(session, monotonicMs() + delayMs)
              answer(session, id, outcome)
            }
            resolve()
          } catch (error) {
            reject(error)
          }
        })
      }),
  )
}

/** Answers come in whatever order the messenger has them. With as many open as may be, commands behind it wait for one. */
export function callLive(session: SessionPort, messenger: MessengerPort, live: Live, command: Rpc): void {
  const { id, method, data } = command
  live.openCalls++
  const { wire } = session.outbox
  const { transport } = wire
  const who = { kind: 'login', user: Number(live.identity.user), session: live.identity.session } as const
  const call = { method, data, who, client: live.client, address: wire.address(), device: '', transport }
  messenger.call(call, outcome => {
    live.openCalls--
    live.onCallAnswered?.()
    if (session.state === live) answer(session, id, outcome)
  })
  if (live.openCalls < OPEN_CALLS_MAX) return
  void session.hold(
    () =>
      new Promise(resolve => {
        live.onCallAnswered = resolve
      }),
  )
}

function answer(session: SessionPort, id: number, outcome: CallOutcome): void {
  if (outcome.ok) session.reply(resultReply(id, 'rpc', `{"data":${outcome.data}}`))
  else session.fail(id, 'rpc', outcome.error)
}
