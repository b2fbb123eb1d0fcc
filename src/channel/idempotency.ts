// Remembers what recent publications with an idempotency key got, so that a retry is not published again.
// Runs at the home. Invariant: bounded in number and age; the oldest are forgotten first.

import { IDEMPOTENCY_ENTRIES_MAX, IDEMPOTENCY_WINDOW_MS } from '../config/limits.ts'
import type { KeptKey } from '../history/kept.ts'

export type Published = Readonly<{ epoch: string; offset: number }>

export class IdempotencyCache {
  readonly #results = new Map<string, { result: Published; untilMs: number }>()

  find(channel: string, key: string, nowMs: number): Published | undefined {
    const entry = this.#results.get(keyOf(channel, key))
    return entry !== undefined && entry.untilMs > nowMs ? entry.result : undefined
  }

  remember(channel: string, key: string, result: Published, nowMs: number): void {
    this.#set(keyOf(channel, key), result, nowMs + IDEMPOTENCY_WINDOW_MS)
  }

  /** As another home held it. Those that end sooner have to come first; times are monotonic. */
  takeOver({ channel, key, epoch, offset, untilMs }: KeptKey, nowMs: number): void {
    // A wall clock that was set back must not make it last.
    this.#set(keyOf(channel, key), { epoch, offset }, Math.min(untilMs, nowMs + IDEMPOTENCY_WINDOW_MS))
  }

  *held(nowMs: number): Iterable<KeptKey> {
    for (const [name, { result, untilMs }] of this.#results) {
      if (untilMs <= nowMs) continue
      const [channel, key] = partsOf(name)
      yield { channel, key, ...result, untilMs }
    }
  }

  #set(name: string, result: Published, untilMs: number): void {
    this.#results.delete(name)
    this.#results.set(name, { result, untilMs })
    if (this.#results.size > IDEMPOTENCY_ENTRIES_MAX) this.#dropOldest()
  }

  expire(nowMs: number): void {
    for (const [name, { untilMs }] of this.#results) {
      if (untilMs > nowMs) return
      this.#results.delete(name)
    }
  }

  #dropOldest(): void {
    for (const name of this.#results.keys()) {
      this.#results.delete(name)
      return
    }
  }
}

/** A channel's name has no line break, so the two can't run into each other. */
function keyOf(channel: string, key: string): string {
  return `${channel}\n${key}`
}

function partsOf(name: string): [channel: string, key: string] {
  const end = name.indexOf('\n')
  return [name.slice(0, end), name.slice(end + 1)]
}
