// The messenger as a shard sees it: calls and admissions as asks over its ring. Runs on the shard.
// Invariant: each has exactly one outcome; while the messenger is being replaced it is a temporary error.

import type { Directory } from '../channel/directory.ts'
import type { Admission, Login, MessengerPort } from '../protocol/call.ts'

export function createMessengerPort(directory: Directory, peer: number): MessengerPort {
  return {
    call(call, done) {
      directory.askShard(peer, 'call', call, outcome => {
        if (!outcome.ok) return done(outcome)
        const { data, login } = outcome.value
        done({ ok: true, data, ...(login !== '' && { login: JSON.parse(login) as Login }) })
      })
    },
    admit(login, done) {
      directory.askShard(peer, 'admit', login, outcome =>
        done(
          outcome.ok ? { ok: true, admission: JSON.parse(outcome.value.admission) as Admission } : outcome,
        ),
      )
    },
  }
}
