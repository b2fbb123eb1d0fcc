// What runs in the pool: each task with its input and output. Any thread; what is given and returned is copied between
// threads.

import type { MessengerOptions } from '../config/schema.ts'
import type { Caller } from './caller.ts'

/** Given once to each thread of the pool. */
export type PoolStart = Readonly<{ options: MessengerOptions }>

export type Tasks = {
  /** A method of kind `read`. Output: its result as JSON. */
  read: { input: { method: string; caller: Caller; data: unknown }; output: string }
  hashPassword: { input: { password: string }; output: string }
  /** `hash` '' = there is no such user: takes as long, and is false. `stale`: it should be hashed anew. */
  verifyPassword: {
    input: { password: string; hash: string }
    output: { matches: boolean; stale: boolean }
  }
  /** An upload that is complete, at `path` below the data directory: hashed, sniffed, synced, and moved to its blob. */
  storeUpload: {
    input: { path: string; size: number }
    output: {
      sha256: string
      type: string
      image: { width: number; height: number; blur: string } | undefined
    }
  }
  /** A conversation as a file for a reader. Output: its path below the data directory. */
  exportConversation: {
    input: { conversation: number; format: 'jsonl' | 'html' }
    output: { path: string; bytes: number }
  }
}

export type TaskKind = keyof Tasks
