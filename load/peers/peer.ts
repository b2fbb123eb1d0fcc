// What a peer is: a server that the same load is put on, side by side with the relay. Types, and what all peers share.
// Main thread; the dialects run in the load's threads.
// Invariant: a peer's file says everything about it: its settings, how it is started, how one speaks there.

import type { Answer, Dialect } from '../generator/dialect.ts'
import type { RunningTarget } from '../target/target.ts'
import { cpuUsOf, residentBytesOf } from '../target/usage.ts'
import type { Program } from './program.ts'

export type Peer = Readonly<{
  /** On the command line. */
  name: string
  title: string
  /** How it is set up, and what differs from how it comes; printed under the table. */
  settings: string
  /** Undefined where it isn't installed. */
  version: () => Promise<string | undefined>
  /** What to do where it isn't. */
  install: string
  start: () => Promise<RunningTarget>
}>

/** A server that has just been started, as a run sees it. */
export async function targetOf(
  { title, version }: Pick<Peer, 'title' | 'version'>,
  /** URL of the module that exports it, for the load's threads. */
  moduleUrl: string,
  dialect: Dialect,
  program: Program,
): Promise<RunningTarget> {
  const websocket = `ws://127.0.0.1:${program.port}${dialect.path}`
  return {
    described: { kind: 'peer', name: title, version: (await version()) ?? 'unknown', url: websocket },
    endpoint: { dialect: moduleUrl, websocket },
    // None of them has processes of its own.
    use: async () => ({ cpuUs: cpuUsOf(program.pid), bytes: residentBytesOf(program.pid) }),
    metrics: async () => undefined,
    relay: undefined,
    failed: program.failed,
    stop: program.stop,
  }
}

export const OK: Answer = { state: 'ok' }
export const NONE: Answer = { state: 'none' }
