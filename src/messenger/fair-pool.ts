// The pool as each user sees it: a share of it, so that whoever asks for much waits for himself and not others for him. The
// messenger's thread. Invariant: of each user so much runs or waits in the pool at once, so much waits here, and what is
// beyond is refused; nothing is kept of users without work.

import { Turnstile } from '../base/turnstile.ts'
import { CallError } from './failures.ts'
import type { Pool } from './ports.ts'
import type { TaskKind, Tasks } from './tasks.ts'

type Share = Readonly<{ runningMax: number; waitingMax: number }>

/** Passwords have guards of their own, and so have uploads. */
const SHARES: Readonly<Partial<Record<TaskKind, Share>>> = {
  /** What a client asks for when it starts, and a screen full of images. */
  read: { runningMax: 4, waitingMax: 120 },
  /** Each takes up to minutes, and room on the disk. */
  exportConversation: { runningMax: 1, waitingMax: 2 },
}

const RETRY_AFTER_MS = 1_000

export class FairPool {
  readonly #pool: Pool
  /** `kind:user`, while there is work. */
  readonly #turnstiles = new Map<string, Turnstile>()

  constructor(pool: Pool) {
    this.#pool = pool
  }

  /** Rejects with CallError `rate` what is beyond the share of the user; strangers (0) have one together. */
  of(user: number): Pool {
    return { run: (kind, input) => this.#run(user, kind, input) }
  }

  async #run<K extends TaskKind>(
    user: number,
    kind: K,
    input: Tasks[K]['input'],
  ): Promise<Tasks[K]['output']> {
    const share = SHARES[kind]
    if (share === undefined) return this.#pool.run(kind, input)
    const key = `${kind}:${user}`
    const turnstile = this.#turnstiles.get(key) ?? new Turnstile(share)
    if (turnstile.isFull) {
      const asked = turnstile.running + turnstile.waiting
      throw new CallError('rate', `${asked} calls of this kind without an answer`, RETRY_AFTER_MS)
    }
    this.#turnstiles.set(key, turnstile)
    await turnstile.enter()
    try {
      return await this.#pool.run(kind, input)
    } finally {
      turnstile.leave()
      if (turnstile.running === 0) this.#turnstiles.delete(key)
    }
  }
}
