// What the payload of a verified token means. Pure; runs on the shards.
// Invariant: only claims of exactly the documented types get through; a refusal names the claim, never its value.

import { z } from 'zod'

/** Options of the channel that hold otherwise for one subscription. */
export interface Override {
  readonly presence?: boolean
  readonly join_leave?: boolean
  readonly force_push_join_leave?: boolean
  readonly force_positioning?: boolean
  readonly force_recovery?: boolean
}

/** A subscription that the connection token orders. `info` and `data` are JSON text. */
export interface ServerSubscription {
  readonly info?: string
  readonly data?: string
  readonly override?: Override
}

export interface ConnectionClaims {
  /** The claim `sub`; '' is an anonymous user. */
  readonly user: string
  /**
   * When the connection expires, in seconds since 1970; 0 is never. The claim `expire_at` goes before `exp`, and is
   * not compared with the clock here: it may already be past.
   */
  readonly expireAt: number
  /** The claim `info` as JSON text. */
  readonly info: string | undefined
  /** Channels to subscribe to with the options of their namespace, each once. Empty when there are `subs`. */
  readonly channels: readonly string[]
  readonly subs: ReadonlyMap<string, ServerSubscription>
  /** The claim `sid`: public id of the login that the token was given to; '' where there is none. */
  readonly session: string
}

export interface SubscriptionClaims {
  /** Must equal the user of the connection; '' is an anonymous user. */
  readonly user: string
  /** Must equal the channel of the request. */
  readonly channel: string
  /** Where not '', the only client id that may use the token (an old claim, but one that restricts). */
  readonly client: string
  /** As in ConnectionClaims, for the subscription. */
  readonly expireAt: number
  readonly info: string | undefined
  readonly override: Override | undefined
}

export type ClaimsResult<T> = { kind: 'valid'; claims: T } | { kind: 'invalid'; why: string }

/** `channelsMax` bounds how many channels a token may subscribe its connection to. */
export function readConnectionClaims(payload: unknown, channelsMax: number): ClaimsResult<ConnectionClaims> {
  const parsed = connectionSchema.safeParse(payload)
  if (!parsed.success) return invalid(parsed.error)
  const { sub, sid, exp, expire_at, info, channels, subs } = parsed.data
  const ordered = new Map(Object.entries(subs))
  // As in Centrifugo: `subs` says more than `channels` and replaces it.
  const named = ordered.size > 0 ? [] : [...new Set(channels)]
  if (ordered.size > channelsMax || named.length > channelsMax) {
    const claim = ordered.size > 0 ? 'subs' : 'channels'
    return { kind: 'invalid', why: `claim "${claim}": more than ${channelsMax} channels` }
  }
  const expireAt = expire_at ?? exp ?? 0
  return {
    kind: 'valid',
    claims: { user: sub, session: sid, expireAt, info, channels: named, subs: ordered },
  }
}

export function readSubscriptionClaims(payload: unknown): ClaimsResult<SubscriptionClaims> {
  const parsed = subscriptionSchema.safeParse(payload)
  if (!parsed.success) return invalid(parsed.error)
  const { sub, channel, client, exp, expire_at, info, override } = parsed.data
  return {
    kind: 'valid',
    claims: { user: sub, channel, client, expireAt: expire_at ?? exp ?? 0, info, override },
  }
}

const channelName = z.string().min(1)

/** Any JSON value, back as text: the relay passes it on and never looks into it. null counts as absent. */
const jsonText = z
  .unknown()
  .transform((value, context) => {
    if (value === null) return undefined
    try {
      return JSON.stringify(value)
    } catch {
      // Nesting that JSON.parse takes iteratively can be too deep for stringify.
      context.addIssue('nested too deeply')
      return z.NEVER
    }
  })
  .optional()

/** Binary forms of info and data have no place in a JSON protocol; dropping them silently would be a surprise. */
const noBinary = z.undefined({ error: 'is not supported, use the JSON form' }).optional()

/** An empty object is false: Go backends leave out a false `value`. */
const flag = z
  .object({ value: z.boolean().default(false) })
  .transform(({ value }) => value)
  .exactOptional()

const override = z.object({
  presence: flag,
  join_leave: flag,
  force_push_join_leave: flag,
  force_positioning: flag,
  force_recovery: flag,
})

const serverSubscription = z
  .object({
    info: jsonText,
    data: jsonText,
    b64info: noBinary,
    b64data: noBinary,
    override: override.exactOptional(),
  })
  .transform(({ info, data, override }): ServerSubscription => {
    return {
      ...(info !== undefined && { info }),
      ...(data !== undefined && { data }),
      ...(override !== undefined && { override }),
    }
  })

const shared = {
  sub: z.string().default(''),
  // RFC 7519 allows fractions of a second in `exp`.
  exp: z.number().nonnegative().max(Number.MAX_SAFE_INTEGER).transform(Math.floor).optional(),
  expire_at: z.int().nonnegative().optional(),
  info: jsonText,
  b64info: noBinary,
}

const connectionSchema = z.object({
  ...shared,
  // Other issuers may mean something else by it.
  sid: z.string().catch(''),
  channels: z.array(channelName).default([]),
  subs: z.record(channelName, serverSubscription).default({}),
  // A subscription token must not open a connection.
  channel: z.undefined({ error: 'belongs to subscription tokens only' }).optional(),
})

const subscriptionSchema = z.object({
  ...shared,
  channel: channelName,
  client: z.string().default(''),
  override: override.optional(),
})

function invalid(error: z.ZodError): { kind: 'invalid'; why: string } {
  const issue = error.issues[0]
  // Only the first part of the path: the rest can be the name of a channel, which is the token's content.
  const claim = issue?.path[0]
  const problem = issue?.message ?? 'invalid'
  return { kind: 'invalid', why: claim === undefined ? problem : `claim "${String(claim)}": ${problem}` }
}
