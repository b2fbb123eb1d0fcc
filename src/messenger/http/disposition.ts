// What a browser is to do with bytes that it gets, and what it is to call them. Runs on a shard; pure.

import { create } from 'content-disposition'

export function dispositionOf(name: string, type: 'inline' | 'attachment'): string {
  return create(name, { type, fallback: plainName(name) })
}

/** For those who don't know `filename*` (RFC 6266). A percent sign would be taken for an encoding by some. */
function plainName(name: string): string {
  return name.replace(/[^\x20-\x7e]|[%"\\]/gu, '_')
}
