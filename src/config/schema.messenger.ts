// The options under messenger.*: accounts, conversations, archive and files on top of the relay.
// Main thread, at start.

import { LOCKED_PATH_BYTES_MAX } from './limits.ts'
import { choice, duration, flag, integer, section, text } from './option.ts'

const KIB = 1_024
const MIB = 1_024 * KIB
const GIB = 1_024 * MIB
const TIB = 1_024 * GIB

/** The namespace of all channels that the messenger publishes to; the operator can't use the name for another one. */
export const MESSENGER_NAMESPACE = 'im'

/** A hundred years. */
export const RETENTION_DAYS_MAX = 36_500

export const messenger = section('The messenger: accounts, conversations, archive, search, files.', {
  enabled: flag('Whether it is served. Clients then connect with accounts, and with nothing else.'),
  path: text(
    {
      default: 'fanwire-data',
      accepts: path => path !== '' && Buffer.byteLength(path) <= LOCKED_PATH_BYTES_MAX,
      allowed: `the path of a directory, at most ${LOCKED_PATH_BYTES_MAX} bytes`,
    },
    'Directory with all that it keeps: database, files, keys. Made if it is missing.',
  ),
  signup: choice(
    ['open', 'closed'],
    'open',
    'Who may sign up: anybody, or nobody but whom an administrator adds.',
  ),
  everyone: flag('Whether there is the conversation of all users.', true),
  session_idle: duration(
    { default: '720h', min: '1m', max: '87600h' },
    'A login that was not used for so long has ended.',
  ),
  session_lifetime: duration(
    { default: '2160h', min: '1m', max: '87600h' },
    'A login has ended after so long, however often it was used.',
  ),
  token_lifetime: duration(
    { default: '10m', min: '1m', max: '24h' },
    'Lifetime of a connection token; clients get a new one with their login.',
  ),
  sessions_per_user: integer(
    { default: 20, min: 1, max: 1_000, unit: 'logins' },
    'Logins of a user at once; past it the longest unused one ends.',
  ),
  signups_per_hour: integer(
    { default: 5, min: 1, max: 1_000_000, unit: 'accounts' },
    'Accounts that one address (of IPv6: one /64) may open in an hour.',
  ),
  logins_per_minute: integer(
    { default: 30, min: 1, max: 1_000_000, unit: 'logins' },
    'Passwords that one address (of IPv6: one /64) may try in a minute, right or wrong.',
  ),
  message_size: integer(
    { default: 8_000, min: 100, max: 16_000, unit: 'characters' },
    'Longest text of a message.',
  ),
  message_rate: integer(
    { default: 20, min: 1, max: 1_000_000, unit: 'messages a second' },
    'Messages that a user may send on average; twice as many at once. Calls of all kinds: ten times as many.',
  ),
  group_members: integer(
    { default: 1_000, min: 2, max: 100_000, unit: 'users' },
    'Members that a group may have.',
  ),
  conversations_per_user: integer(
    // A client that comes back names each with its position in one command, in some 70 bytes.
    { default: 500, min: 1, max: 800, unit: 'conversations' },
    'Groups and direct conversations that a user may be in.',
  ),
  conversations_per_hour: integer(
    { default: 100, min: 1, max: 1_000_000, unit: 'conversations' },
    'Conversations that a user may begin in an hour: each takes one of the places of others.',
  ),
  retention_days: integer(
    { default: 0, min: 0, max: RETENTION_DAYS_MAX, unit: 'days' },
    'Messages older than this are deleted, where a conversation says nothing else; 0 = never.',
  ),
  offline_after: duration(
    { default: '10s', min: '0s', max: '10m' },
    'Who lost the last connection counts as online for so long.',
  ),
  file_size: integer({ default: 4 * GIB, min: KIB, max: 16 * TIB, unit: 'bytes' }, 'Largest file.'),
  user_quota: integer(
    { default: 10 * GIB, min: KIB, max: 1_024 * TIB, unit: 'bytes' },
    'What all files of a user may take, where an administrator says nothing else.',
  ),
  total_quota: integer(
    { default: 100 * GIB, min: KIB, max: 4_096 * TIB, unit: 'bytes' },
    'What all files together may take.',
  ),
  uploads_per_user: integer(
    { default: 3, min: 1, max: 100, unit: 'uploads' },
    'Unfinished uploads of a user at once.',
  ),
  upload_expiry: duration(
    { default: '24h', min: '1m', max: '8760h' },
    'An unfinished upload that got nothing for so long is deleted.',
  ),
  image_pixels: integer(
    { default: 50_000_000, min: 10_000, max: 500_000_000, unit: 'pixels' },
    'Larger images are files like any other: without preview.',
  ),
  pool_threads: integer(
    { default: 0, min: 0, max: 64 },
    'Threads for what blocks (password hashes, reading, images); 0 = one per core, at least 2.',
  ),
})
