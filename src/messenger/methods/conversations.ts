// Conversations: listing them, making groups, who is in them and what they may do there. Each method is a check of what
// came in, a permission, and a call of the store or of membership.ts. Any thread may import it.

import { z } from 'zod'
import { CallError } from '../failures.ts'
import {
  changeRole,
  createGroup,
  endConversation,
  inviteTo,
  leaveGroup,
  openDirect,
  passOwnership,
  rename,
  setRetention,
} from '../membership.ts'
import { inSteps, type Method, reads, writes } from '../method.ts'
import { archive, conversation, id, member, memberRole, retentionDays } from '../model.ts'
import { conversationPage, conversationRecord, type PlaceInList } from '../store/conversation-records.ts'
import { memberPage, mute, permitted, roleIn } from '../store/conversations.ts'
import { archiveId } from '../store/settings.ts'

const NAME_CHARACTERS_MAX = 100
/** Users that one call may bring: each is checked and told while others' messages wait. */
const USERS_PER_CALL_MAX = 100
const CONVERSATIONS_PAGE_MAX = 200
const MEMBERS_PAGE_MAX = 500

const nothing = z.object({})
const users = z.array(id).min(1).max(USERS_PER_CALL_MAX)
/** How a name is written; `cleanName` says what is left of it. */
const name = z.string().max(4 * NAME_CHARACTERS_MAX)
const cursor = z.union([z.literal(''), z.string().regex(/^\d{1,16}\.\d{1,16}$/)])

const list = reads({
  name: 'conversation.list',
  access: 'user',
  about:
    'Conversations of the caller, the newest activity first, each with its newest message. `next` is the `cursor` of the next page; "": that was the last one.',
  input: z.object({
    cursor: cursor.default(''),
    limit: z.int().min(1).max(CONVERSATIONS_PAGE_MAX).default(100),
  }),
  output: z.object({ conversations: z.array(conversation), next: cursor, archive }),
  fails: [],
  run: ({ db, options }, { user }, input) => {
    const page = conversationPage(db, user, options, {
      behind: parseCursor(input.cursor),
      limit: input.limit,
    })
    const next = page.next === undefined ? '' : cursorOf(page.next)
    return { conversations: page.conversations, next, archive: archiveId(db) }
  },
})

function parseCursor(text: string): PlaceInList | undefined {
  if (text === '') return undefined
  const [activeMs, last] = text.split('.').map(Number)
  return { activeMs: activeMs!, id: last! }
}

function cursorOf({ activeMs, id }: PlaceInList): string {
  return `${activeMs}.${id}`
}

const get = reads({
  name: 'conversation.get',
  access: 'user',
  about: 'One conversation.',
  input: z.object({ conversation: id }),
  output: z.object({ conversation }),
  fails: ['not_found'],
  run: ({ db, options }, caller, input) => {
    permitted(db, 'read', input.conversation, caller, options)
    return { conversation: conversationRecord(db, input.conversation, caller.user, options) }
  },
})

const members = inSteps({
  name: 'conversation.members',
  access: 'user',
  about:
    'Members of a conversation by ascending user id. `after`: the last user of the page before; `next` 0: that was the last page.',
  input: z.object({
    conversation: id,
    after: z.int().min(0).default(0),
    limit: z.int().min(1).max(MEMBERS_PAGE_MAX).default(100),
  }),
  output: z.object({
    members: z.array(member.extend({ nickname: z.string(), display_name: z.string(), online: z.boolean() })),
    next: z.int().min(0),
    total: z.int().min(0),
  }),
  fails: ['not_found'],
  run: async ({ db, options, online }, caller, input) => {
    const { member_count } = permitted(db, 'read', input.conversation, caller, options)
    const page = memberPage(db, input.conversation, input.after, input.limit)
    return {
      members: page.map(one => ({ ...one, online: online.isOnline(one.user) })),
      next: page.length < input.limit ? 0 : page.at(-1)!.user,
      total: member_count,
    }
  },
})

const createsGroup = writes({
  name: 'conversation.create_group',
  access: 'user',
  rated: true,
  about: 'Makes a group that the caller owns. `members`: who besides the caller.',
  input: z.object({ name, members: z.array(id).max(USERS_PER_CALL_MAX).default([]) }),
  output: z.object({ conversation }),
  fails: ['not_found', 'limit'],
  run: (context, { user }, input) => {
    const made = createGroup(context, user, cleanName(input.name), input.members)
    return { conversation: conversationRecord(context.db, made, user, context.options) }
  },
})

const direct = writes({
  name: 'conversation.direct',
  access: 'user',
  rated: true,
  about: 'The direct conversation with a user; it is made when there is none.',
  input: z.object({ user: id }),
  output: z.object({ conversation }),
  fails: ['not_found', 'limit'],
  run: (context, { user }, input) => {
    const opened = openDirect(context, user, input.user)
    return { conversation: conversationRecord(context.db, opened, user, context.options) }
  },
})

const renames = writes({
  name: 'conversation.rename',
  access: 'user',
  rated: true,
  about: 'Gives a group another name.',
  input: z.object({ conversation: id, name }),
  output: nothing,
  fails: ['not_found', 'forbidden'],
  run: (context, caller, input) => {
    const place = permitted(context.db, 'rename', input.conversation, caller, context.options)
    const cleaned = cleanName(input.name)
    if (cleaned !== place.name) rename(context, place, cleaned)
    return {}
  },
})

const invite = writes({
  name: 'conversation.invite',
  access: 'user',
  rated: true,
  about: 'Adds users to a group: all of them or none. Who is in it already stays. `joined`: who is new.',
  input: z.object({ conversation: id, users }),
  output: z.object({ joined: z.array(id) }),
  fails: ['not_found', 'forbidden', 'limit'],
  run: (context, caller, input) => {
    const place = permitted(context.db, 'invite', input.conversation, caller, context.options)
    return { joined: inviteTo(context, place, input.users) }
  },
})

const remove = writes({
  name: 'conversation.remove',
  access: 'user',
  rated: true,
  about: 'Removes a member from a group. Administrators of a group are removed by its owner only.',
  input: z.object({ conversation: id, user: id }),
  output: nothing,
  fails: ['not_found', 'forbidden'],
  run: (context, caller, input) => {
    const { db, options } = context
    permitted(db, 'remove_member', input.conversation, caller, options)
    if (input.user === caller.user) throw new CallError('bad_request', 'user: leave the group instead')
    const role = memberOf(context, input)
    if (role !== 'member') permitted(db, 'remove_admin', input.conversation, caller, options)
    leaveGroup(context, input.conversation, input.user)
    return {}
  },
})

const leave = writes({
  name: 'conversation.leave',
  access: 'user',
  rated: true,
  about:
    'Leaves a group. If the owner leaves, the group passes to its oldest administrator, else to its oldest member; if the last member leaves, it is deleted.',
  input: z.object({ conversation: id }),
  output: nothing,
  fails: ['not_found', 'forbidden'],
  run: (context, caller, input) => {
    permitted(context.db, 'leave', input.conversation, caller, context.options)
    leaveGroup(context, input.conversation, caller.user)
    return {}
  },
})

const setsRole = writes({
  name: 'conversation.set_role',
  access: 'user',
  rated: true,
  about:
    'Gives a member of a group a role. Who makes somebody else the owner is an administrator from then on.',
  input: z.object({ conversation: id, user: id, role: memberRole }),
  output: nothing,
  fails: ['not_found', 'forbidden'],
  run: (context, caller, input) => {
    const place = permitted(context.db, 'change_role', input.conversation, caller, context.options)
    if (input.user === caller.user) throw new CallError('bad_request', 'user: the owner stays the owner')
    const role = memberOf(context, input)
    if (input.role === 'owner') passOwnership(context, place.id, caller.user, input.user)
    else if (input.role !== role) changeRole(context, place.id, input.user, input.role)
    return {}
  },
})

const deletes = writes({
  name: 'conversation.delete',
  access: 'user',
  rated: true,
  about: 'Deletes a group with all that was said in it, for all its members.',
  input: z.object({ conversation: id }),
  output: nothing,
  fails: ['not_found', 'forbidden'],
  run: (context, caller, input) => {
    permitted(context.db, 'delete_conversation', input.conversation, caller, context.options)
    endConversation(context, input.conversation)
    return {}
  },
})

const setsRetention = writes({
  name: 'conversation.set_retention',
  access: 'user',
  rated: true,
  about: 'After how many days messages are deleted. 0: never; null: as the server is configured.',
  input: z.object({ conversation: id, days: retentionDays }),
  output: nothing,
  fails: ['not_found', 'forbidden'],
  run: (context, caller, input) => {
    const place = permitted(context.db, 'set_retention', input.conversation, caller, context.options)
    if (place.retention_days !== input.days) setRetention(context, place.id, input.days)
    return {}
  },
})

const mutes = writes({
  name: 'conversation.mute',
  access: 'user',
  rated: true,
  about:
    'Whether the caller wants to be left alone by a conversation. Clients keep to it; messages come as ever.',
  input: z.object({ conversation: id, muted: z.boolean() }),
  output: nothing,
  fails: ['not_found'],
  run: ({ db, effects, options }, caller, input) => {
    permitted(db, 'read', input.conversation, caller, options)
    mute(db, input.conversation, caller.user, input.muted)
    effects.tell(caller.user, { type: 'muted', conversation: input.conversation, muted: input.muted })
    return {}
  },
})

/** The role of who is to be changed; throws when it is no member. */
function memberOf(
  { db }: Parameters<typeof leaveGroup>[0],
  input: Readonly<{ conversation: number; user: number }>,
) {
  const role = roleIn(db, input.conversation, input.user)
  if (role === undefined) throw new CallError('not_found', `member ${input.user}`)
  return role
}

/**
 * One line of visible text. Refused are control characters, halves of surrogate pairs, and marks that turn the direction
 * of what stands beside the name.
 */
export function cleanName(text: string): string {
  const cleaned = text.normalize('NFC').replace(/\s+/gu, ' ').trim()
  const characters = [...cleaned].length
  if (characters === 0 || characters > NAME_CHARACTERS_MAX)
    throw new CallError(
      'bad_request',
      `name: it has ${characters} characters, not 1 to ${NAME_CHARACTERS_MAX}`,
    )
  if (/[\p{Cc}\p{Cs}\p{Co}\u2028\u2029]|\p{Bidi_Control}/u.test(cleaned))
    throw new CallError('bad_request', `name: ${JSON.stringify(cleaned)} has characters that nobody sees`)
  return cleaned
}

export const conversationsMethods: readonly Method[] = [
  list,
  get,
  members,
  createsGroup,
  direct,
  renames,
  invite,
  remove,
  leave,
  setsRole,
  deletes,
  setsRetention,
  mutes,
]
