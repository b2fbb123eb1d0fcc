// What a run puts its load on: where it is, and what can be seen of its process. Types only.

import type { Endpoint } from '../generator/requests.ts'
import type { Target as Described } from '../model.ts'
import type { OwnRelay } from '../scenario.ts'

/** Since the process began; undefined: not known. */
export type Used = Readonly<{ cpuUs: number | undefined; bytes: number | undefined }>

/** How to reach it; what a run adds is left out. */
export type Reached = Omit<Endpoint, 'sources' | 'channelPrefix'>

export type RunningTarget = Readonly<{
  described: Described
  /** May change when the server is started again. */
  endpoint: Reached
  use: () => Promise<Used>
  /** Its Prometheus page; undefined where there is none. */
  metrics: () => Promise<string | undefined>
  /** The process, where a scenario may stop and start it. */
  relay: OwnRelay | undefined
  /** Rejects when the server's process ends without having been told to; else stays pending. */
  failed: Promise<never>
  /** Ends it; nothing is left of it. */
  stop: () => Promise<void>
}>
