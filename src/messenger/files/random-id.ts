// Ids that nobody can guess. Any thread.

import { randomBytes } from 'node:crypto'

const BYTES = 16

/** 128 bits in base64url: 22 characters. */
export function randomId(): string {
  return randomBytes(BYTES).toString('base64url')
}
