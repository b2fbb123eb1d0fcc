// How conversations come to be, change and end: each change of one with what it causes on live connections. The
// messenger's thread, inside the transaction that is being gathered. Invariant: who joins is subscribed and told, who
// leaves is unsubscribed and told, and whoever stays gets one event with the next `rev`, which is kept for who is away.

import { assert } from '../base/assert.ts'
import { CallError } from './failures.ts'
import type { WriteContext } from './method.ts'
import type { ConversationEvent, MemberRole } from './model.ts'
import { conversationRecord } from './store/conversation-records.ts'
import {
  addChange,
  addMember,
  bumpRev,
  conversationsOf,
  directWith,
  dropAllMembers,
  dropMember,
  emptyConversation,
  heirOf,
  makeConversation,
  memberIds,
  mustBeActive,
  mustHaveRoom,
  mustMakeFew,
  type Place,
  peerOf,
  placeOf,
  renameConversation,
  retainFor,
  roleIn,
  setRole,
} from './store/conversations.ts'
import type { Database } from './store/database.ts'
import { EVERYONE } from './store/schema.ts'
import { userById } from './store/users.ts'

/** Members of a conversation that ends are told in steps of so many. */
const MEMBERS_STEP = 1_000

type Event = Extract<ConversationEvent, { type: 'members' | 'conversation' | 'role' }>
type WithoutRev<E> = E extends unknown ? Omit<E, 'rev'> : never

/** Gives a change its number, keeps it, and tells the members. */
function change({ db, effects }: WriteContext, conversation: number, event: WithoutRev<Event>): void {
  const changed: Event = { ...event, rev: bumpRev(db, conversation) }
  addChange(db, conversation, changed.rev, changed)
  effects.publish(conversation, changed)
}

/** Lets users who are members already see it: on their devices now, at the next connect by the members table. */
function welcome(
  { db, effects, options }: WriteContext,
  conversation: number,
  users: readonly number[],
): void {
  for (const user of users) {
    effects.join(user, conversation)
    const record = conversationRecord(db, conversation, user, options)
    effects.tell(user, { type: 'conversation_added', conversation: record })
  }
}

function farewell({ effects }: WriteContext, conversation: number, user: number): void {
  effects.leave(user, conversation)
  effects.tell(user, { type: 'conversation_removed', conversation })
}

/** The direct conversation of two users; a new one is announced to both. */
export function openDirect(context: WriteContext, user: number, peer: number): number {
  const { id, isNew } = directWith(context.db, user, peer, context.nowMs, context.options)
  if (isNew) welcome(context, id, [user, peer])
  return id
}

/** `members`: who besides the owner. */
export function createGroup(
  context: WriteContext,
  owner: number,
  name: string,
  members: readonly number[],
): number {
  const { db, nowMs, options } = context
  const others = [...new Set(members)].filter(user => user !== owner)
  mustFit(1 + others.length, options.group_members)
  mustMakeFew(db, owner, nowMs, options)
  mustHaveRoom(db, owner, options)
  const id = makeConversation(db, { kind: 'group', name, directKey: null, by: owner, nowMs })
  addMember(db, id, owner, 'owner', nowMs)
  for (const user of others) addActive(context, id, user)
  welcome(context, id, [owner, ...others])
  return id
}

/** Who is a member already stays what he or she is. Answers who came. */
export function inviteTo(context: WriteContext, place: Place, users: readonly number[]): number[] {
  const { db, options } = context
  const joined = [...new Set(users)].filter(user => roleIn(db, place.id, user) === undefined)
  mustFit(place.member_count + joined.length, options.group_members)
  for (const user of joined) addActive(context, place.id, user)
  if (joined.length === 0) return joined
  change(context, place.id, { type: 'members', joined, left: [] })
  welcome(context, place.id, joined)
  return joined
}

function addActive({ db, nowMs, options }: WriteContext, conversation: number, user: number): void {
  mustBeActive(db, user)
  mustHaveRoom(db, user, options)
  addMember(db, conversation, user, 'member', nowMs)
}

function mustFit(members: number, membersMax: number): void {
  if (members > membersMax) throw new CallError('limit', `${members} members, of at most ${membersMax}`)
}

/**
 * A member goes. A group that loses its owner gets another; one that loses its last member ends.
 */
export function leaveGroup(context: WriteContext, conversation: number, user: number): void {
  const { db } = context
  const role = roleIn(db, conversation, user)
  assert(role !== undefined, 'who leaves is a member')
  if (role === 'owner') {
    const heir = heirOf(db, conversation, user)
    if (heir === undefined) return endConversation(context, conversation)
    changeRole(context, conversation, heir, 'owner')
  }
  dropMember(db, conversation, user)
  farewell(context, conversation, user)
  change(context, conversation, { type: 'members', joined: [], left: [user] })
}

/** For who deletes the account: leaves everything but the direct conversations, which the others keep while there are any. */
export function leaveAll(context: WriteContext, user: number): void {
  const { db } = context
  for (const conversation of conversationsOf(db, user, { everyone: true })) {
    const place = placeOf(db, conversation, user)
    switch (place?.kind) {
      case 'group':
        leaveGroup(context, conversation, user)
        break
      case 'everyone':
        // Nobody is told of the comings and goings of all users.
        dropMember(db, conversation, user)
        break
      case 'direct':
        if (isDeleted(db, peerOf(place, user))) endConversation(context, conversation)
        break
    }
  }
}

function isDeleted(db: Database, user: number): boolean {
  return userById(db, user)?.state === 'deleted'
}

export function changeRole(
  context: WriteContext,
  conversation: number,
  user: number,
  role: MemberRole,
): void {
  setRole(context.db, conversation, user, role)
  change(context, conversation, { type: 'role', user, role })
}

/** The owner gives the group to another member, and is an administrator of it from now on. */
export function passOwnership(
  context: WriteContext,
  conversation: number,
  owner: number,
  heir: number,
): void {
  changeRole(context, conversation, owner, 'admin')
  changeRole(context, conversation, heir, 'owner')
}

export function rename(context: WriteContext, { id }: Place, name: string): void {
  renameConversation(context.db, id, name)
  changed(context, id)
}

/** `days` null: as the configuration says; 0: for ever. */
export function setRetention(context: WriteContext, conversation: number, days: number | null): void {
  retainFor(context.db, conversation, days)
  changed(context, conversation)
}

function changed(context: WriteContext, conversation: number): void {
  const { db, options } = context
  const place = placeOf(db, conversation, 0)
  if (place === undefined) throw new CallError('not_found', 'conversation')
  const retention_days = place.retention_days ?? options.retention_days
  change(context, conversation, { type: 'conversation', name: place.name, retention_days })
}

/**
 * Ends a group or a direct conversation for all its members at once. From this moment nobody can find it; the janitor
 * deletes its messages and files in slices, since there may be millions.
 */
export function endConversation(context: WriteContext, conversation: number): void {
  const { db } = context
  if (conversation === EVERYONE) throw new CallError('forbidden', 'the conversation of all users stays')
  for (let after = 0; ; ) {
    const users = memberIds(db, conversation, after, MEMBERS_STEP)
    for (const user of users) farewell(context, conversation, user)
    after = users.at(-1) ?? after
    if (users.length < MEMBERS_STEP) break
  }
  dropAllMembers(db, conversation)
  emptyConversation(db, conversation)
}
