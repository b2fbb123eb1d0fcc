// Writes replies and pushes of the client protocol as JSON text, one a line, without the line break. Any thread; pure.
// Payloads (`data`, `info`, …) are raw JSON texts and are put in as they are; zero values are left out.

import type { Disconnect, ErrorCode, Unsubscribe } from './codes.ts'

/** A ping of the server: an empty reply. */
export const PING = '{}'

export function errorReply(id: number, error: ErrorCode): string {
  return `{"id":${id},"error":${errorJson(error)}}`
}

export function errorJson(error: ErrorCode): string {
  const flag = error.temporary ? ',"temporary":true' : ''
  const wait = error.retryAfterMs === undefined ? '' : `,"retry_after_ms":${error.retryAfterMs}`
  return `{"code":${error.code},"message":${JSON.stringify(error.message)}${flag}${wait}}`
}

/** A result without fields, of publish, unsubscribe, ping. */
export function emptyReply(id: number, method: 'publish' | 'unsubscribe' | 'ping'): string {
  return `{"id":${id},"${method}":{}}`
}

export type ConnectResult = Readonly<{
  client: string
  version: string
  expires: boolean
  ttlS: number
  pingS: number
  pong: boolean
  /** Results of server-side subscriptions: channel → result, both as JSON text. */
  subs: ReadonlyArray<readonly [channelJson: string, result: string]>
}>

export function connectReply(id: number, result: ConnectResult): string {
  const subs = result.subs.map(([channel, json]) => `${channel}:${json}`).join(',')
  return (
    `{"id":${id},"connect":{"client":"${result.client}","version":"${result.version}"` +
    `${expiry(result.expires, result.ttlS)}` +
    `${subs === '' ? '' : `,"subs":{${subs}}`}` +
    `${result.pingS > 0 ? `,"ping":${result.pingS}` : ''}${result.pong ? ',"pong":true' : ''}}}`
  )
}

export function refreshReply(
  id: number,
  client: string,
  version: string,
  expires: boolean,
  ttlS: number,
): string {
  return `{"id":${id},"refresh":{"client":"${client}","version":"${version}"${expiry(expires, ttlS)}}}`
}

export function subRefreshReply(id: number, expires: boolean, ttlS: number): string {
  return `{"id":${id},"sub_refresh":{${expiry(expires, ttlS).slice(1)}}}`
}

export type SubscribeResult = Readonly<{
  expires: boolean
  ttlS: number
  recoverable: boolean
  positioned: boolean
  epoch: string
  offset: number
  wasRecovering: boolean
  recovered: boolean
  /** JSON texts of the missed publications, joined by commas; '' for none. */
  publications: string
  data: string | undefined
}>

/** The result object alone: it stands in a subscribe reply, and per channel in a connect reply. */
export function subscribeResult(result: SubscribeResult): string {
  const fields: string[] = []
  if (result.expires) fields.push(expiry(true, result.ttlS).slice(1))
  if (result.recoverable) fields.push('"recoverable":true')
  if (result.positioned) fields.push('"positioned":true')
  if (result.epoch !== '') fields.push(`"epoch":"${result.epoch}"`)
  if (result.offset > 0) fields.push(`"offset":${result.offset}`)
  if (result.publications !== '') fields.push(`"publications":[${result.publications}]`)
  if (result.recovered) fields.push('"recovered":true')
  if (result.wasRecovering) fields.push('"was_recovering":true')
  if (result.data !== undefined) fields.push(`"data":${result.data}`)
  return `{${fields.join(',')}}`
}

export function subscribeReply(id: number, result: string): string {
  return `{"id":${id},"subscribe":${result}}`
}

/** `publications`: JSON texts joined by commas. */
export function historyResult(publications: string, epoch: string, offset: number): string {
  return `{"publications":[${publications}],"epoch":"${epoch}","offset":${offset}}`
}

/** `members`: JSON texts `"client":{info}` joined by commas. */
export function presenceResult(members: string): string {
  return `{"presence":{${members}}}`
}

export function presenceStatsResult(clients: number, users: number): string {
  return `{"num_clients":${clients},"num_users":${users}}`
}

export function resultReply(
  id: number,
  method: 'history' | 'presence' | 'presence_stats' | 'rpc',
  result: string,
): string {
  return `{"id":${id},"${method}":${result}}`
}

/** `info`, `channelInfo`: raw JSON or undefined. */
export function clientInfo(
  client: string,
  userJson: string,
  info: string | undefined,
  channelInfo: string | undefined,
): string {
  return (
    `{"user":${userJson},"client":"${client}"` +
    `${info === undefined ? '' : `,"conn_info":${info}`}${channelInfo === undefined ? '' : `,"chan_info":${channelInfo}`}}`
  )
}

/** `info`: a clientInfo text; `tags`: an object's JSON text; `offset` 0: a channel without history. */
export function publication(
  data: string,
  offset: number,
  info: string | undefined,
  tags: string | undefined,
): string {
  return (
    `{"data":${data}${info === undefined ? '' : `,"info":${info}`}` +
    `${offset > 0 ? `,"offset":${offset}` : ''}${tags === undefined ? '' : `,"tags":${tags}`}}`
  )
}

export function publicationPush(channelJson: string, publicationJson: string): string {
  return `{"push":{"channel":${channelJson},"pub":${publicationJson}}}`
}

export function joinPush(channelJson: string, infoJson: string): string {
  return `{"push":{"channel":${channelJson},"join":{"info":${infoJson}}}}`
}

export function leavePush(channelJson: string, infoJson: string): string {
  return `{"push":{"channel":${channelJson},"leave":{"info":${infoJson}}}}`
}

/** `result`: a subscribeResult text of a server-side subscription. */
export function subscribePush(channelJson: string, result: string): string {
  return `{"push":{"channel":${channelJson},"subscribe":${result}}}`
}

export function unsubscribePush(channelJson: string, unsubscribe: Unsubscribe): string {
  const { code, reason } = unsubscribe
  return `{"push":{"channel":${channelJson},"unsubscribe":{"code":${code},"reason":${JSON.stringify(reason)}}}}`
}

/** On WebSocket the close frame says it; on TCP this is the last line. */
export function disconnectPush(disconnect: Disconnect, reconnect: boolean): string {
  const { code, reason } = disconnect
  const flag = reconnect ? ',"reconnect":true' : ''
  return `{"push":{"disconnect":{"code":${code},"reason":${JSON.stringify(reason)}${flag}}}}`
}

export function messagePush(data: string): string {
  return `{"push":{"message":{"data":${data}}}}`
}

export function refreshPush(expires: boolean, ttlS: number): string {
  return `{"push":{"refresh":{${expiry(expires, ttlS).slice(1)}}}}`
}

function expiry(expires: boolean, ttlS: number): string {
  return expires ? `,"expires":true,"ttl":${ttlS}` : ''
}
