// Asks whose answers may be large: the next command of the connection waits for each of them. Runs on the shard.
// Without this, what a home on another shard sends for a hundred commands of one frame would come in one tick and
// pass the hard limit of a client that reads as fast as it can; a home on the same shard waits between two already.

import type { ChannelAskKind } from '../channel/directory.ts'
import type { Outcome } from '../channel/home.ts'
import type { Answer, Ask } from '../protocol/envelope.ts'
import type { Session } from './session.ts'

/** Like Directory.ask for an answer that may be large; the outcome may come before this returns. */
export function askPaced<K extends ChannelAskKind>(
  session: Session,
  kind: K,
  ask: Ask<K>,
  onOutcome: (outcome: Outcome<Answer<K>>) => void,
): void {
  const answered = Promise.withResolvers<void>()
  void session.hold(() => answered.promise)
  try {
    session.env.directory.ask(kind, ask, outcome => {
      try {
        onOutcome(outcome)
      } finally {
        answered.resolve()
      }
    })
  } catch (error) {
    answered.resolve()
    throw error
  }
}
