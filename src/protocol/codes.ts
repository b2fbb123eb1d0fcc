// The one table of codes that clients and the HTTP API see. Any thread.
// Numbers and texts are those of Centrifugo v6, so that its SDKs act on them as their authors meant.

export type ErrorCode = Readonly<{
  code: number
  message: string
  temporary: boolean
  /** When it may be tried again, where that is known. */
  retryAfterMs?: number
}>
export type Disconnect = Readonly<{ code: number; reason: string }>
export type Unsubscribe = Readonly<{ code: number; reason: string }>

const permanent = (code: number, message: string): ErrorCode => ({ code, message, temporary: false })
const temporary = (code: number, message: string): ErrorCode => ({ code, message, temporary: true })

export const errors = {
  internal: temporary(100, 'internal server error'),
  unauthorized: permanent(101, 'unauthorized'),
  unknownChannel: permanent(102, 'unknown channel'),
  permissionDenied: permanent(103, 'permission denied'),
  methodNotFound: permanent(104, 'method not found'),
  alreadySubscribed: permanent(105, 'already subscribed'),
  limitExceeded: permanent(106, 'limit exceeded'),
  badRequest: permanent(107, 'bad request'),
  notAvailable: permanent(108, 'not available'),
  tokenExpired: permanent(109, 'token expired'),
  expired: permanent(110, 'expired'),
  tooManyRequests: temporary(111, 'too many requests'),
  unrecoverablePosition: permanent(112, 'unrecoverable position'),
} as const satisfies Record<string, ErrorCode>

/** The same code with a message that names the bad value; clients decide by the code alone. */
export function detailed(error: ErrorCode, detail: string): ErrorCode {
  return { ...error, message: `${error.message}: ${detail}` }
}

/** A shared table or a ring is full: nothing is wrong with the request, and later it may be granted. */
export function serverFull(what: string): ErrorCode {
  return {
    ...errors.limitExceeded,
    message: `${errors.limitExceeded.message}: ${what} is full`,
    temporary: true,
  }
}

/** 3000–3499 ask the client to reconnect, 3500–3999 ask it not to. */
export const disconnects = {
  connectionClosed: { code: 3000, reason: 'connection closed' },
  shutdown: { code: 3001, reason: 'shutdown' },
  serverError: { code: 3004, reason: 'internal server error' },
  expired: { code: 3005, reason: 'connection expired' },
  subscriptionExpired: { code: 3006, reason: 'subscription expired' },
  slow: { code: 3008, reason: 'slow' },
  writeError: { code: 3009, reason: 'write error' },
  insufficientState: { code: 3010, reason: 'insufficient state' },
  forceReconnect: { code: 3011, reason: 'force reconnect' },
  noPong: { code: 3012, reason: 'no pong' },
  tooManyRequests: { code: 3013, reason: 'too many requests' },
  invalidToken: { code: 3500, reason: 'invalid token' },
  badRequest: { code: 3501, reason: 'bad request' },
  stale: { code: 3502, reason: 'stale' },
  forceNoReconnect: { code: 3503, reason: 'force disconnect' },
  connectionLimit: { code: 3504, reason: 'connection limit' },
  channelLimit: { code: 3505, reason: 'channel limit' },
  permissionDenied: { code: 3507, reason: 'permission denied' },
  notAvailable: { code: 3508, reason: 'not available' },
  tooManyErrors: { code: 3509, reason: 'too many errors' },
  /** Logged out, or the login has expired or was revoked. */
  sessionEnded: { code: 4500, reason: 'session ended' },
  /** An administrator has blocked the user, or the account was deleted. */
  accountClosed: { code: 4501, reason: 'account closed' },
} as const satisfies Record<string, Disconnect>

/** The same code with a reason that names the bad value, cut to what a close frame can carry. */
export function because(disconnect: Disconnect, detail: string): Disconnect {
  return { code: disconnect.code, reason: cutToBytes(`${disconnect.reason}: ${detail}`, REASON_BYTES_MAX) }
}

/** Whether a client that gets this code comes back by itself. */
export function reconnects(code: number): boolean {
  return !((code >= 3500 && code < 4000) || (code >= 4500 && code < 5000))
}

/** 2000–2499: the client stays unsubscribed; 2500–2999: it subscribes again at once. */
export const unsubscribes = {
  server: { code: 2000, reason: 'server unsubscribe' },
  insufficientState: { code: 2500, reason: 'insufficient state' },
  expired: { code: 2501, reason: 'subscription expired' },
} as const satisfies Record<string, Unsubscribe>

/** RFC 6455 gives a close frame 125 bytes, two of them for the code. */
export const REASON_BYTES_MAX = 123

/** The longest beginning of a text that fits in so many bytes of UTF-8, never cutting a character in two. */
export function cutToBytes(text: string, bytesMax: number): string {
  const bytes = new TextEncoder().encode(text)
  if (bytes.length <= bytesMax) return text
  let end = bytesMax
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  return new TextDecoder().decode(bytes.subarray(0, end))
}
