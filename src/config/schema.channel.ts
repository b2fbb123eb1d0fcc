// The options under channel.*: names of channels, and what happens in channels with and without a namespace.
// Main thread, at start. Names are Centrifugo's where the meaning is the same.

import { CHANNEL_REGEX_LENGTH_MAX, NAMESPACES_MAX } from './limits.ts'
import { choice, duration, flag, integer, section, sections, text } from './option.ts'

/** The flags make one expression out of the same text in load and in namespaces.ts. */
export function compileChannelRegex(source: string): RegExp {
  return new RegExp(source, 'u')
}

/**
 * Finds a repeated group that holds one repeated atom and nothing else, as in (a+)+ or ([a-z]*)*: the same text can
 * then be cut in exponentially many ways. Other slow expressions exist, so this guards against the usual slip only;
 * the expression is the operator's own and sees no more than channel.max_length bytes.
 */
const REPEATED_REPEAT =
  /\((?:\?:|\?<\w+>)?(?:\[(?:\\.|[^\]\\])*\]|\\.|[^()[\]\\|])(?:[*+]|\{\d+,\})\??\)(?:[*+]|\{\d+,\})/

function isSafeRegex(source: string): boolean {
  if (source.length > CHANNEL_REGEX_LENGTH_MAX || REPEATED_REPEAT.test(source)) return false
  try {
    compileChannelRegex(source)
    return true
  } catch {
    return false
  }
}

const optionShape = {
  presence: flag('Keeps the list of the clients that are subscribed.'),
  join_leave: flag('Tells those subscribers who ask for it when a client subscribes or unsubscribes.'),
  force_push_join_leave: flag('Tells all subscribers so, whether they ask or not.'),
  force_positioning: flag('All subscriptions are positioned; needs history.'),
  allow_positioning: flag('Clients may ask for positioned subscriptions; needs history to have an effect.'),
  force_recovery: flag('All subscriptions recover what they missed; needs history.'),
  allow_recovery: flag('Clients may ask for recovery; needs history to have an effect.'),
  allow_subscribe_for_client: flag('Clients with a user may subscribe without a token.'),
  allow_subscribe_for_anonymous: flag('With it, the anonymous user may too.'),
  allow_publish_for_client: flag('Clients with a user may publish, subscribed or not.'),
  allow_publish_for_subscriber: flag('Clients with a user may publish where they are subscribed.'),
  allow_publish_for_anonymous: flag('With one of them, the anonymous user may too.'),
  allow_history_for_client: flag('Clients with a user may read the history, subscribed or not.'),
  allow_history_for_subscriber: flag('Clients with a user may read the history where they are subscribed.'),
  allow_history_for_anonymous: flag('With one of them, the anonymous user may too.'),
  allow_presence_for_client: flag('Clients with a user may read the presence, subscribed or not.'),
  allow_presence_for_subscriber: flag('Clients with a user may read the presence where they are subscribed.'),
  allow_presence_for_anonymous: flag('With one of them, the anonymous user may too.'),
  allow_user_limited_channels: flag('Users may subscribe to channels that name them after user_boundary.'),
  history_size: integer(
    { default: 0, min: 0, max: 1_000_000, unit: 'publications' },
    'Publications that a channel keeps; 0 = no history.',
  ),
  history_ttl: duration(
    { default: '0s', min: '0s', max: '87600h' },
    'How long a channel keeps a publication; "0s" = no history.',
  ),
  channel_regex: text(
    {
      accepts: isSafeRegex,
      allowed: `"" or a JavaScript regular expression (flag u) of at most ${CHANNEL_REGEX_LENGTH_MAX} characters without repeated repetitions like (a+)+`,
    },
    'What the name of a channel, after its namespace, must match; "" = anything.',
  ),
  slow_client: choice(
    ['catch_up', 'drop_oldest', 'latest_only', 'disconnect'],
    'catch_up',
    'What a lagging client gets: all it missed, from history; without history catch_up is drop_oldest.',
  ),
}

const namespaceShape = {
  // A name has no default: '' here only stands for "it was left out", which the rule refuses.
  name: text(
    {
      accepts: name => /^[-a-zA-Z0-9_.]{2,}$/.test(name),
      allowed: 'two or more of the characters a-z A-Z 0-9 - _ .',
    },
    'Name of the namespace: its channels are "name:…".',
  ),
  ...optionShape,
}

/** One to eight visible characters, or none where "" switches the meaning off. */
function mark(defaultValue: string, description: string) {
  return text(
    {
      default: defaultValue,
      accepts: value => /^[!-~]{0,8}$/.test(value),
      allowed: '"" or up to 8 visible ASCII characters',
    },
    description,
  )
}

/** An empty one has all defaults: clients may do nothing. */
export const channelOptions = section('Options of the channels that have no namespace.', optionShape)

export const channel = section('Channels: their names, and what happens in them.', {
  max_length: integer(
    { default: 255, min: 1, max: 1_024, unit: 'bytes of UTF-8' },
    'Longest name of a channel.',
  ),
  namespace_boundary: mark(':', 'What ends the namespace in the name of a channel; "" = no namespaces.'),
  user_boundary: mark(
    '#',
    'What begins the list of allowed users in the name of a channel; "" = no such lists.',
  ),
  user_separator: mark(',', 'What separates the users in that list; "" = the list is one user.'),
  private_prefix: mark('$', 'Channels that begin with it always need a subscription token; "" = none do.'),
  history_meta_ttl: duration(
    { default: '720h', min: '1s', max: '87600h' },
    'How long an unused channel keeps its offset and epoch; not less than any history_ttl.',
  ),
  history_memory_limit: integer(
    { default: 268_435_456, min: 1_048_576, max: 1_099_511_627_776, unit: 'bytes' },
    'Memory of all histories over all shards; past it the longest unused ones are dropped.',
  ),
  without_namespace: channelOptions,
  namespaces: sections(
    namespaceShape,
    { max: NAMESPACES_MAX, allowed: `a list of at most ${NAMESPACES_MAX} namespaces (in a text: as JSON)` },
    'Namespaces: each has a name and options of its own; what is left out has its default.',
  ),
})
