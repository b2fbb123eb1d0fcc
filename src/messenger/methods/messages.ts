// Messages: sending and changing them, reactions, pins, marks and typing. Each method is a check of what came in, a
// permission, and a call of the store. Any thread may import it.

import { z } from 'zod'
import { foldName } from '../accounts/names.ts'
import type { Caller } from '../caller.ts'
import { CallError } from '../failures.ts'
import { openDirect } from '../membership.ts'
import { inSteps, type Method, reads, type WriteContext, writes } from '../method.ts'
import { clientId, fileId, id, message, seq, timeMs } from '../model.ts'
import { unreadMentionsOf, unreadOf } from '../store/conversation-records.ts'
import { type Place, permitted, roleIn } from '../store/conversations.ts'
import type { Database } from '../store/database.ts'
import { fitting } from '../store/fitting.ts'
import {
  deleteMessage,
  editMessage,
  editsBefore,
  editsOf,
  hasReaction,
  insertMessage,
  markRead,
  pin,
  pinsOf,
  react,
  reactionCounts,
  sentBefore,
} from '../store/message-changes.ts'
import { type MessageRow, messageRecord, messageRow } from '../store/messages.ts'
import { EVERYONE, HAS } from '../store/schema.ts'
import { userByKey } from '../store/users.ts'
import { cleanText, emojiOf } from '../text.ts'

/** Longer than any nickname in any form that folds to it. */
const NICKNAME_INPUT_MAX = 100
/** Each is checked, and stored by itself. */
const MENTIONS_MAX = 50
const ATTACHMENTS_MAX = 10
/** Of a message: its record, with who reacted, goes to all members at each change. */
const REACTIONS_MAX = 1_000
const EMOJI_MAX = 20
const EDITS_MAX = 100
/** Of a conversation: all are shown together. */
const PINS_MAX = 100
/** In larger conversations nobody is told how far others have read, or that they type. */
const WATCHED_MEMBERS_MAX = 200
/** The longest emoji sequences have some 12 code units more than this needs. */
const EMOJI_LENGTH_MAX = 40

const where = { conversation: id, seq }
const mentions = z.array(id).max(MENTIONS_MAX)
const changed = z.object({ message })

const send = writes({
  name: 'message.send',
  access: 'user',
  rated: true,
  about:
    'Sends a message to a conversation, to a user by id or nickname (in the direct conversation, which is made if there is none), or to everyone: give exactly one of them. Answered when it is durable; sent again with the same client_id it gets the same answer, and there is no second message.',
  input: z
    .object({
      conversation: id.optional(),
      user: id.optional(),
      nickname: z.string().max(NICKNAME_INPUT_MAX).optional(),
      everyone: z.literal(true).optional(),
      client_id: clientId,
      text: z.string(),
      reply_to: seq.optional(),
      mentions: mentions.default([]),
      attachments: z.array(fileId).max(ATTACHMENTS_MAX).default([]),
    })
    .refine(
      to =>
        [to.conversation, to.user, to.nickname, to.everyone].filter(one => one !== undefined).length === 1,
      'one of conversation, user, nickname and everyone says to whom',
    ),
  output: z.object({
    message: z.object({ ...where, rev: z.int().min(1), created_ms: timeMs, client_id: z.string() }),
  }),
  fails: ['not_found', 'forbidden', 'too_large', 'limit', 'rate'],
  run: (context, caller, input) => {
    const { db, effects, options, nowMs } = context
    const conversation = targetOf(context, caller, input)
    const place = permitted(db, 'send', conversation, caller, options)
    const answer = ({ seq, rev, created_ms }: { seq: number; rev: number; created_ms: number }) => ({
      message: { conversation, seq, rev, created_ms, client_id: input.client_id },
    })
    const before = sentBefore(db, conversation, caller.user, input.client_id)
    if (before !== undefined) return answer(before)
    const text = cleanText(input.text, options.message_size)
    const replyTo = input.reply_to ?? 0
    const attachments = [...new Set(input.attachments)]
    if (text === '' && attachments.length === 0) throw new CallError('bad_request', 'text: it is empty')
    if (replyTo > 0) presentMessage(db, conversation, replyTo)
    const mentioned = membersOnly(db, conversation, input.mentions)
    const fields = { author: caller.user, text, mentions: mentioned, nowMs }
    const sent = insertMessage(context, place, { ...fields, clientId: input.client_id, replyTo, attachments })
    effects.publish(conversation, {
      type: 'message',
      rev: sent.rev,
      message: {
        conversation,
        seq: sent.seq,
        rev: sent.rev,
        author: caller.user,
        client_id: input.client_id,
        created_ms: nowMs,
        text,
        reply_to: replyTo,
        mentions: mentioned,
        attachments: sent.attachments,
        reactions: [],
        edited_ms: 0,
        deleted_ms: 0,
        pinned: false,
      },
    })
    return answer(sent)
  },
})

function targetOf(
  context: WriteContext,
  caller: Caller,
  to: Readonly<{
    conversation?: number | undefined
    user?: number | undefined
    nickname?: string | undefined
  }>,
): number {
  if (to.user !== undefined) return openDirect(context, caller.user, to.user)
  if (to.nickname === undefined) return to.conversation ?? EVERYONE
  const named = userByKey(context.db, foldName(to.nickname))
  if (named === undefined) throw new CallError('not_found', `user ${JSON.stringify(to.nickname)}`)
  return openDirect(context, caller.user, named.id)
}

/** Ascending, each once. `before`: who was mentioned already may have left since. */
function membersOnly(
  db: Database,
  conversation: number,
  users: readonly number[],
  before: readonly number[] = [],
): number[] {
  const distinct = [...new Set(users)].sort((a, b) => a - b)
  const unknown = distinct.filter(user => !before.includes(user))
  const stranger = unknown.find(user => roleIn(db, conversation, user) === undefined)
  if (stranger !== undefined) throw new CallError('bad_request', `mentions: user ${stranger} is not a member`)
  return distinct
}

/** A message that is there, and not deleted. */
function presentMessage(db: Database, conversation: number, seq: number): MessageRow {
  const row = messageRow(db, conversation, seq)
  if (row === undefined || row.deleted_ms > 0) throw new CallError('not_found', `message ${seq}`)
  return row
}

type Change = 'edited' | 'deleted' | 'reacted' | 'pinned'

/** Tells members the message as it is now, and answers it. */
function tell({ db, effects }: WriteContext, type: Change, { conversation_id, seq }: MessageRow) {
  const record = messageRecord(db, conversation_id, seq)!
  effects.publish(conversation_id, { type, rev: record.rev, message: record })
  return { message: record }
}

/** What there is to answer when nothing has changed. */
function unchanged(db: Database, { conversation_id, seq }: MessageRow) {
  return { message: messageRecord(db, conversation_id, seq)! }
}

const edit = writes({
  name: 'message.edit',
  access: 'user',
  rated: true,
  about:
    'Gives an own message another text. What it said before stays in its history of edits. `mentions` replaces those that it had.',
  input: z.object({ ...where, text: z.string(), mentions: mentions.default([]) }),
  output: changed,
  fails: ['not_found', 'forbidden', 'too_large', 'limit', 'rate'],
  run: (context, caller, input) => {
    const { db, options, nowMs } = context
    permitted(db, 'edit_own', input.conversation, caller, options)
    const row = presentMessage(db, input.conversation, input.seq)
    if (row.author_id !== caller.user) throw new CallError('forbidden', 'the message is not yours')
    const text = cleanText(input.text, options.message_size)
    const hasFiles = (row.extras & HAS.attachments) !== 0
    if (text === '' && !hasFiles) throw new CallError('bad_request', 'text: it is empty')
    const record = messageRecord(db, input.conversation, input.seq)!
    const mentioned = membersOnly(db, input.conversation, input.mentions, record.mentions)
    if (record.text === text && String(record.mentions) === String(mentioned)) return { message: record }
    if (editsOf(db, row) >= EDITS_MAX) throw new CallError('limit', `${EDITS_MAX} edits of a message`)
    editMessage(context, row, { text, mentions: mentioned }, nowMs)
    return tell(context, 'edited', row)
  },
})

const remove = writes({
  name: 'message.delete',
  access: 'user',
  rated: true,
  about:
    'Deletes a message for all: an own one, or as an administrator of the group that of another. Its text, edits, reactions and attachments are deleted; its place stays.',
  input: z.object(where),
  output: changed,
  fails: ['not_found', 'forbidden', 'rate'],
  run: (context, caller, input) => {
    const { db, options, nowMs } = context
    permitted(db, 'read', input.conversation, caller, options)
    const row = messageRow(db, input.conversation, input.seq)
    if (row === undefined) throw new CallError('not_found', `message ${input.seq}`)
    const action = row.author_id === caller.user ? 'delete_own' : 'delete_others'
    permitted(db, action, input.conversation, caller, options)
    if (row.deleted_ms > 0) return unchanged(db, row)
    deleteMessage(db, row, nowMs)
    return tell(context, 'deleted', row)
  },
})

const setReaction = writes({
  name: 'message.react',
  access: 'user',
  rated: true,
  about: 'Adds an emoji of the caller to a message, or takes it away.',
  input: z.object({ ...where, emoji: z.string().max(EMOJI_LENGTH_MAX), on: z.boolean().default(true) }),
  output: changed,
  fails: ['not_found', 'limit', 'rate'],
  run: (context, caller, input) => {
    const { db, options, nowMs } = context
    permitted(db, 'react', input.conversation, caller, options)
    const row = presentMessage(db, input.conversation, input.seq)
    const emoji = emojiOf(input.emoji)
    if (emoji === undefined) {
      throw new CallError('bad_request', `emoji: ${JSON.stringify(input.emoji)} is none`)
    }
    if (input.on) mustHaveRoom(db, row, emoji)
    const hasChanged = react(db, row, { user: caller.user, emoji, on: input.on, nowMs })
    return hasChanged ? tell(context, 'reacted', row) : unchanged(db, row)
  },
})

function mustHaveRoom(db: Database, row: MessageRow, emoji: string): void {
  const counts = reactionCounts(db, row.id)
  if (counts.reactions >= REACTIONS_MAX) throw new CallError('limit', `${REACTIONS_MAX} reactions`)
  if (counts.emoji >= EMOJI_MAX && !hasReaction(db, row.id, emoji)) {
    throw new CallError('limit', `${EMOJI_MAX} different emoji`)
  }
}

const setPin = writes({
  name: 'message.pin',
  access: 'user',
  rated: true,
  about: 'Pins a message for all members, or ends that.',
  input: z.object({ ...where, on: z.boolean().default(true) }),
  output: changed,
  fails: ['not_found', 'forbidden', 'limit', 'rate'],
  run: (context, caller, input) => {
    const { db, options, nowMs } = context
    permitted(db, 'pin', input.conversation, caller, options)
    const row = presentMessage(db, input.conversation, input.seq)
    const isPinned = (row.extras & HAS.pin) !== 0
    if (isPinned === input.on) return unchanged(db, row)
    if (input.on && pinsOf(db, input.conversation) >= PINS_MAX) {
      throw new CallError('limit', `${PINS_MAX} pinned messages`)
    }
    pin(db, row, { user: caller.user, on: input.on, nowMs })
    return tell(context, 'pinned', row)
  },
})

const edits = reads({
  name: 'message.edits',
  access: 'user',
  about:
    'What a message said before it was edited, the oldest first. `edited_ms`: until when it said so. `offset`: how many of them not to tell; with `has_more` there are others behind those that came.',
  input: z.object({ ...where, offset: z.int().min(0).max(EDITS_MAX).default(0) }),
  output: z.object({
    edits: z.array(z.object({ edited_ms: timeMs, text: z.string() })),
    has_more: z.boolean(),
  }),
  fails: ['not_found'],
  run: ({ db, options }, caller, input) => {
    permitted(db, 'read', input.conversation, caller, options)
    const { id } = presentMessage(db, input.conversation, input.seq)
    const left = editsBefore(db, id, input.offset)
    const edits = fitting(left)
    return { edits, has_more: edits.length < left.length }
  },
})

const mark = writes({
  name: 'message.mark',
  access: 'user',
  about:
    'Says up to which message the caller has read a conversation, or got it on a device. Marks only go forward; one that would not changes nothing.',
  input: z.object({ conversation: id, read_seq: seq.optional(), delivered_seq: seq.optional() }),
  output: z.object({ read_seq: z.int().min(0), delivered_seq: z.int().min(0) }),
  fails: ['not_found'],
  run: (context, caller, input) => {
    const { db, options } = context
    const at = permitted(db, 'read', input.conversation, caller, options)
    const readSeq = Math.max(at.read_seq, upTo(at, 'read_seq', input.read_seq))
    const delivered = Math.max(at.delivered_seq, upTo(at, 'delivered_seq', input.delivered_seq))
    // What was read has come.
    const deliveredSeq = Math.max(delivered, readSeq)
    const isNew = readSeq !== at.read_seq || deliveredSeq !== at.delivered_seq
    if (isNew) {
      markRead(db, at.id, caller.user, { readSeq, deliveredSeq })
      tellMarks(context, caller.user, { ...at, read_seq: readSeq, delivered_seq: deliveredSeq })
    }
    return { read_seq: readSeq, delivered_seq: deliveredSeq }
  },
})

function upTo(at: Place, name: string, given: number | undefined): number {
  if (given === undefined) return 0
  if (given <= at.seq) return given
  throw new CallError('bad_request', `${name}: ${given} is past the newest message, ${at.seq}`)
}

function tellMarks({ db, effects }: WriteContext, user: number, at: Place): void {
  const { id: conversation, read_seq, delivered_seq } = at
  const unread_mentions = unreadMentionsOf(db, user, conversation, read_seq)
  effects.tell(user, { type: 'mark', conversation, read_seq, unread: unreadOf(at), unread_mentions })
  if (at.member_count > WATCHED_MEMBERS_MAX) return
  effects.publish(conversation, { type: 'marks', marks: [{ user, read_seq, delivered_seq }] })
}

const typing = inSteps({
  name: 'message.typing',
  access: 'user',
  about:
    'Shows members that the caller is typing, or no longer is. Kept nowhere, shown once in two seconds at most (and once that it ended), and not in large conversations.',
  input: z.object({ conversation: id, typing: z.boolean().default(true) }),
  output: z.object({}),
  fails: ['not_found'],
  run: async ({ db, effects, options }, caller, input) => {
    const { member_count } = permitted(db, 'send', input.conversation, caller, options)
    if (member_count <= WATCHED_MEMBERS_MAX) {
      effects.publish(input.conversation, { type: 'typing', user: caller.user, typing: input.typing })
    }
    return {}
  },
})

export const messagesMethods: readonly Method[] = [
  send,
  edit,
  remove,
  setReaction,
  setPin,
  edits,
  mark,
  typing,
]
