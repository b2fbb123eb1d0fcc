// What each method of the messenger answers to whom: one row at least for every method in the registry. Whoever adds a
// method adds its row; whoever changes a permission changes it here.

import type { FailureKind } from '../../src/messenger/failures.ts'
import { PASSWORD } from './people.ts'

/**
 * stranger: nobody is logged in. outsider: a user who is not in the group. server_admin: an administrator of the server
 * who is not in it either. The others are in the group by their role.
 */
export const WHO = ['stranger', 'outsider', 'member', 'admin', 'owner', 'server_admin'] as const
export type Who = (typeof WHO)[number]
export type User = Exclude<Who, 'stranger'>

export type Outcome = 'ok' | FailureKind
export type Expected = Readonly<Record<Who, Outcome>>

/** What a call may need. Each call that changes something gets a scene of its own. */
export type Scene = Readonly<{
  group: number
  /** Of a message in the group by another member, who is none of these. */
  seq: number
  /** Of a message in the group by who calls; the other's when that is not a member. */
  ownSeq: number
  /** Of a message to everyone by that other member. */
  everyoneSeq: number
  /** Another member. */
  author: number
  /** A user who is in no group, made for this row; 0 where it says nothing of one. */
  spare: number
  /** Of who calls; 0 for strangers. */
  caller: Readonly<{ id: number; nickname: string; session: string }>
  /** A file of the other member that is attached to `seq`, and a private one; a private one of who calls. */
  attached: string
  hiddenFile: string
  ownFile: string
  /** A text that nothing else has. */
  unique: string
}>

export type Row = Readonly<{
  /** What is special about it, where a method has several. */
  about?: string
  input: (scene: Scene) => object
  expected: Expected
  /** Ends the login or the account of who calls: each call has an account of its own. */
  spoils?: true
  /** It needs a user to do something to; it needs files. */
  spare?: true
  files?: true
}>

export const EVERYONE = 1

const everybody: Expected = {
  stranger: 'ok',
  outsider: 'ok',
  member: 'ok',
  admin: 'ok',
  owner: 'ok',
  server_admin: 'ok',
}
const users: Expected = { ...everybody, stranger: 'unauthorized' }
const serverAdmins: Expected = {
  stranger: 'unauthorized',
  outsider: 'forbidden',
  member: 'forbidden',
  admin: 'forbidden',
  owner: 'forbidden',
  server_admin: 'ok',
}
const nobody: Expected = {
  stranger: 'method_not_found',
  outsider: 'method_not_found',
  member: 'method_not_found',
  admin: 'method_not_found',
  owner: 'method_not_found',
  server_admin: 'method_not_found',
}
const members: Expected = { ...users, outsider: 'not_found', server_admin: 'not_found' }
const groupAdmins: Expected = { ...members, member: 'forbidden' }
const groupOwner: Expected = { ...groupAdmins, admin: 'forbidden' }
const noMember: Expected = { ...groupOwner, owner: 'forbidden' }
/** For users it is not there. */
const hidden: Expected = { ...members, member: 'not_found', admin: 'not_found', owner: 'not_found' }

const ofGroup = ({ group }: Scene) => ({ conversation: group })
const ofMessage = ({ group, seq }: Scene) => ({ conversation: group, seq })
const ofOwnMessage = ({ group, ownSeq }: Scene) => ({ conversation: group, seq: ownSeq })
const ofEveryone = ({ everyoneSeq }: Scene) => ({ conversation: EVERYONE, seq: everyoneSeq })
const nothing = () => ({})

const AUTH: Record<string, readonly Row[]> = {
  'auth.signup': [
    { input: ({ unique }) => ({ nickname: `n-${unique}`, password: PASSWORD }), expected: everybody },
  ],
  'auth.login': [
    {
      input: ({ caller }) => ({ nickname: caller.nickname || 'author', password: PASSWORD }),
      expected: everybody,
    },
  ],
  'auth.logout': [{ input: nothing, expected: users, spoils: true }],
  'auth.logout_everywhere': [{ input: nothing, expected: users, spoils: true }],
  'auth.sessions': [{ input: nothing, expected: users }],
  'auth.revoke': [
    {
      input: ({ caller }) => ({ session: caller.session || 'x'.repeat(22) }),
      expected: users,
      spoils: true,
    },
    {
      about: "another's login",
      input: () => ({ session: 'y'.repeat(22) }),
      expected: hidden,
    },
  ],
  'auth.token': [{ input: nothing, expected: users }],
  'auth.change_password': [
    { input: () => ({ old: PASSWORD, new: 'another horse battery 8' }), expected: users, spoils: true },
  ],
  'auth.delete_account': [{ input: () => ({ password: PASSWORD }), expected: users, spoils: true }],
}

const USERS: Record<string, readonly Row[]> = {
  'user.me': [{ input: nothing, expected: users }],
  'user.get': [{ input: ({ author }) => ({ ids: [author] }), expected: users }],
  'user.find': [{ input: () => ({ query: 'author' }), expected: users }],
  'user.list': [{ input: nothing, expected: users }],
  'user.update_profile': [{ input: ({ unique }) => ({ display_name: `Name ${unique}` }), expected: users }],
  'presence.get': [{ input: ({ author }) => ({ users: [author] }), expected: users }],
  'presence.list': [{ input: nothing, expected: users }],
}

const CONVERSATIONS: Record<string, readonly Row[]> = {
  'conversation.list': [{ input: nothing, expected: users }],
  'conversation.create_group': [{ input: ({ unique }) => ({ name: unique }), expected: users }],
  'conversation.direct': [{ input: ({ author }) => ({ user: author }), expected: users }],
  'conversation.get': [
    { input: ofGroup, expected: members },
    { about: 'everyone', input: () => ({ conversation: EVERYONE }), expected: users },
  ],
  'conversation.members': [{ input: ofGroup, expected: members }],
  'conversation.mute': [{ input: scene => ({ ...ofGroup(scene), muted: true }), expected: members }],
  'conversation.leave': [{ input: ofGroup, expected: members }],
  'conversation.rename': [
    { input: scene => ({ ...ofGroup(scene), name: scene.unique }), expected: groupAdmins },
    {
      about: 'everyone',
      input: ({ unique }) => ({ conversation: EVERYONE, name: unique }),
      expected: { ...noMember, outsider: 'forbidden', server_admin: 'forbidden' },
    },
  ],
  'conversation.invite': [
    { input: scene => ({ ...ofGroup(scene), users: [scene.spare] }), expected: groupAdmins, spare: true },
  ],
  'conversation.remove': [
    { input: scene => ({ ...ofGroup(scene), user: scene.author }), expected: groupAdmins },
  ],
  'conversation.set_retention': [
    { input: scene => ({ ...ofGroup(scene), days: 30 }), expected: groupAdmins },
  ],
  'conversation.set_role': [
    { input: scene => ({ ...ofGroup(scene), user: scene.author, role: 'admin' }), expected: groupOwner },
  ],
  'conversation.delete': [{ input: ofGroup, expected: groupOwner }],
}

const MESSAGES: Record<string, readonly Row[]> = {
  'message.send': [
    { input: scene => ({ ...ofGroup(scene), client_id: scene.unique, text: 'x' }), expected: members },
    {
      about: 'to everyone',
      input: ({ unique }) => ({ everyone: true, client_id: unique, text: 'x' }),
      expected: users,
    },
    {
      about: 'to a user',
      input: ({ unique, author }) => ({ user: author, client_id: unique, text: 'x' }),
      expected: users,
    },
  ],
  'message.edit': [
    { about: 'an own one', input: scene => ({ ...ofOwnMessage(scene), text: 'y' }), expected: members },
    { about: "another's", input: scene => ({ ...ofMessage(scene), text: 'y' }), expected: noMember },
  ],
  'message.delete': [
    { about: 'an own one', input: ofOwnMessage, expected: members },
    { about: "another's", input: ofMessage, expected: groupAdmins },
    { about: "another's to everyone", input: ofEveryone, expected: serverAdmins },
  ],
  'message.pin': [
    { input: ofMessage, expected: groupAdmins },
    { about: 'to everyone', input: ofEveryone, expected: serverAdmins },
  ],
  'message.react': [{ input: scene => ({ ...ofMessage(scene), emoji: '👍' }), expected: members }],
  'message.edits': [{ input: ofMessage, expected: members }],
  'message.mark': [{ input: scene => ({ ...ofGroup(scene), read_seq: 1 }), expected: members }],
  'message.typing': [{ input: ofGroup, expected: members }],
  'message.list': [{ input: ofGroup, expected: members }],
  'message.around': [{ input: ofMessage, expected: members }],
  'message.at': [{ input: scene => ({ ...ofGroup(scene), time_ms: 1 }), expected: members }],
  'message.changes': [{ input: scene => ({ ...ofGroup(scene), after_rev: 0 }), expected: members }],
  'message.pins': [{ input: ofGroup, expected: members }],
  'search.messages': [
    { input: () => ({ query: 'hello' }), expected: users },
    { about: 'in a group', input: ({ group }) => ({ query: 'hello', in: group }), expected: members },
  ],
  'export.prepare': [{ input: scene => ({ ...ofGroup(scene), format: 'jsonl' }), expected: nobody }],
}

const ofUser = ({ spare }: Scene) => ({ user: spare })

const ADMINISTRATION: Record<string, readonly Row[]> = {
  'admin.users': [{ input: nothing, expected: serverAdmins }],
  'admin.add_user': [
    { input: ({ unique }) => ({ nickname: `a-${unique}`, password: PASSWORD }), expected: serverAdmins },
  ],
  'admin.block': [{ input: ofUser, expected: serverAdmins, spare: true }],
  'admin.unblock': [{ input: ofUser, expected: serverAdmins, spare: true }],
  'admin.set_role': [
    { input: scene => ({ ...ofUser(scene), role: 'admin' }), expected: serverAdmins, spare: true },
  ],
  'admin.set_quota': [
    { input: scene => ({ ...ofUser(scene), quota_bytes: null }), expected: serverAdmins, spare: true },
  ],
  'admin.reset_password': [
    {
      input: scene => ({ ...ofUser(scene), password: 'another horse battery 9' }),
      expected: serverAdmins,
      spare: true,
    },
  ],
  'admin.conversations': [{ input: nothing, expected: serverAdmins }],
  'admin.delete_conversation': [{ input: ofGroup, expected: serverAdmins }],
  'admin.set_retention': [{ input: scene => ({ ...ofGroup(scene), days: 7 }), expected: serverAdmins }],
  'admin.storage': [{ input: nothing, expected: serverAdmins }],
  'admin.activity': [{ input: nothing, expected: serverAdmins }],
  'admin.statistics': [{ input: nothing, expected: serverAdmins }],
  'admin.audit': [{ input: nothing, expected: serverAdmins }],
}

const ofUpload = () => ({ id: 'u'.repeat(22), holder: 'a holder' })

const ofOwnFile = ({ ownFile }: Scene) => ({ id: ownFile })
const ofAttached = ({ attached }: Scene) => ({ id: attached })
const ofHidden = ({ hiddenFile }: Scene) => ({ id: hiddenFile })

/** A file that the caller owns, that of another in a conversation, and one that nobody else may see. */
function ofOwners(more: (scene: Scene) => object): Row[] {
  return [
    {
      about: 'an own one',
      input: scene => ({ ...ofOwnFile(scene), ...more(scene) }),
      expected: users,
      files: true,
    },
    {
      about: "another's",
      input: scene => ({ ...ofAttached(scene), ...more(scene) }),
      expected: noMember,
      files: true,
    },
    {
      about: 'a hidden one',
      input: scene => ({ ...ofHidden(scene), ...more(scene) }),
      expected: hidden,
      files: true,
    },
  ]
}

const FILES: Record<string, readonly Row[]> = {
  'file.get': [
    { about: 'an own one', input: ofOwnFile, expected: users, files: true },
    { about: 'in a conversation', input: ofAttached, expected: members, files: true },
    { about: 'a hidden one', input: ofHidden, expected: hidden, files: true },
  ],
  'file.list': [{ input: nothing, expected: users }],
  'file.search': [{ input: () => ({ query: 'abc' }), expected: users }],
  'file.most_downloaded': [{ input: nothing, expected: users }],
  'file.usage': [{ input: nothing, expected: users }],
  'file.rename': ofOwners(({ unique }) => ({ name: unique })),
  'file.set_visibility': ofOwners(() => ({ visibility: 'public' })),
  'file.delete': ofOwners(nothing),
  'file.downloads': ofOwners(nothing),
  'file.open': [
    { input: scene => ({ ...ofOwnFile(scene), part: 'original' }), expected: nobody, files: true },
  ],
  'file.downloaded': [{ input: scene => ({ ...ofOwnFile(scene), bytes: 1 }), expected: nobody, files: true }],
  'upload.create': [
    {
      input: () => ({ ...ofUpload(), size: 1, name: 'x', visibility: 'private', resumable: true }),
      expected: nobody,
    },
  ],
  'upload.lock': [{ input: () => ({ ...ofUpload(), force: false }), expected: nobody }],
  'upload.unlock': [{ input: ofUpload, expected: nobody }],
  'upload.drop': [{ input: ofUpload, expected: nobody }],
  'upload.finish': [{ input: ofUpload, expected: nobody }],
}

/** Rows by method. */
export const TABLE: Readonly<Record<string, readonly Row[]>> = {
  ...AUTH,
  ...USERS,
  ...CONVERSATIONS,
  ...MESSAGES,
  ...FILES,
  ...ADMINISTRATION,
}
