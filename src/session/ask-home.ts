// How a session asks a channel's home for what may be large: its next command waits for the answer. On the shard.
// Without this, what a home on another shard sends for a hundred commands of one frame would come in one tick and
// pass the hard limit of a client that reads as fast as it can; a home on the same shard waits between two already.

import type { ChannelAskKind } from '../channel/directory.ts'
import type { Outcome } from '../channel/home.ts'
import type { Answer, Ask } from '../protocol/envelope.ts'
import type { SessionPort } from './port.ts'

/** Like Directory.ask; the outcome may come before this returns. */
export function askHome<K extends ChannelAskKind>(
  session: SessionPort,
  kind: K,
  ask: Ask<K>,
  size: 'small' | 'large',
  onOutcome: (outcome: Outcome<Answer<K>>) => void,
): void {
  const { directory } = session.env
  if (size === 'small') return directory.ask(kind, ask, onOutcome)
  void session.hold(
    () =>
      new Promise(resolve => {
        directory.ask(kind, ask, outcome => {
          try {
            onOutcome(outcome)
          } finally {
            resolve()
          }
        })
      }),
  )
}
