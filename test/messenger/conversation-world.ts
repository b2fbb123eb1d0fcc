// A database with users in a temporary directory, and the methods of conversations and presence called on it as the
// messenger calls them: input checked, one transaction a call, effects dropped when it fails.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configSchema, type MessengerOptions } from '../../src/config/schema.ts'
import type { Caller } from '../../src/messenger/caller.ts'
import { type Effect, Effects } from '../../src/messenger/effects.ts'
import type { Method, StepsContext } from '../../src/messenger/method.ts'
import { conversationsMethods } from '../../src/messenger/methods/conversations.ts'
import { presenceMethods } from '../../src/messenger/methods/presence.ts'
import type { UserRole } from '../../src/messenger/model.ts'
import { addMember } from '../../src/messenger/store/conversations.ts'
import { Database } from '../../src/messenger/store/database.ts'
import { migrate } from '../../src/messenger/store/migrate.ts'
import { EVERYONE } from '../../src/messenger/store/schema.ts'

const methods = new Map([...conversationsMethods, ...presenceMethods].map(method => [method.name, method]))

export type World = Readonly<{
  db: Database
  options: MessengerOptions
  clock: { nowMs: number }
  /** What the last call caused. */
  effects: () => readonly Effect[]
  online: Set<number>
  addUser: (role?: UserRole) => number
  setState: (user: number, state: 'active' | 'blocked' | 'deleted') => void
  /** Rejects with CallError. */
  call: (user: number, method: string, input?: unknown) => Promise<any>
  /** A message as it stands in the archive. */
  say: (conversation: number, author: number, text?: string, mentions?: readonly number[]) => number
  close: () => void
}>

export function openWorld(changed: Partial<MessengerOptions> = {}): World {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-conversations-'))
  const path = join(folder, 'fanwire.db')
  const db = Database.openWriter(path)
  migrate(db)
  const reader = Database.openReader(path)
  const options = { ...configSchema.parse({}).messenger, ...changed }
  const clock = { nowMs: 1_700_000_000_000 }
  const online = new Set<number>()
  let last: readonly Effect[] = []

  const call = async (user: number, name: string, input: unknown = {}) => {
    const method = methods.get(name)!
    const parsed = method.input.parse(input)
    const caller = callerOf(db, user)
    const effects = new Effects()
    const output = await run(method, caller, parsed, effects)
    last = effects.list
    return method.output.parse(output)
  }

  const run = (method: Method, caller: Caller, input: unknown, effects: Effects): unknown => {
    const { nowMs } = clock
    if (method.kind === 'read') return method.run({ db: reader, nowMs, options }, caller, input)
    if (method.kind === 'steps') {
      const all = () => [...online].sort((a, b) => a - b)
      const steps = {
        db,
        nowMs: () => nowMs,
        options,
        online: { isOnline: (id: number) => online.has(id), all },
      }
      return method.run(steps as unknown as StepsContext, caller, input)
    }
    return transaction(db, () => method.run({ db, nowMs, effects, options }, caller, input))
  }

  let users = 0
  const addUser = (role: UserRole = 'user') => {
    users++
    db.run(
      `INSERT INTO users (nickname, nickname_key, display_name, display_key, password_hash, role, state, created_ms)
       VALUES (?, ?, ?, '', '', ?, 'active', ?)`,
      `user${users}`,
      `user${users}`,
      `User ${users}`,
      role,
      clock.nowMs,
    )
    addMember(db, EVERYONE, users, 'member', clock.nowMs)
    return users
  }

  return {
    db,
    options,
    clock,
    online,
    effects: () => last,
    addUser,
    setState: (user, state) => db.run('UPDATE users SET state = ? WHERE id = ?', state, user),
    call,
    say: (conversation, author, text = 'hello', mentions = []) =>
      say(db, clock.nowMs, conversation, author, text, mentions),
    close: () => {
      reader.close()
      db.close()
      rmSync(folder, { recursive: true })
    },
  }
}

function callerOf(db: Database, user: number): Caller {
  const { role } = db.get<{ role: UserRole }>('SELECT role FROM users WHERE id = ?', user)!
  return { user, role, session: 's', client: 'c', address: '127.0.0.1', device: '', transport: 'websocket' }
}

function transaction<T>(db: Database, work: () => T): T {
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    db.exec('COMMIT')
    return result
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}

function say(
  db: Database,
  nowMs: number,
  conversation: number,
  author: number,
  text: string,
  mentions: readonly number[],
): number {
  const sql = 'UPDATE conversations SET seq = seq + 1, rev = rev + 1 WHERE id = ? RETURNING seq, rev'
  const { seq, rev } = db.get<{ seq: number; rev: number }>(sql, conversation)!
  const { lastId } = db.run(
    `INSERT INTO messages (conversation_id, seq, rev, author_id, client_id, text, created_ms, extras)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    conversation,
    seq,
    rev,
    author,
    `${seq}`,
    text,
    nowMs,
    mentions.length > 0 ? 2 : 0,
  )
  for (const user of mentions) {
    db.run('INSERT INTO mentions VALUES (?, ?, ?, ?)', user, conversation, seq, lastId)
  }
  return seq
}
