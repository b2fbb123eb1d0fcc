// An archive of many messages, made by the messenger's own functions: users, conversations of very different sizes, members.

import { configSchema, type MessengerOptions } from '../../src/config/schema.ts'
import { openSession } from '../../src/messenger/accounts/sessions.ts'
import { Effects } from '../../src/messenger/effects.ts'
import { addMember, makeConversation } from '../../src/messenger/store/conversations.ts'
import { Database } from '../../src/messenger/store/database.ts'
import { insertMessage } from '../../src/messenger/store/message-changes.ts'
import { migrate } from '../../src/messenger/store/migrate.ts'
import { DATABASE_FILE, EVERYONE } from '../../src/messenger/store/schema.ts'
import { insertUser } from '../../src/messenger/store/users.ts'
import { createTexts } from './text.ts'

export const USERS = 500
const GROUPS = 1_000
/** Each user is in so many groups, besides the conversation of all. */
const GROUPS_OF_USER = [5, 20, 100, 400]
const BATCH = 1_000
/** Messages are spread over two years before now. */
const SPREAD_MS = 2 * 365 * 24 * 3_600_000

export type Archive = Readonly<{
  options: MessengerOptions
  /** Logins of all users, in the order of their ids, which begin with 1. */
  sessions: readonly string[]
  /** Conversations of a user by its id; that of all users is not among them. */
  groupsOf: ReadonlyMap<number, readonly number[]>
}>

export function optionsFor(path: string): MessengerOptions {
  return { ...configSchema.parse({}).messenger, enabled: true, path, message_rate: 1_000_000 }
}

export function fill(path: string, messages: number, onProgress: (done: number) => void): Archive {
  const db = Database.openWriter(`${path}/${DATABASE_FILE}`)
  const options = optionsFor(path)
  migrate(db)
  const nowMs = Date.now()
  db.exec('BEGIN IMMEDIATE')
  const sessions = addUsers(db, options, nowMs)
  const groups = Array.from({ length: GROUPS }, (_, n) =>
    makeConversation(db, { kind: 'group', name: `Group ${n}`, directKey: null, by: 1, nowMs }),
  )
  const { groupsOf, membersOf } = addMembers(db, groups, nowMs)
  db.exec('COMMIT')
  const { random, text } = createTexts()
  const conversations = [EVERYONE, ...groups.filter(id => membersOf.has(id))]
  const placeSql = 'SELECT id, seq, rev FROM conversations WHERE id = ?'
  for (let done = 0; done < messages; done += BATCH) {
    const effects = new Effects()
    db.exec('BEGIN IMMEDIATE')
    for (let n = done; n < Math.min(done + BATCH, messages); n++) {
      const conversation = conversations[Math.floor(conversations.length ** random()) - 1]!
      const members = membersOf.get(conversation)
      const place = db.get<{ id: number; seq: number; rev: number }>(placeSql, conversation)!
      insertMessage({ db, effects }, place, {
        author: members?.[Math.floor(random() * members.length)] ?? 1 + Math.floor(random() * USERS),
        clientId: `fill-${n}`,
        text: random() < 0.02 ? `${text()} https://example.org/${n}` : text(),
        replyTo: 0,
        mentions: [],
        attachments: [],
        nowMs: Math.floor(nowMs - SPREAD_MS * (1 - n / messages)),
      })
    }
    for (const work of effects.last) work(db)
    db.exec('COMMIT')
    onProgress(Math.min(done + BATCH, messages))
  }
  db.close()
  return { options, sessions, groupsOf }
}

function addUsers(db: Database, options: MessengerOptions, nowMs: number): string[] {
  return Array.from({ length: USERS }, (_, n) => {
    const name = `user${n + 1}`
    const names = { nickname: name, nicknameKey: name, displayName: name, displayKey: name }
    const id = insertUser(db, { ...names, passwordHash: '', role: 'user', nowMs })
    addMember(db, EVERYONE, id, 'member', nowMs)
    const context = { db, nowMs, options, effects: new Effects() }
    return openSession(context, id, { address: '127.0.0.1', device: 'bench' }).id
  })
}

function addMembers(db: Database, groups: readonly number[], nowMs: number) {
  const { random } = createTexts()
  const groupsOf = new Map<number, number[]>()
  const membersOf = new Map<number, number[]>()
  for (let user = 1; user <= USERS; user++) {
    const wanted = GROUPS_OF_USER[user % GROUPS_OF_USER.length]!
    const own = new Set<number>()
    while (own.size < wanted) own.add(groups[Math.floor(random() * groups.length)]!)
    groupsOf.set(user, [...own])
    for (const group of own) {
      addMember(db, group, user, 'member', nowMs)
      membersOf.set(group, [...(membersOf.get(group) ?? []), user])
    }
  }
  return { groupsOf, membersOf }
}
