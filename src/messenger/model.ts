// The records that clients see, as zod schemas: types, checks of what comes in, and the reference pages all follow from
// them. Any thread. Names on the wire are in snake case, times are Unix milliseconds. `id` in meta is the name by which
// the reference knows a record.

import { z } from 'zod'
import { RANDOM_ID } from '../base/random-id.ts'
import { RETENTION_DAYS_MAX } from '../config/schema.messenger.ts'

export const id = z.int().min(1)
export const seq = z.int().min(1)
export const timeMs = z.int().min(0)
export const sessionId = z.string().regex(RANDOM_ID)
export const fileId = z.string().regex(RANDOM_ID).describe('Random: 128 bits in base64url.')
export const clientId = z
  .string()
  .min(1)
  .max(64)
  .describe('The client makes it, so that sending again is not sending twice.')

/** Null: as the configuration says; 0: for ever. */
export const retentionDays = z.int().min(0).max(RETENTION_DAYS_MAX).nullable()

/** Which archive this is: see store/settings.ts. */
export const archive = z
  .string()
  .describe('Another one than before: the server was restored from a backup, and what was known is void.')

export const userRole = z.enum(['admin', 'user'])
export const memberRole = z.enum(['owner', 'admin', 'member'])
export const conversationKind = z.enum(['direct', 'group', 'everyone'])
export const visibility = z.enum(['public', 'private', 'users', 'conversation'])

export const user = z
  .object({
    id,
    nickname: z.string(),
    display_name: z.string(),
    role: userRole,
    state: z.enum(['active', 'blocked', 'deleted']),
    last_seen_ms: timeMs.describe('0: never seen.'),
  })
  .meta({ id: 'User' })

export const member = z
  .object({
    user: id,
    role: memberRole,
    joined_ms: timeMs,
    read_seq: z.int().min(0).describe('All up to this message was read.'),
    delivered_seq: z.int().min(0).describe('All up to this message came to a device.'),
  })
  .meta({ id: 'Member' })

export const file = z
  .object({
    id: fileId,
    owner: id,
    name: z.string(),
    size: z.int().min(0),
    type: z.string().describe('By what its bytes say; application/octet-stream when they say nothing known.'),
    sha256: z.string().describe('Of the whole file, in hex: what `sha256sum` prints.'),
    created_ms: timeMs,
    visibility,
    width: z.int().min(1).optional().describe('Of images with a preview.'),
    height: z.int().min(1).optional().describe('Of images with a preview.'),
    blur: z.string().optional().describe('A tiny picture as data URI, to show until the preview has loaded.'),
  })
  .meta({ id: 'File' })

export const reaction = z.object({ emoji: z.string(), users: z.array(id) }).meta({ id: 'Reaction' })

export const message = z
  .object({
    conversation: id,
    seq: seq.describe('Place in the conversation: 1, 2, 3, … without gaps.'),
    rev: z.int().min(1).describe('Change number of the conversation at which it got this form.'),
    author: id,
    client_id: z.string(),
    created_ms: timeMs,
    text: z.string(),
    reply_to: z.int().min(0).describe('0: no reply.'),
    mentions: z.array(id),
    attachments: z.array(file),
    reactions: z.array(reaction),
    edited_ms: timeMs.describe('0: never edited.'),
    deleted_ms: timeMs.describe('0: not deleted. A deleted message keeps its place and nothing else.'),
    pinned: z.boolean(),
  })
  .meta({ id: 'Message' })

export const conversation = z
  .object({
    id,
    kind: conversationKind,
    name: z.string().describe('"" for direct ones and for everyone.'),
    peer: z.int().min(0).describe('Of direct ones: the other user. 0: none.'),
    seq: z.int().min(0).describe('The newest message; 0: none yet.'),
    rev: z.int().min(0).describe('The newest change; 0: none yet.'),
    first_seq: z.int().min(1).describe('The oldest message that retention left.'),
    members: z.int().min(1),
    role: memberRole.describe("The caller's own."),
    read_seq: z.int().min(0),
    unread: z.int().min(0),
    unread_mentions: z.int().min(0),
    muted: z.boolean(),
    retention_days: z.int().min(0),
    created_ms: timeMs,
    last_message: message.optional(),
  })
  .meta({ id: 'Conversation' })

export const session = z
  .object({
    id: z.string(),
    created_ms: timeMs,
    used_ms: timeMs,
    expires_ms: timeMs,
    address: z.string(),
    device: z.string(),
    current: z.boolean(),
  })
  .meta({ id: 'Login' })

export type User = z.infer<typeof user>
export type Member = z.infer<typeof member>
export type FileRecord = z.infer<typeof file>
export type Message = z.infer<typeof message>
export type Conversation = z.infer<typeof conversation>
export type MemberRole = z.infer<typeof memberRole>
export type UserRole = z.infer<typeof userRole>
export type Visibility = z.infer<typeof visibility>

/**
 * What members get live in the channel of a conversation. Each with `rev` is a change that the archive keeps: who sees a
 * rev that is not the next one asks `message.changes` for what lies between. Marks and typing are not kept.
 */
export type ConversationEvent =
  | { type: 'message' | 'edited' | 'deleted' | 'reacted' | 'pinned'; rev: number; message: Message }
  | { type: 'members'; rev: number; joined: readonly number[]; left: readonly number[] }
  | { type: 'conversation'; rev: number; name: string; retention_days: number }
  | { type: 'role'; rev: number; user: number; role: MemberRole }
  | { type: 'marks'; marks: readonly { user: number; read_seq: number; delivered_seq: number }[] }
  | { type: 'typing'; user: number; typing: boolean }

/** What a user gets on all own devices. */
export type UserEvent =
  | { type: 'conversation_added'; conversation: Conversation }
  | { type: 'conversation_removed'; conversation: number }
  | { type: 'mark'; conversation: number; read_seq: number; unread: number; unread_mentions: number }
  | { type: 'profile'; user: User }
  | { type: 'muted'; conversation: number; muted: boolean }
  | { type: 'file'; file: string; change: 'added' | 'changed' | 'deleted' }

export type PresenceEvent = {
  type: 'presence'
  online: readonly number[]
  offline: readonly number[]
  /** More changes than a batch holds: ask `presence.list` again. */
  truncated: boolean
  total: number
}
