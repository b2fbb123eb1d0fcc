// Conversations as their members see them, one and in pages. Any thread; only reads.
// Invariant: unread counts are bounded work, however many messages and mentions there are.

import type { MessengerOptions } from '../../config/schema.ts'
import { CallError } from '../failures.ts'
import type { Conversation, MemberRole } from '../model.ts'
import { type Place, peerOf, placeOf } from './conversations.ts'
import type { Database } from './database.ts'
import { fitting } from './fitting.ts'
import { messageRecord } from './messages.ts'
import { EVERYONE } from './schema.ts'

/** More mentions than these are not counted: whoever has so many needs no exact number. */
const MENTIONS_COUNTED_MAX = 1_000

type RecordOptions = Pick<MessengerOptions, 'retention_days'>

/** Messages behind the mark, deleted ones included: they keep their places. */
export function unreadOf({
  seq,
  first_seq,
  read_seq,
}: Pick<Place, 'seq' | 'first_seq' | 'read_seq'>): number {
  return Math.max(0, seq - Math.max(read_seq, first_seq - 1))
}

export function unreadMentionsOf(db: Database, user: number, conversation: number, readSeq: number): number {
  const sql = `
    SELECT count(*) AS n FROM (
      SELECT 1 FROM mentions WHERE user_id = ? AND conversation_id = ? AND seq > ? LIMIT ${MENTIONS_COUNTED_MAX}
    )`
  return db.get<{ n: number }>(sql, user, conversation, readSeq)!.n
}

/** Throws `not_found` for who is not a member. */
export function conversationRecord(
  db: Database,
  conversation: number,
  user: number,
  options: RecordOptions,
): Conversation {
  const place = placeOf(db, conversation, user)
  if (place?.member === undefined) throw new CallError('not_found', 'conversation')
  return recordOf(db, { ...place, member: place.member }, user, options)
}

function recordOf(
  db: Database,
  place: Omit<Place, 'user' | 'member'> & { member: MemberRole },
  user: number,
  options: RecordOptions,
): Conversation {
  const { id, kind, name, seq, rev, first_seq, read_seq } = place
  const newest = seq === 0 ? undefined : messageRecord(db, id, seq)
  return {
    id,
    kind,
    name,
    peer: peerOf(place, user),
    seq,
    rev,
    first_seq,
    members: place.member_count,
    role: place.member,
    read_seq,
    unread: unreadOf(place),
    unread_mentions: unreadMentionsOf(db, user, id, read_seq),
    muted: place.muted === 1,
    retention_days: place.retention_days ?? options.retention_days,
    created_ms: place.created_ms,
    ...(newest !== undefined && { last_message: newest }),
  }
}

/** Where a page ends: the next begins behind it. */
export type PlaceInList = Readonly<{ activeMs: number; id: number }>

/**
 * Conversations of a user, the newest activity first: the newest message, or that the user joined. `next` is undefined at
 * the end of the list.
 */
export function conversationPage(
  db: Database,
  user: number,
  options: Pick<MessengerOptions, 'retention_days' | 'everyone'>,
  { behind, limit }: Readonly<{ behind: PlaceInList | undefined; limit: number }>,
): { conversations: Conversation[]; next: PlaceInList | undefined } {
  const found = idsOfPage(db, user, options, behind, limit)
  function* records() {
    for (const { id } of found) yield conversationRecord(db, id, user, options)
  }
  const conversations = fitting(records())
  const last = found[conversations.length - 1]
  const isAll = conversations.length === found.length && found.length < limit
  return { conversations, next: isAll ? undefined : last }
}

function idsOfPage(
  db: Database,
  user: number,
  { everyone }: Pick<MessengerOptions, 'everyone'>,
  behind: PlaceInList | undefined,
  limit: number,
): PlaceInList[] {
  const sql = `
    SELECT activeMs, id FROM (
      SELECT c.id, max(m.joined_ms, coalesce(newest.created_ms, 0)) AS activeMs
      FROM members m
      JOIN conversations c ON c.id = m.conversation_id
      LEFT JOIN messages newest ON newest.conversation_id = c.id AND newest.seq = c.seq
      WHERE m.user_id = ? AND c.id <> ?
    )
    WHERE (activeMs, id) < (?, ?) ORDER BY activeMs DESC, id DESC LIMIT ?`
  const left = everyone ? 0 : EVERYONE
  const { activeMs, id } = behind ?? { activeMs: Number.MAX_SAFE_INTEGER, id: 0 }
  return db.all<PlaceInList>(sql, user, left, activeMs, id, limit)
}
