// Runs the tasks of the messenger that block. A thread of the pool; each has a connection of its own to the database.
// Invariant: that connection is read-only, so nothing that runs here changes what is stored.

import { join } from 'node:path'
import { assert } from '../../base/assert.ts'
import type { MessengerOptions } from '../../config/schema.ts'
import { methods } from '../methods/registry.ts'
import { Database } from '../store/database.ts'
import { DATABASE_FILE } from '../store/schema.ts'
import type { PoolStart, TaskKind, Tasks } from '../tasks.ts'
import { hashPassword, verifyPassword } from './passwords.ts'

type Run<K extends TaskKind> = (input: Tasks[K]['input']) => Tasks[K]['output'] | Promise<Tasks[K]['output']>

/** Once in each thread. What it returns runs a task, and rejects with CallError for what the caller is to be told. */
export function startPool({
  options,
}: PoolStart): <K extends TaskKind>(kind: K, input: Tasks[K]['input']) => Promise<Tasks[K]['output']> {
  const db = Database.openReader(join(options.path, DATABASE_FILE))
  const tasks: { readonly [K in TaskKind]: Run<K> } = {
    read: input => read(db, options, input),
    hashPassword: input => hashPassword(input, options.path),
    verifyPassword: input => verifyPassword(input, options.path),
    // Loaded when they are needed: the image library takes a thread some 10 MB, and few threads ever get an upload.
    storeUpload: async input => (await import('./store-upload.ts')).storeUpload(input, options),
    exportConversation: async input =>
      (await import('../export/export.ts')).exportConversation(db, options, input),
  }
  return async (kind, input) => tasks[kind](input)
}

function read(
  db: Database,
  options: MessengerOptions,
  { method: name, caller, data }: Tasks['read']['input'],
): string {
  const method = methods.get(name)
  assert(method?.kind === 'read', `${name} does not run in the pool`)
  // One transaction: all that the method reads is of one moment.
  db.exec('BEGIN')
  try {
    return JSON.stringify(method.run({ db, nowMs: Date.now(), options }, caller, data))
  } finally {
    db.exec('COMMIT')
  }
}
