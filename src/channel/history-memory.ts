// What the histories of a shard's channels take together, and who gives back when it is too much. Runs at the home.
// Invariant: the sum never stays above the limit; the channels that were quiet longest lose their oldest first.

import type { Window } from '../history/window.ts'
import { slots } from '../metrics/slots.ts'

type Historied = { readonly name: string; readonly window: Window | undefined }

export class HistoryMemory {
  readonly #bytesMax: number
  readonly #row: Float64Array
  /** Channels with a window, the least recently published first. */
  readonly #byUse = new Map<string, Historied>()
  #bytes = 0

  constructor(bytesMax: number, row: Float64Array) {
    this.#bytesMax = bytesMax
    this.#row = row
  }

  append(channel: Historied, window: Window, text: string, textBytes: number, nowMs: number): void {
    const countBefore = window.count
    this.#add(window.append(text, textBytes, nowMs), window.count - countBefore)
    this.#byUse.delete(channel.name)
    this.#byUse.set(channel.name, channel)
    if (this.#bytes > this.#bytesMax) this.#evict()
  }

  expire(window: Window, nowMs: number): void {
    const countBefore = window.count
    this.#add(-window.expire(nowMs), window.count - countBefore)
  }

  /** Returns how many publications were forgotten. */
  clear(window: Window): number {
    const { count } = window
    this.#add(-window.clear(), -count)
    return count
  }

  forget(channel: Historied): void {
    if (channel.window !== undefined) this.clear(channel.window)
    this.#byUse.delete(channel.name)
  }

  /** After histories of several files were taken over one behind the other: in the order of their use again. */
  sortByUse(): void {
    const byUse = [...this.#byUse.values()].sort((a, b) => newestMsOf(a) - newestMsOf(b))
    this.#byUse.clear()
    for (const channel of byUse) this.#byUse.set(channel.name, channel)
  }

  #evict(): void {
    for (const { name, window } of this.#byUse.values()) {
      while (this.#bytes > this.#bytesMax) {
        const freed = window?.evictOldest() ?? 0
        if (freed === 0) break
        this.#add(-freed, -1)
      }
      if (this.#bytes <= this.#bytesMax) return
      this.#byUse.delete(name)
    }
  }

  #add(bytes: number, publications: number): void {
    this.#bytes += bytes
    this.#row[slots.historyBytes] = this.#bytes
    this.#row[slots.historyPublications]! += publications
  }
}

function newestMsOf({ window }: Historied): number {
  return window?.newestMs ?? Number.NEGATIVE_INFINITY
}
