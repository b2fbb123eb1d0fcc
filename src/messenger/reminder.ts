// What a messenger that ended suddenly may not have told any more. The messenger's thread, at its start.
//
// Clients learn by the next `rev` what they missed; but when the last publication was lost there is no next one, and while
// the shards live nobody connects anew. So members get an event of the rev that their conversation has: who knows it does
// nothing, who does not asks for what lies between.

import type { MessengerOptions } from '../config/schema.ts'
import type { GroupCommit } from './commit.ts'
import { type Effect, Effects } from './effects.ts'
import type { Database } from './store/database.ts'
import { changedSince } from './store/messages.ts'
import { ALL_TOLD, addNote, dropNote, hasNote } from './store/settings.ts'

/** Publications are not kept for longer. */
const SINCE_MS = 60_000
/** With more in so short a time the conversations that were left out have had newer ones, most likely. */
const MESSAGES_MAX = 10_000

type World = Readonly<{
  db: Database
  options: Pick<MessengerOptions, 'retention_days'>
  nowMs: () => number
  commit: GroupCommit
  carryOut: (effects: readonly Effect[]) => void
}>

/** At the start. */
export function remindOfChanges({ db, options, nowMs, commit, carryOut }: World): void {
  // While nothing can be stored the note stays. That costs a reminder at the worst.
  if (hasNote(db, ALL_TOLD))
    return commit.write(
      write => dropNote(write.db, ALL_TOLD),
      () => {},
    )
  const effects = new Effects()
  for (const { id, rev, name, retention_days } of changedSince(db, nowMs() - SINCE_MS, MESSAGES_MAX)) {
    const days = retention_days ?? options.retention_days
    effects.publish(id, { type: 'conversation', rev, name, retention_days: days })
  }
  carryOut(effects.list)
}

/** At an end in order, when all was told. */
export async function noteAllTold(commit: GroupCommit): Promise<void> {
  await commit.writeAsync(({ db }) => addNote(db, ALL_TOLD)).catch(() => {})
}
