// From the name of a channel to the rules that hold there. Any thread; called for each command, so what can be shared
// is made once. Invariant: a pure function of the configuration and the name.

import { channelOptions, compileChannelRegex } from './schema.channel.ts'
import { MESSENGER_NAMESPACE } from './schema.messenger.ts'
import type { ChannelOptions, Config } from './schema.ts'

export type ResolvedOptions = ChannelOptions & Readonly<{ namespace: string; historyEnabled: boolean }>

export type ResolvedChannel =
  | Readonly<{
      kind: 'known'
      options: ResolvedOptions
      /** The users after user_boundary; undefined: the name has none. Whether they count, the options say. */
      allowedUsers: readonly string[] | undefined
      /** The name begins with private_prefix. */
      isPrivate: boolean
    }>
  | Readonly<{ kind: 'unknown' }>
  | Readonly<{ kind: 'bad'; why: string }>

export type Namespaces = Readonly<{ resolve: (channelName: string) => ResolvedChannel }>

type Known = Extract<ResolvedChannel, { kind: 'known' }>

/** One namespace: its answers are shared by all of its channels that name no users. */
type Rules = Readonly<{ open: Known; private: Known; regex: RegExp | undefined }>

const UNKNOWN: ResolvedChannel = Object.freeze({ kind: 'unknown' })

function bad(why: string): ResolvedChannel {
  return Object.freeze({ kind: 'bad', why })
}

const NOT_MATCHING = bad('the name does not match the expression of its namespace')

/** @param withMessenger its namespace is there, too */
export function createNamespaces(channel: Config['channel'], withMessenger = false): Namespaces {
  const { namespace_boundary: boundary, private_prefix: prefix, user_boundary: userBoundary } = channel
  const withoutNamespace = rulesOf('', channel.without_namespace)
  const byName = new Map(
    channel.namespaces.map(({ name, ...options }) => [name, rulesOf(name, options)] as const),
  )
  if (withMessenger) byName.set(MESSENGER_NAMESPACE, rulesOf(MESSENGER_NAMESPACE, messengerOptions(channel)))
  const findFault = createFaultFinder(channel.max_length)

  function resolve(channelName: string): ResolvedChannel {
    const fault = findFault(channelName)
    if (fault !== undefined) return fault
    const isPrivate = prefix !== '' && channelName.startsWith(prefix)
    const start = isPrivate ? prefix.length : 0
    const end = boundary === '' ? -1 : channelName.indexOf(boundary, start)
    // As in Centrifugo, a channel that begins with the boundary has no namespace.
    const rules = end <= start ? withoutNamespace : byName.get(channelName.slice(start, end))
    if (rules === undefined) return UNKNOWN
    if (rules.regex !== undefined) {
      const rest = end < 0 ? channelName : channelName.slice(end + boundary.length)
      if (!rules.regex.test(rest)) return NOT_MATCHING
    }
    const shared = isPrivate ? rules.private : rules.open
    const usersAt = userBoundary === '' ? -1 : channelName.lastIndexOf(userBoundary)
    if (usersAt < 0) return shared
    const users = channelName.slice(usersAt + userBoundary.length)
    return { ...shared, allowedUsers: splitUsers(users, channel.user_separator) }
  }
  return { resolve }
}

/** Publications that a client which was away gets from the relay; what is older it asks the archive for. */
const MESSENGER_HISTORY_SIZE = 1_000
const MESSENGER_HISTORY_TTL_MS = 3_600_000

/** The server subscribes and publishes there, and clients may do nothing by themselves. */
function messengerOptions(channel: Config['channel']): ChannelOptions {
  return {
    ...channelOptions.parse({}),
    history_size: MESSENGER_HISTORY_SIZE,
    history_ttl: Math.min(MESSENGER_HISTORY_TTL_MS, channel.history_meta_ttl),
    force_recovery: true,
    force_positioning: true,
  }
}

function rulesOf(namespace: string, given: ChannelOptions): Rules {
  const historyEnabled = given.history_size > 0 && given.history_ttl > 0
  const options = Object.freeze({ ...given, namespace, historyEnabled })
  const known = { kind: 'known', options, allowedUsers: undefined } as const
  return {
    open: Object.freeze({ ...known, isPrivate: false }),
    private: Object.freeze({ ...known, isPrivate: true }),
    regex: options.channel_regex === '' ? undefined : compileChannelRegex(options.channel_regex),
  }
}

/** The empty user is the anonymous one and is never allowed by name. */
function splitUsers(users: string, separator: string): readonly string[] {
  const parts = separator === '' ? [users] : users.split(separator)
  return parts.filter(user => user !== '')
}

const SPACE_OR_CONTROL = /[\s\p{Cc}]/u

function createFaultFinder(bytesMax: number): (name: string) => ResolvedChannel | undefined {
  const empty = bad('the name is empty')
  const tooLong = bad(`the name is longer than ${bytesMax} bytes`)
  const notText = bad('the name has half a surrogate pair')
  const spaced = bad('the name has white space or control characters')
  return name => {
    if (name === '') return empty
    // A code unit is at least one byte of UTF-8.
    if (name.length > bytesMax) return tooLong
    if (isVisibleAscii(name)) return undefined
    if (!name.isWellFormed()) return notText
    if (SPACE_OR_CONTROL.test(name)) return spaced
    return Buffer.byteLength(name) > bytesMax ? tooLong : undefined
  }
}

/** The usual name: then nothing else has to be looked at. */
function isVisibleAscii(name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    const unit = name.charCodeAt(index)
    if (unit < 0x21 || unit > 0x7e) return false
  }
  return true
}
