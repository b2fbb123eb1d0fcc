// Writing, editing, deleting and marking messages, in SQL. The messenger's thread, inside the transaction that is being
// gathered. Invariants: the messages of a conversation are numbered without gaps; each change of one raises the rev of
// its conversation and is the only one with that rev; of a deleted message nothing is left but its place.

import type { FileRecord } from '../model.ts'
import { attach, attachmentsOf, detach } from './attachments.ts'
import { bumpRev, type Place } from './conversations.ts'
import type { Database } from './database.ts'
import { type MessageRow, messageRow } from './messages.ts'
import { HAS } from './schema.ts'
import { hasLink, indexMessage, unindexMessage } from './search-index.ts'

const HOUR_MS = 3_600_000

/** `atLast`: runs the work inside the transaction, behind all of its calls. */
type Context = Readonly<{
  db: Database
  effects: Readonly<{ atLast: (work: (db: Database) => void) => void }>
}>

export type NewMessage = Readonly<{
  author: number
  clientId: string
  text: string
  replyTo: number
  /** Without repetitions. */
  mentions: readonly number[]
  /** Public ids of files. */
  attachments: readonly string[]
  nowMs: number
}>

export type Sent = Readonly<{ seq: number; rev: number; created_ms: number }>

/** What was acknowledged for this id of the author's; undefined: nothing yet. */
export function sentBefore(
  db: Database,
  conversation: number,
  author: number,
  clientId: string,
): Sent | undefined {
  const sql = `
    SELECT seq, sent_rev AS rev, created_ms FROM messages
    WHERE conversation_id = ? AND author_id = ? AND client_id = ?`
  return db.get<Sent>(sql, conversation, author, clientId)
}

/** `place`: of the conversation, as this transaction has just read it. */
export function insertMessage(
  context: Context,
  place: Pick<Place, 'id' | 'seq' | 'rev'>,
  message: NewMessage,
): Sent & Readonly<{ attachments: FileRecord[] }> {
  const { db } = context
  const { author, text, mentions, nowMs } = message
  const conversation = place.id
  const seq = place.seq + 1
  const rev = place.rev + 1
  db.run('UPDATE conversations SET seq = ?, rev = ? WHERE id = ?', seq, rev, conversation)
  const extras =
    (mentions.length > 0 ? HAS.mentions : 0) | (message.attachments.length > 0 ? HAS.attachments : 0)
  const { lastId: id } = db.run(
    `INSERT INTO messages
       (conversation_id, seq, rev, author_id, client_id, text, reply_to, created_ms, extras, sent_rev)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    conversation,
    seq,
    rev,
    author,
    message.clientId,
    text,
    message.replyTo,
    nowMs,
    extras,
    rev,
  )
  insertMentions(db, { id, conversation_id: conversation, seq }, mentions)
  const attachments =
    message.attachments.length === 0 ? [] : attach(db, { id, conversation }, author, message.attachments)
  index(context, { conversation_id: conversation, seq }, true)
  // Who writes has seen what was there.
  markRead(db, conversation, author, { readSeq: seq, deliveredSeq: seq })
  db.run(
    'INSERT INTO hours (hour, messages) VALUES (?, 1) ON CONFLICT DO UPDATE SET messages = messages + 1',
    Math.floor(nowMs / HOUR_MS),
  )
  return { seq, rev, created_ms: nowMs, attachments }
}

type Numbered = Pick<MessageRow, 'id' | 'conversation_id' | 'seq'>

function insertMentions(
  db: Database,
  { id, conversation_id, seq }: Numbered,
  mentions: readonly number[],
): void {
  for (const user of mentions) {
    db.run(
      'INSERT INTO mentions (user_id, conversation_id, seq, message_id) VALUES (?, ?, ?, ?)',
      user,
      conversation_id,
      seq,
      id,
    )
  }
}

/** As the message stands when the transaction ends: another call of it may have changed it again, or deleted it. */
function index(
  { effects }: Context,
  { conversation_id: conversation, seq }: Pick<MessageRow, 'conversation_id' | 'seq'>,
  isNew: boolean,
): void {
  effects.atLast(db => {
    const row = messageRow(db, conversation, seq)
    if (row === undefined || row.deleted_ms > 0) return
    const { id, author_id: author, text, extras } = row
    if (!isNew) unindexMessage(db, id)
    const attachments = (extras & HAS.attachments) === 0 ? [] : attachmentsOf(db, id)
    indexMessage(db, {
      id,
      conversation,
      author,
      text,
      names: attachments.map(({ name }) => name),
      has: {
        image: attachments.some(({ type }) => type.startsWith('image/')),
        file: attachments.length > 0,
        link: hasLink(text),
      },
    })
  })
}

/** Gives a message that changed the next rev of its conversation. */
function touch(db: Database, { id, conversation_id }: MessageRow, extras: number): number {
  const rev = bumpRev(db, conversation_id)
  db.run('UPDATE messages SET rev = ?, extras = ? WHERE id = ?', rev, extras, id)
  return rev
}

function bit(extras: number, one: number, isSet: boolean): number {
  return isSet ? extras | one : extras & ~one
}

/** How often a message was edited. */
export function editsOf(db: Database, { id, extras }: MessageRow): number {
  if ((extras & HAS.edits) === 0) return 0
  return db.get<{ n: number }>('SELECT count(*) AS n FROM edits WHERE message_id = ?', id)!.n
}

/** Keeps what it said before. */
export function editMessage(
  context: Context,
  row: MessageRow,
  to: Readonly<{ text: string; mentions: readonly number[] }>,
  nowMs: number,
): void {
  const { db } = context
  db.run('INSERT INTO edits (message_id, edited_ms, text) VALUES (?, ?, ?)', row.id, nowMs, row.text)
  db.run('UPDATE messages SET text = ?, edited_ms = ? WHERE id = ?', to.text, nowMs, row.id)
  db.run('DELETE FROM mentions WHERE message_id = ?', row.id)
  insertMentions(db, row, to.mentions)
  index(context, row, false)
  touch(db, row, bit(row.extras | HAS.edits, HAS.mentions, to.mentions.length > 0))
}

/** For a message of which an attached file was deleted or named anew: its attachments as they are now count. */
export function attachmentsChanged(context: Context, row: MessageRow): void {
  const { db } = context
  const left = attachmentsOf(db, row.id)
  index(context, row, false)
  touch(db, row, bit(row.extras, HAS.attachments, left.length > 0))
}

/** What a message said before, the oldest first, without so many of them. `edited_ms`: when it ceased to say so. */
export function editsBefore(
  db: Database,
  message: number,
  offset: number,
): { edited_ms: number; text: string }[] {
  const sql =
    'SELECT edited_ms, text FROM edits WHERE message_id = ? ORDER BY edited_ms, rowid LIMIT -1 OFFSET ?'
  return db.all(sql, message, offset)
}

export function deleteMessage(db: Database, row: MessageRow, nowMs: number): void {
  emptyMessage(db, row)
  db.run(
    "UPDATE messages SET text = '', reply_to = 0, edited_ms = 0, deleted_ms = ? WHERE id = ?",
    nowMs,
    row.id,
  )
  touch(db, row, 0)
}

/** Deletes all that hangs on a message: for who deletes it, or the row with it. */
export function emptyMessage(
  db: Database,
  { id, conversation_id, seq, extras }: Pick<MessageRow, 'id' | 'conversation_id' | 'seq' | 'extras'>,
): void {
  unindexMessage(db, id)
  detach(db, id)
  if ((extras & HAS.edits) !== 0) db.run('DELETE FROM edits WHERE message_id = ?', id)
  if ((extras & HAS.reactions) !== 0) db.run('DELETE FROM reactions WHERE message_id = ?', id)
  if ((extras & HAS.mentions) !== 0) db.run('DELETE FROM mentions WHERE message_id = ?', id)
  if ((extras & HAS.pin) !== 0) {
    db.run('DELETE FROM pins WHERE conversation_id = ? AND seq = ?', conversation_id, seq)
  }
}

export type ReactionCounts = Readonly<{ reactions: number; emoji: number }>

export function reactionCounts(db: Database, message: number): ReactionCounts {
  const sql =
    'SELECT count(*) AS reactions, count(DISTINCT emoji) AS emoji FROM reactions WHERE message_id = ?'
  return db.get<ReactionCounts>(sql, message)!
}

export function hasReaction(db: Database, message: number, emoji: string, user?: number): boolean {
  const sql = 'SELECT 1 FROM reactions WHERE message_id = ? AND emoji = ?'
  if (user === undefined) return db.get(`${sql} LIMIT 1`, message, emoji) !== undefined
  return db.get(`${sql} AND user_id = ?`, message, emoji, user) !== undefined
}

/** Answers whether that changed anything. */
export function react(
  db: Database,
  row: MessageRow,
  reaction: Readonly<{ user: number; emoji: string; on: boolean; nowMs: number }>,
): boolean {
  const { user, emoji, on, nowMs } = reaction
  const { changes } = on
    ? db.run('INSERT INTO reactions VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING', row.id, emoji, user, nowMs)
    : db.run('DELETE FROM reactions WHERE message_id = ? AND emoji = ? AND user_id = ?', row.id, emoji, user)
  if (changes === 0) return false
  const isLeft = on || db.get('SELECT 1 FROM reactions WHERE message_id = ? LIMIT 1', row.id) !== undefined
  touch(db, row, bit(row.extras, HAS.reactions, isLeft))
  return true
}

export function pinsOf(db: Database, conversation: number): number {
  return db.get<{ n: number }>('SELECT count(*) AS n FROM pins WHERE conversation_id = ?', conversation)!.n
}

export function pin(
  db: Database,
  row: MessageRow,
  { user, on, nowMs }: Readonly<{ user: number; on: boolean; nowMs: number }>,
): void {
  const { conversation_id, seq } = row
  if (on) db.run('INSERT INTO pins VALUES (?, ?, ?, ?)', conversation_id, seq, user, nowMs)
  else db.run('DELETE FROM pins WHERE conversation_id = ? AND seq = ?', conversation_id, seq)
  touch(db, row, bit(row.extras, HAS.pin, on))
}

export type Marks = Readonly<{ readSeq: number; deliveredSeq: number }>

/** The watermarks of a member. The caller has seen to it that they go forward. */
export function markRead(
  db: Database,
  conversation: number,
  user: number,
  { readSeq, deliveredSeq }: Marks,
): void {
  db.run(
    'UPDATE members SET read_seq = ?, delivered_seq = ? WHERE conversation_id = ? AND user_id = ?',
    readSeq,
    deliveredSeq,
    conversation,
    user,
  )
}
