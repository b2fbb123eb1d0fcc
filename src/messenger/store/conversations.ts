// Conversations and who is in them, in SQL. What changes runs in the messenger's thread inside the transaction that is
// being gathered; what reads runs in any thread. Invariant: member_count is the number of rows in members; a
// conversation that lost its last member is one that nobody can find, and the janitor deletes what is left of it.

import type { MessengerOptions } from '../../config/schema.ts'
import { conversationChannel, PRESENCE_CHANNEL, userChannel } from '../channels.ts'
import { CallError } from '../failures.ts'
import type { ConversationEvent, Member, MemberRole, UserRole } from '../model.ts'
import { type Action, type Kind, permit, type Standing } from '../permissions.ts'
import type { Database } from './database.ts'
import { EVERYONE } from './schema.ts'

/** What a decision needs to know of who asks. */
export type Asker = Readonly<{ user: number; role: UserRole }>

type Row = Readonly<{
  id: number
  name: string
  seq: number
  rev: number
  first_seq: number
  /** Null: what the configuration says. */
  retention_days: number | null
  /** 'smaller:larger' user id of direct ones. */
  direct_key: string | null
  created_ms: number
  member_count: number
  /** The asker's own; 0 for who is not a member. */
  joined_ms: number
  read_seq: number
  delivered_seq: number
  muted: number
}>

/** A conversation, and where the asker stands in it. */
export type Place = Standing & Row

type OptionsOfEveryone = Pick<MessengerOptions, 'everyone'>

const PLACE = `
  SELECT c.id, c.kind, c.name, c.seq, c.rev, c.first_seq, c.retention_days, c.direct_key, c.created_ms,
    c.member_count, m.role AS member, coalesce(m.joined_ms, 0) AS joined_ms, coalesce(m.read_seq, 0) AS read_seq,
    coalesce(m.delivered_seq, 0) AS delivered_seq, coalesce(m.muted, 0) AS muted
  FROM conversations c LEFT JOIN members m ON m.conversation_id = c.id AND m.user_id = ?
  WHERE c.id = ?`

/**
 * Where a user stands in a conversation, who may do that there; throws what everybody else gets to see. That there is no
 * such conversation is said in the words that `permit` has for who is not a member: the two can't be told apart.
 */
export function permitted(
  db: Database,
  action: Action,
  conversation: number,
  asker: Asker,
  options: OptionsOfEveryone,
): Place {
  const isOff = conversation === EVERYONE && !options.everyone
  const row = isOff ? undefined : placeOf(db, conversation, asker.user)
  if (row === undefined) throw new CallError('not_found', 'conversation')
  const place = { ...row, user: asker.role }
  permit(action, place)
  return place
}

/** Without any decision: the conversation as the user's row in it says; undefined: there is none. */
export function placeOf(
  db: Database,
  conversation: number,
  user: number,
): (Row & Omit<Standing, 'user'>) | undefined {
  const row = db.get<Row & { kind: Kind; member: MemberRole | null }>(PLACE, user, conversation)
  return row && { ...row, member: row.member ?? undefined }
}

/** Role of a member; undefined: none. */
export function roleIn(db: Database, conversation: number, user: number): MemberRole | undefined {
  const sql = 'SELECT role FROM members WHERE conversation_id = ? AND user_id = ?'
  return db.get<{ role: MemberRole }>(sql, conversation, user)?.role
}

/** Conversations of a user, ascending. */
export function conversationsOf(db: Database, user: number, options: OptionsOfEveryone): number[] {
  const sql = 'SELECT conversation_id AS id FROM members WHERE user_id = ? ORDER BY conversation_id'
  const ids = db.all<{ id: number }>(sql, user).map(({ id }) => id)
  return options.everyone ? ids : ids.filter(id => id !== EVERYONE)
}

/** The channels that connections of a user are subscribed to. */
export function channelsOf(db: Database, user: number, options: OptionsOfEveryone): string[] {
  const conversations = conversationsOf(db, user, options)
  return [userChannel(user), PRESENCE_CHANNEL, ...conversations.map(conversationChannel)]
}

/** Groups and direct conversations that a user is in. */
export function countOf(db: Database, user: number): number {
  const sql = `SELECT count(*) AS n FROM members WHERE user_id = ? AND conversation_id <> ${EVERYONE}`
  return db.get<{ n: number }>(sql, user)!.n
}

/** Ids of members after one of them, ascending. */
export function memberIds(db: Database, conversation: number, after: number, limit: number): number[] {
  const sql =
    'SELECT user_id AS id FROM members WHERE conversation_id = ? AND user_id > ? ORDER BY user_id LIMIT ?'
  return db.all<{ id: number }>(sql, conversation, after, limit).map(({ id }) => id)
}

/** Members with their names, after a user, ascending. */
export function memberPage(
  db: Database,
  conversation: number,
  after: number,
  limit: number,
): (Member & { nickname: string; display_name: string })[] {
  const sql = `
    SELECT m.user_id AS user, m.role, m.joined_ms, m.read_seq, m.delivered_seq, u.nickname, u.display_name
    FROM members m JOIN users u ON u.id = m.user_id
    WHERE m.conversation_id = ? AND m.user_id > ? ORDER BY m.user_id LIMIT ?`
  return db.all(sql, conversation, after, limit)
}

/** Counts one more change of the conversation. */
export function bumpRev(db: Database, conversation: number): number {
  const sql = 'UPDATE conversations SET rev = rev + 1 WHERE id = ? RETURNING rev'
  const row = db.get<{ rev: number }>(sql, conversation)
  if (row === undefined) throw new CallError('not_found', 'conversation')
  return row.rev
}

/** Of a conversation so many are kept, the newest. */
export const CHANGES_MAX = 1_000

/** Keeps a change that is no message's, for who asks what was missed. */
export function addChange(db: Database, conversation: number, rev: number, event: ConversationEvent): void {
  const sql = 'INSERT INTO changes (conversation_id, rev, event) VALUES (?, ?, ?)'
  db.run(sql, conversation, rev, JSON.stringify(event))
  const old = `
    DELETE FROM changes WHERE conversation_id = ?1 AND rev <= (
      SELECT rev FROM changes WHERE conversation_id = ?1 ORDER BY rev DESC LIMIT 1 OFFSET ${CHANGES_MAX})`
  db.run(old, conversation)
}

export function makeConversation(
  db: Database,
  made: Readonly<{ kind: Kind; name: string; directKey: string | null; by: number; nowMs: number }>,
): number {
  const sql =
    'INSERT INTO conversations (kind, name, direct_key, created_by, created_ms) VALUES (?, ?, ?, ?, ?)'
  return db.run(sql, made.kind, made.name, made.directKey, made.by, made.nowMs).lastId
}

const HOUR_MS = 3_600_000

/**
 * Throws `rate` for who has begun so many in the last hour: each takes one of the places of another user, who is not
 * asked, and nobody is to fill all of them at once.
 */
export function mustMakeFew(
  db: Database,
  user: number,
  nowMs: number,
  { conversations_per_hour: most }: Pick<MessengerOptions, 'conversations_per_hour'>,
): void {
  const sql = `
    SELECT created_ms FROM conversations WHERE created_by = ? ORDER BY created_ms DESC LIMIT 1 OFFSET ?`
  const row = db.get<{ created_ms: number }>(sql, user, most - 1)
  const waitMs = row === undefined ? 0 : row.created_ms + HOUR_MS - nowMs
  if (waitMs > 0) throw new CallError('rate', `${most} new conversations in an hour`, waitMs)
}

/** What was said before counts as read. Who is a member already stays one. */
export function addMember(
  db: Database,
  conversation: number,
  user: number,
  role: MemberRole,
  nowMs: number,
): void {
  const { changes } = db.run(
    `INSERT INTO members (conversation_id, user_id, role, joined_ms, read_seq, delivered_seq)
     SELECT id, ?, ?, ?, seq, seq FROM conversations WHERE id = ? ON CONFLICT DO NOTHING`,
    user,
    role,
    nowMs,
    conversation,
  )
  if (changes === 0) return
  db.run('UPDATE conversations SET member_count = member_count + 1 WHERE id = ?', conversation)
}

export function dropMember(db: Database, conversation: number, user: number): void {
  const sql = 'DELETE FROM members WHERE conversation_id = ? AND user_id = ?'
  if (db.run(sql, conversation, user).changes === 0) return
  db.run('UPDATE conversations SET member_count = member_count - 1 WHERE id = ?', conversation)
}

export function dropAllMembers(db: Database, conversation: number): void {
  db.run('DELETE FROM members WHERE conversation_id = ?', conversation)
  db.run('UPDATE conversations SET member_count = 0 WHERE id = ?', conversation)
}

/** What is left of one without members: messages, for the janitor to delete. */
export function emptyConversation(db: Database, conversation: number): void {
  db.run("UPDATE conversations SET name = '', direct_key = NULL WHERE id = ?", conversation)
  db.run('DELETE FROM changes WHERE conversation_id = ?', conversation)
}

export function renameConversation(db: Database, conversation: number, name: string): void {
  db.run('UPDATE conversations SET name = ? WHERE id = ?', name, conversation)
}

/** Null: as the configuration says; 0: for ever. */
export function retainFor(db: Database, conversation: number, days: number | null): void {
  db.run('UPDATE conversations SET retention_days = ? WHERE id = ?', days, conversation)
}

export function mute(db: Database, conversation: number, user: number, isMuted: boolean): void {
  const sql = 'UPDATE members SET muted = ? WHERE conversation_id = ? AND user_id = ?'
  db.run(sql, Number(isMuted), conversation, user)
}

export function setRole(db: Database, conversation: number, user: number, role: MemberRole): void {
  const sql = 'UPDATE members SET role = ? WHERE conversation_id = ? AND user_id = ?'
  db.run(sql, role, conversation, user)
}

/** Who is to own the group when its owner goes: the oldest administrator, else the oldest member. */
export function heirOf(db: Database, conversation: number, owner: number): number | undefined {
  const sql = `
    SELECT user_id AS id FROM members WHERE conversation_id = ? AND user_id <> ?
    ORDER BY role = 'admin' DESC, joined_ms, user_id LIMIT 1`
  return db.get<{ id: number }>(sql, conversation, owner)?.id
}

/** The other user of a direct conversation; 0 for all others. */
export function peerOf({ direct_key }: Pick<Row, 'direct_key'>, user: number): number {
  if (direct_key === null) return 0
  const [smaller, larger] = direct_key.split(':').map(Number)
  return smaller === user ? larger! : smaller!
}

export function directKey(a: number, b: number): string {
  return a < b ? `${a}:${b}` : `${b}:${a}`
}

/**
 * The direct conversation of two users, made when there is none (`isNew`: then it is still to be announced, as
 * membership.ts does it). Nobody can begin one with a user who is blocked or deleted.
 */
export function directWith(
  db: Database,
  user: number,
  peer: number,
  nowMs: number,
  options: Pick<MessengerOptions, 'conversations_per_user' | 'conversations_per_hour'>,
): { id: number; isNew: boolean } {
  if (user === peer) throw new CallError('bad_request', 'user: a direct conversation is with another user')
  const key = directKey(user, peer)
  const known = db.get<{ id: number }>('SELECT id FROM conversations WHERE direct_key = ?', key)
  if (known !== undefined) return { id: known.id, isNew: false }
  mustBeActive(db, peer)
  mustMakeFew(db, user, nowMs, options)
  mustHaveRoom(db, user, options)
  mustHaveRoom(db, peer, options)
  const id = makeConversation(db, { kind: 'direct', name: '', directKey: key, by: user, nowMs })
  addMember(db, id, user, 'member', nowMs)
  addMember(db, id, peer, 'member', nowMs)
  return { id, isNew: true }
}

export function mustBeActive(db: Database, user: number): void {
  const row = db.get<{ state: string }>('SELECT state FROM users WHERE id = ?', user)
  if (row?.state !== 'active') throw new CallError('not_found', `user ${user}`)
}

export function mustHaveRoom(
  db: Database,
  user: number,
  { conversations_per_user }: Pick<MessengerOptions, 'conversations_per_user'>,
): void {
  if (countOf(db, user) < conversations_per_user) return
  throw new CallError('limit', `user ${user} is in ${conversations_per_user} conversations`)
}
