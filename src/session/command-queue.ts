// Commands that wait: for a token check, or for the client to read what it was answered before. Runs on the shard.
// Invariant: first in, first out; bounded in number and in size.

import type { Command } from '../protocol/commands.ts'

/** As many as a frame may hold. */
const COMMANDS_MAX = 2048

export class CommandQueue {
  readonly #sizeMax: number
  readonly #commands: Command[] = []
  /** Characters of all that came since the queue was last empty: what waits counts like what waits to be sent. */
  #size = 0

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax
  }

  get isEmpty(): boolean {
    return this.#commands.length === 0
  }

  /** False: full. */
  push(command: Command, size: number): boolean {
    if (this.#commands.length >= COMMANDS_MAX || this.#size + size > this.#sizeMax) return false
    this.#commands.push(command)
    this.#size += size
    return true
  }

  /** Takes commands out as long as the next one may go on. */
  drain(mayGoOn: () => boolean, carryOut: (command: Command) => void): void {
    let taken = 0
    while (taken < this.#commands.length && mayGoOn()) carryOut(this.#commands[taken++]!)
    this.#commands.splice(0, taken)
    if (this.isEmpty) this.#size = 0
  }
}
