// What a messenger that ended suddenly may not have told any more. The messenger's thread, once at its start.
//
// Clients learn by the next `rev` what they missed; but when the last publication was lost there is no next one, and while
// the shards live nobody connects anew. So members get an event of the rev that their conversation has: who knows it does
// nothing, who does not asks for what lies between.

import type { MessengerOptions } from '../config/schema.ts'
import { type Effect, Effects } from './effects.ts'
import type { Database } from './store/database.ts'
import { changedSince } from './store/messages.ts'

/** Publications are not kept for longer. */
const SINCE_MS = 60_000
/** With more in so short a time the conversations that were left out have had newer ones, most likely. */
const MESSAGES_MAX = 10_000

export function remindOfChanges(world: {
  db: Database
  options: Pick<MessengerOptions, 'retention_days'>
  nowMs: () => number
  carryOut: (effects: readonly Effect[]) => void
}): void {
  const { db, options, nowMs, carryOut } = world
  const effects = new Effects()
  for (const { id, rev, name, retention_days } of changedSince(db, nowMs() - SINCE_MS, MESSAGES_MAX)) {
    const days = retention_days ?? options.retention_days
    effects.publish(id, { type: 'conversation', rev, name, retention_days: days })
  }
  carryOut(effects.list)
}
