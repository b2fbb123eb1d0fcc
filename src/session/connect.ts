// The commands `connect` and `refresh`: who the client is, by a token or by the login that it made on this connection.
// Runs on the shard.

import type { ConnectionClaims, ServerSubscription } from '../auth/claims.ts'
import { wallMs } from '../base/clock.ts'
import { USER_ID_BYTES_MAX } from '../config/limits.ts'
import type { Login, MessengerPort } from '../protocol/call.ts'
import { because, disconnects, type ErrorCode, errors } from '../protocol/codes.ts'
import type { Command } from '../protocol/commands.ts'
import { refreshReply } from '../protocol/replies.ts'
import { type Connect, establish, type Grant } from './establish.ts'
import { isPast, ttlOf } from './expiry.ts'
import type { SessionPort } from './port.ts'
import { farewellOf } from './revalidation.ts'
import type { Live, Opening } from './state.ts'

type Refresh = Extract<Command, { kind: 'refresh' }>

const ANONYMOUS: Grant = { user: '', info: undefined, session: '', expireAt: 0, channels: new Map() }

export function answerConnect(session: SessionPort, opening: Opening, command: Connect): void {
  const { config, messenger } = session.env
  const { client } = config
  if (command.token !== '') {
    void session.hold(() => connectWithToken(session, command))
  } else if (messenger !== undefined) {
    const { login } = opening
    if (login === undefined) {
      return session.refuse('connect', because(disconnects.invalidToken, 'a token or a login is required'))
    }
    // The messenger ends the connection with the login.
    void session.hold(() => connectLogin(session, command, messenger, login, 0))
  } else if (client.insecure || client.allow_anonymous_connect_without_token) {
    establish(session, command, ANONYMOUS)
  } else {
    session.refuse('connect', because(disconnects.invalidToken, 'a token is required'))
  }
}

async function connectWithToken(session: SessionPort, command: Connect): Promise<void> {
  const { connectionTokens, messenger } = session.env
  const result = await connectionTokens.verifyConnection(command.token, wallMs())
  if (session.state.kind !== 'opening') return
  switch (result.kind) {
    case 'valid':
      if (isPast(result.claims.expireAt)) return session.fail(command.id, 'connect', errors.tokenExpired)
      if (messenger === undefined) return connectUser(session, command, result.claims)
      return connectLogin(session, command, messenger, loginOf(result.claims), result.claims.expireAt)
    case 'expired':
      return session.fail(command.id, 'connect', errors.tokenExpired)
    case 'unavailable':
      return session.fail(command.id, 'connect', errors.internal)
    case 'invalid':
      return session.refuse('connect', because(disconnects.invalidToken, result.why))
  }
}

/** A user of the operator's own. */
async function connectUser(session: SessionPort, command: Connect, claims: ConnectionClaims): Promise<void> {
  const { user, info, expireAt, channels, subs } = claims
  if (Buffer.byteLength(user) > USER_ID_BYTES_MAX) {
    const why = `sub has more than ${USER_ID_BYTES_MAX} bytes`
    return session.refuse('connect', because(disconnects.invalidToken, why))
  }
  const named = new Map<string, ServerSubscription>(channels.map(channel => [channel, {}]))
  for (const [channel, subscription] of subs) named.set(channel, subscription)
  await establish(session, command, { user, info, session: '', expireAt, channels: named })
}

/** A user of the messenger, who may have logged out since the token was made. */
function connectLogin(
  session: SessionPort,
  command: Connect,
  messenger: MessengerPort,
  login: Login,
  expireAt: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    messenger.admit(login, outcome => {
      // Not in a later turn: the messenger's next orders are right behind its answer, and are for live sessions only.
      try {
        if (session.state.kind !== 'opening') return resolve()
        if (!outcome.ok) return resolve(refuseLogin(session, command, outcome.error))
        const { channels, info } = outcome.admission
        const named = new Map<string, ServerSubscription>(channels.map(channel => [channel, {}]))
        const user = String(login.user)
        const grant = { user, info: info || undefined, session: login.session, expireAt, channels: named }
        resolve(establish(session, command, grant))
      } catch (error) {
        reject(error)
      }
    })
  })
}

/** Checked with the token: the user is a number. */
function loginOf({ user, session }: ConnectionClaims): Login {
  return { user: Number(user), session }
}

function refuseLogin(session: SessionPort, command: Connect, error: ErrorCode): void {
  if (error.temporary) session.fail(command.id, 'connect', error)
  else session.refuse('connect', farewellOf(error))
}

export function answerRefresh(session: SessionPort, live: Live, command: Refresh): void {
  if (command.token === '')
    return session.refuse('refresh', because(disconnects.badRequest, 'refresh needs a token'))
  void session.hold(async () => {
    const result = await session.env.connectionTokens.verifyConnection(command.token, wallMs())
    if (session.state !== live) return
    if (result.kind === 'invalid')
      return session.refuse('refresh', because(disconnects.invalidToken, result.why))
    if (result.kind === 'unavailable') return session.fail(command.id, 'refresh', errors.internal)
    if (result.kind === 'expired' || isPast(result.claims.expireAt)) {
      return session.fail(command.id, 'refresh', errors.tokenExpired)
    }
    const { user, session: login, info, expireAt } = result.claims
    if (user !== live.identity.user) {
      return session.refuse('refresh', because(disconnects.invalidToken, 'of another user'))
    }
    if (session.env.messenger === undefined) live.identity = { ...live.identity, info }
    else if (login !== live.identity.session) {
      return session.refuse('refresh', because(disconnects.invalidToken, 'of another login'))
    }
    live.expireAt = expireAt
    session.rescheduled()
    session.reply(refreshReply(command.id, live.client, session.env.version, expireAt > 0, ttlOf(expireAt)))
  })
}
