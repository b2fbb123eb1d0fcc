// Methods of the archive: pages of messages in both directions, around a place or a date, what changed meanwhile, pins,
// and the file of an export. Threads of the pool; the export begins in the messenger's.

import { z } from 'zod'
import { CallError } from '../failures.ts'
import { cleanName } from '../files/names.ts'
import { inSteps, type Method, type ReadContext, reads } from '../method.ts'
import { archive, id, message, timeMs } from '../model.ts'
import {
  changesAfter,
  conversationTitle,
  pageAfter,
  pageBefore,
  pinnedMessages,
  seqAt,
} from '../store/archive.ts'
import { type Asker, permitted } from '../store/conversations.ts'
import { archiveId } from '../store/settings.ts'

const LIMIT_MAX = 200
const LIMIT = 50
const limit = z.int().min(1).max(LIMIT_MAX).default(LIMIT)
/** Ascending by seq. */
const messages = z.array(message)
const REFUSED = ['not_found'] as const

function mayRead({ db, options }: Pick<ReadContext, 'db' | 'options'>, conversation: number, caller: Asker) {
  return permitted(db, 'read', conversation, caller, options)
}

const list = reads({
  name: 'message.list',
  access: 'user',
  about:
    'A page of messages, ascending: the newest, those before a seq, or those after one. Pages of long texts may be shorter than the limit.',
  input: z.strictObject({ conversation: id, before: id.optional(), after: z.int().min(0).optional(), limit }),
  output: z.object({ messages, has_more: z.boolean(), first_seq: id, seq: z.int(), rev: z.int() }),
  fails: REFUSED,
  run: (context, caller, { conversation, before, after, limit }) => {
    if (before !== undefined && after !== undefined) {
      throw new CallError('bad_request', 'before, after: give one of them')
    }
    const { first_seq, seq, rev } = mayRead(context, conversation, caller)
    const { messages, hasMore } =
      after !== undefined
        ? pageAfter(context.db, conversation, after, limit)
        : pageBefore(context.db, conversation, before ?? seq + 1, limit)
    return { messages, has_more: hasMore, first_seq, seq, rev }
  },
})

const aroundOutput = z.object({ messages, has_before: z.boolean(), has_after: z.boolean() })

const around = reads({
  name: 'message.around',
  access: 'user',
  about:
    'A message with those around it, about as many before as after. The place may be empty: its neighbours come.',
  input: z.strictObject({ conversation: id, seq: id, limit }),
  output: aroundOutput,
  fails: REFUSED,
  run: (context, caller, { conversation, seq, limit }) => {
    mayRead(context, conversation, caller)
    return pageAround(context, conversation, seq, limit)
  },
})

function pageAround({ db }: ReadContext, conversation: number, seq: number, limit: number) {
  const half = Math.floor(limit / 2)
  const before = pageBefore(db, conversation, seq, half)
  const from = pageAfter(db, conversation, seq - 1, limit - half)
  return {
    messages: [...before.messages, ...from.messages],
    has_before: before.hasMore,
    has_after: from.hasMore,
  }
}

const at = reads({
  name: 'message.at',
  access: 'user',
  about:
    'The first message that is not older than a time, with those around it; seq 0 and the newest when all are older.',
  input: z.strictObject({ conversation: id, time_ms: timeMs, limit }),
  output: aroundOutput.extend({ seq: z.int().min(0) }),
  fails: REFUSED,
  run: (context, caller, { conversation, time_ms, limit }) => {
    const place = mayRead(context, conversation, caller)
    const seq = seqAt(context.db, conversation, time_ms)
    return { seq: seq ?? 0, ...pageAround(context, conversation, seq ?? place.seq, limit) }
  },
})

const changes = reads({
  name: 'message.changes',
  access: 'user',
  about:
    'All that changed in a conversation behind a rev, ascending: messages in the form that they have now, and other events (of these the newest 1,000 are kept). Ask again behind the last rev until complete is true.',
  input: z.strictObject({
    conversation: id,
    after_rev: z.int().min(0),
    limit: z.int().min(1).max(LIMIT_MAX).default(LIMIT_MAX),
  }),
  output: z.object({
    changes: z.array(
      z.object({
        rev: id,
        message: message.optional(),
        event: z.looseObject({ type: z.string() }).optional(),
      }),
    ),
    complete: z.boolean(),
    /** Where the conversation stands: who has got all changes stands there, too. */
    rev: z.int(),
    seq: z.int(),
    first_seq: id,
    archive,
  }),
  fails: REFUSED,
  run: (context, caller, { conversation, after_rev, limit }) => {
    const { rev, seq, first_seq } = mayRead(context, conversation, caller)
    const { changes, hasMore } = changesAfter(context.db, conversation, after_rev, limit)
    return { changes, complete: !hasMore, rev, seq, first_seq, archive: archiveId(context.db) }
  },
})

const pins = reads({
  name: 'message.pins',
  access: 'user',
  about: 'Pinned messages, the last pinned first.',
  input: z.strictObject({ conversation: id, offset: z.int().min(0).max(10_000).default(0), limit }),
  output: z.object({ messages: z.array(message), has_more: z.boolean() }),
  fails: REFUSED,
  run: (context, caller, { conversation, offset, limit }) => {
    mayRead(context, conversation, caller)
    const { messages, hasMore } = pinnedMessages(context.db, conversation, offset, limit)
    return { messages, has_more: hasMore }
  },
})

const FORMATS = {
  jsonl: { ending: 'jsonl', type: 'application/jsonl' },
  html: { ending: 'zip', type: 'application/zip' },
} as const

const prepareExport = inSteps({
  name: 'export.prepare',
  access: 'shard',
  about: 'Writes a conversation into a file, for the HTTP request that sends and deletes it.',
  input: z.strictObject({ conversation: id, format: z.enum(['jsonl', 'html']) }),
  output: z.object({
    /** Below the data directory. */
    path: z.string(),
    bytes: z.int(),
    name: z.string(),
    type: z.string(),
    user: id,
  }),
  fails: ['not_found', 'too_large'],
  run: async ({ db, options, pool }, caller, { conversation, format }) => {
    mayRead({ db, options }, conversation, caller)
    const written = await pool.run('exportConversation', { conversation, format })
    // Who was removed meanwhile gets nothing; the sweep deletes the file.
    mayRead({ db, options }, conversation, caller)
    const { ending, type } = FORMATS[format]
    return {
      ...written,
      name: cleanName(`${conversationTitle(db, conversation)}.${ending}`),
      type,
      user: caller.user,
    }
  },
})

export const archiveMethods: readonly Method[] = [list, around, at, changes, pins, prepareExport]
