// Logins: their tokens, when they end, and whose a call is. The messenger's thread.
// Invariant: a login counts only while it is in the database, unexpired, and its user active; all is asked at each call.

import { createHash, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto'
import { SignJWT } from 'jose'
import { randomId } from '../../base/random-id.ts'
import type { MessengerOptions } from '../../config/schema.ts'
import type { Login, Who } from '../../protocol/call.ts'
import { disconnects } from '../../protocol/codes.ts'
import { type Caller, DEVICE_LENGTH_MAX } from '../caller.ts'
import type { WriteContext } from '../method.ts'
import type { UserRole } from '../model.ts'
import type { Database } from '../store/database.ts'
import {
  deleteSessionsBefore,
  deleteSessionsPast,
  insertSession,
  type SessionOfUser,
  sessionById,
  sessionByTokenHash,
  setSessionUsed,
} from '../store/sessions.ts'

type Expiry = Pick<MessengerOptions, 'session_idle'>

/** Clocks that were set back and answers that were long on the way end no login early. */
export const EXPIRY_SLACK_MS = 60_000
/** The time of the last use is written anew only when it is this old. */
const TOUCH_AFTER_MS = 30_000
const TOKEN_BYTES = 32
const TOKEN = /^[A-Za-z0-9_-]{43}$/

export type Found = Readonly<{ user: number; role: UserRole; session: string; usedMs: number }>

/** Whose call it is; undefined: nobody's, or of a login that has ended. */
export function findCaller(db: Database, who: Who, nowMs: number, options: Expiry): Found | undefined {
  if (who.kind === 'stranger') return undefined
  const row = who.kind === 'login' ? sessionById(db, who.session) : sessionByToken(db, who.token)
  if (row === undefined || (who.kind === 'login' && row.user_id !== who.user)) return undefined
  if (row.state !== 'active' || isExpired(row, nowMs, options)) return undefined
  return { user: row.user_id, role: row.role, session: row.id, usedMs: row.used_ms }
}

/** Inside a transaction that is under way anyway: notes that the login is used, now and then. */
export function touchSession(db: Database, found: Found, nowMs: number): void {
  if (nowMs - found.usedMs >= TOUCH_AFTER_MS) setSessionUsed(db, found.session, nowMs)
}

function sessionByToken(db: Database, token: string): SessionOfUser | undefined {
  if (!TOKEN.test(token)) return undefined
  const hash = hashToken(token)
  const row = sessionByTokenHash(db, hash)
  // How long the look-up took says something of hashes, never of tokens; what it found is compared without saying more.
  return row !== undefined && timingSafeEqual(row.token_hash, hash) ? row : undefined
}

function isExpired(
  row: Pick<SessionOfUser, 'used_ms' | 'expires_ms'>,
  nowMs: number,
  options: Expiry,
): boolean {
  return nowMs > expiryOf(row, options) + EXPIRY_SLACK_MS
}

/** When a login ends unless it is used before; never later than its lifetime. */
export function expiryOf(row: Pick<SessionOfUser, 'used_ms' | 'expires_ms'>, options: Expiry): number {
  return Math.min(row.expires_ms, row.used_ms + options.session_idle)
}

function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

export type OpenedSession = Readonly<{ token: string; expires_ms: number; id: string }>

/** A new login of a user. The token is given once and can't be had again. */
export function openSession(
  { db, nowMs, effects, options }: WriteContext,
  user: number,
  { address, device }: Pick<Caller, 'address' | 'device'>,
): OpenedSession {
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const id = randomId()
  const row = {
    id,
    user_id: user,
    created_ms: nowMs,
    used_ms: nowMs,
    expires_ms: nowMs + options.session_lifetime,
    address,
    // It is listed beside others: nothing in it may move what stands around it.
    device: device.replace(/\p{C}/gu, '').slice(0, DEVICE_LENGTH_MAX),
  }
  insertSession(db, row, hashToken(token))
  for (const past of deleteSessionsPast(db, user, id, options.sessions_per_user)) {
    effects.end(user, past, disconnects.sessionEnded)
  }
  return { token, expires_ms: expiryOf(row, options), id }
}

/** Deletes some logins that have ended by themselves, and closes what connections they have left. */
export function endExpiredSessions({ db, nowMs, effects, options }: WriteContext, limit: number): void {
  const expiresMs = nowMs - EXPIRY_SLACK_MS
  const ended = deleteSessionsBefore(db, { expiresMs, usedMs: expiresMs - options.session_idle }, limit)
  for (const { id, user_id } of ended) effects.end(user_id, id, disconnects.sessionEnded)
}

/** A connection token: shards check it without asking anybody. `key`: token.key of the data directory. */
export async function signToken(
  key: Uint8Array,
  login: Login,
  nowMs: number,
  lifetimeMs: number,
): Promise<{ token: string; expires_ms: number }> {
  const expiresSeconds = Math.floor((nowMs + lifetimeMs) / 1000)
  const token = await new SignJWT({ sid: login.session })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(String(login.user))
    .setIssuedAt(Math.floor(nowMs / 1000))
    .setExpirationTime(expiresSeconds)
    .sign(createSecretKey(key))
  return { token, expires_ms: expiresSeconds * 1000 }
}
