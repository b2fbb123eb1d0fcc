// The commands that ask a channel's home for something: publish, history, presence, and rpc. Runs on the shard.

import { mayPublish, mayReadHistory, mayReadPresence } from '../auth/permissions.ts'
import type { ResolvedChannel } from '../config/namespaces.ts'
import { slots } from '../metrics/slots.ts'
import { detailed, type ErrorCode, errors } from '../protocol/codes.ts'
import type { Command } from '../protocol/commands.ts'
import {
  clientInfo,
  emptyReply,
  historyResult,
  presenceResult,
  presenceStatsResult,
  resultReply,
} from '../protocol/replies.ts'
import { askHome } from './ask-home.ts'
import { callLive } from './calls.ts'
import type { SessionPort } from './port.ts'
import type { Live } from './state.ts'

type Of<K extends Command['kind']> = Extract<Command, { kind: K }>
type Known = Extract<ResolvedChannel, { kind: 'known' }>

export function answerPublish(session: SessionPort, live: Live, command: Of<'publish'>): void {
  const { id, channel, data } = command
  const found = find(session, live, channel)
  if (!found.ok) return session.fail(id, 'publish', found.error)
  if (mayPublish(found.known.options, found.who) === 'denied') {
    return session.fail(id, 'publish', errors.permissionDenied)
  }
  const info = infoIn(live, channel)
  const ask = { channel, data, info, tags: '', skipHistory: false, idempotencyKey: '' }
  session.env.directory.ask('publish', ask, outcome => {
    if (!session.isOpen) return
    if (!outcome.ok) return session.fail(id, 'publish', outcome.error)
    session.env.row[slots.publications.client]! += 1
    session.reply(emptyReply(id, 'publish'))
  })
}

export function answerHistory(session: SessionPort, live: Live, command: Of<'history'>): void {
  const { id, channel, limit, since, reverse } = command
  const found = find(session, live, channel)
  if (!found.ok) return session.fail(id, 'history', found.error)
  const refusal = refusalOf(mayReadHistory(found.known.options, found.who))
  if (refusal !== undefined) return session.fail(id, 'history', refusal)
  const ask = {
    channel,
    limit,
    countMax: session.env.config.client.history_max_publication_limit,
    hasSince: since !== undefined,
    sinceEpoch: since?.epoch ?? '',
    sinceOffset: since?.offset ?? 0,
    reverse,
  }
  askHome(session, 'history', ask, 'large', outcome => {
    if (!session.isOpen) return
    if (!outcome.ok) return session.fail(id, 'history', outcome.error)
    const { publications, epoch, offset } = outcome.value
    session.reply(resultReply(id, 'history', historyResult(publications, epoch, offset)))
  })
}

export function answerPresence(session: SessionPort, live: Live, command: Of<'presence'>): void {
  const { id, channel } = command
  const refusal = presenceRefusal(session, live, channel)
  if (refusal !== undefined) return session.fail(id, 'presence', refusal)
  askHome(session, 'presence', { channel }, 'large', outcome => {
    if (!session.isOpen) return
    if (!outcome.ok) return session.fail(id, 'presence', outcome.error)
    session.reply(resultReply(id, 'presence', presenceResult(outcome.value.members)))
  })
}

export function answerPresenceStats(session: SessionPort, live: Live, command: Of<'presence_stats'>): void {
  const { id, channel } = command
  const refusal = presenceRefusal(session, live, channel)
  if (refusal !== undefined) return session.fail(id, 'presence_stats', refusal)
  session.env.directory.ask('presenceStats', { channel }, outcome => {
    if (!session.isOpen) return
    if (!outcome.ok) return session.fail(id, 'presence_stats', outcome.error)
    const { clients, users } = outcome.value
    session.reply(resultReply(id, 'presence_stats', presenceStatsResult(clients, users)))
  })
}

export function answerRpc(session: SessionPort, live: Live, command: Of<'rpc'>): void {
  const { id, method, data } = command
  const { rpc, messenger } = session.env
  const call = rpc.get(method)
  if (call === undefined && messenger !== undefined) return callLive(session, messenger, live, command)
  if (call === undefined) return session.fail(id, 'rpc', detailed(errors.methodNotFound, `"${method}"`))
  call({ client: live.client, user: live.identity.user, data }, outcome => {
    if (!session.isOpen) return
    if (!outcome.ok) return session.fail(id, 'rpc', outcome.error)
    session.reply(resultReply(id, 'rpc', `{"data":${outcome.data}}`))
  })
}

type Who = { user: string; subscribed: boolean; insecure: boolean }

function find(
  session: SessionPort,
  live: Live,
  channel: string,
): { ok: true; known: Known; who: Who } | { ok: false; error: ErrorCode } {
  const { namespaces, config } = session.env
  const known = namespaces.resolve(channel)
  if (known.kind === 'bad') return { ok: false, error: detailed(errors.badRequest, known.why) }
  if (known.kind === 'unknown') return { ok: false, error: errors.unknownChannel }
  const subscribed = live.subscriptions.get(channel)?.state === 'live'
  return { ok: true, known, who: { user: live.identity.user, subscribed, insecure: config.client.insecure } }
}

function presenceRefusal(session: SessionPort, live: Live, channel: string): ErrorCode | undefined {
  const found = find(session, live, channel)
  return found.ok ? refusalOf(mayReadPresence(found.known.options, found.who)) : found.error
}

function refusalOf(decision: 'allowed' | 'denied' | 'not_available'): ErrorCode | undefined {
  if (decision === 'allowed') return undefined
  return decision === 'denied' ? errors.permissionDenied : errors.notAvailable
}

function infoIn(live: Live, channel: string): string {
  const channelInfo = live.subscriptions.get(channel)?.channelInfo
  return clientInfo(live.client, live.identity.userJson, live.identity.info, channelInfo)
}
