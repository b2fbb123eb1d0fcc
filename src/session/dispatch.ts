// Which step answers which command, of sessions that are opening and of live ones. Runs on the shard.

import { unreachable } from '../base/assert.ts'
import type { Command } from '../protocol/commands.ts'
import { emptyReply } from '../protocol/replies.ts'
import { callAsStranger, isForStrangers } from './calls.ts'
import { answerConnect, answerRefresh } from './connect.ts'
import type { SessionPort } from './port.ts'
import { answerHistory, answerPresence, answerPresenceStats, answerPublish, answerRpc } from './requests.ts'
import type { Live, Opening } from './state.ts'
import { answerSubRefresh, answerSubscribe, answerUnsubscribe } from './subscriptions.ts'

/** The step that takes a command before the session is live; undefined: it must not be said there. */
export function stepBeforeConnect(
  session: SessionPort,
  opening: Opening,
  command: Command,
): (() => void) | undefined {
  const { messenger } = session.env
  if (command.kind === 'connect') return () => answerConnect(session, opening, command)
  if (messenger !== undefined && isForStrangers(command)) {
    return () => callAsStranger(session, messenger, opening, command)
  }
  return undefined
}

export function answerLive(
  session: SessionPort,
  live: Live,
  command: Exclude<Command, { kind: 'connect' }>,
): void {
  switch (command.kind) {
    case 'subscribe':
      return answerSubscribe(session, live, command)
    case 'unsubscribe':
      return answerUnsubscribe(session, live, command)
    case 'sub_refresh':
      return answerSubRefresh(session, live, command)
    case 'refresh':
      return answerRefresh(session, live, command)
    case 'publish':
      return answerPublish(session, live, command)
    case 'history':
      return answerHistory(session, live, command)
    case 'presence':
      return answerPresence(session, live, command)
    case 'presence_stats':
      return answerPresenceStats(session, live, command)
    case 'rpc':
      return answerRpc(session, live, command)
    case 'ping':
      return session.reply(emptyReply(command.id, 'ping'))
    case 'send':
    case 'pong':
      return
    default:
      unreachable(command)
  }
}
