// Structured logs: one JSON object a line on standard output. Any thread; each has its own logger on the same file
// descriptor. Invariant: no tokens, keys or message bodies; texts of clients only as JSON strings.

import { pino } from 'pino'

export type Log = Readonly<{
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}>

export function createLog(level: string, thread: string): Log {
  // Synchronous: a thread that ends must not take its last lines with it; and shards write very few.
  return pino({ level, base: { thread } }, pino.destination({ fd: 1, sync: true }))
}
