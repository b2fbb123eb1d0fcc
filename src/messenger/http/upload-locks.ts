// One writer at a time for each upload, over all shards: the messenger's table says who, and asks the one that writes to
// stop when the same client has come back. Runs on a shard. Invariant: who has the lock has been given it in the table,
// and stops within a moment after being asked.

import { setTimeout as sleep } from 'node:timers/promises'

export type LockAnswer = Readonly<{
  state: 'held' | 'locked' | 'finished'
  size: number
  name: string
}>

/** `force`: whoever has it is gone without having given it back. */
export type AskLock = (force: boolean) => Promise<LockAnswer>

const RETRY_MS = 150
/** A shard that still lives stops its writer far sooner. */
const FORCE_AFTER_MS = 10_000
/** Then it is being stored, which takes what it takes. */
const GIVE_UP_AFTER_MS = 15_000

export class UploadLocks {
  /** What stops the writers of this shard; at most one for each request that is open. */
  readonly #stops = new Map<string, () => void>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Resolves with the answer that is not `held`; undefined: somebody has it all the time, or the signal said stop. */
  async take(
    id: string,
    ask: AskLock,
    stop: () => void,
    signal: AbortSignal,
  ): Promise<LockAnswer | undefined> {
    const beginMs = this.#nowMs()
    for (;;) {
      const waitedMs = this.#nowMs() - beginMs
      if (signal.aborted || waitedMs > GIVE_UP_AFTER_MS) return undefined
      const answer = await ask(waitedMs > FORCE_AFTER_MS)
      if (answer.state === 'locked') this.#stops.set(id, stop)
      if (answer.state !== 'held') return answer
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {})
    }
  }

  /** For who has it by having made the upload. */
  keep(id: string, stop: () => void): void {
    this.#stops.set(id, stop)
  }

  /** Before the table is told. Another request may have forced it meanwhile: it stays that one's. */
  leave(id: string, stop: () => void): void {
    if (this.#stops.get(id) === stop) this.#stops.delete(id)
  }

  /** The messenger asks whoever writes to it to stop. */
  release(id: string): void {
    this.#stops.get(id)?.()
  }
}
