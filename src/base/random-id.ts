// Ids that nobody can guess. Any thread.

import { randomBytes } from 'node:crypto'

const BYTES = 16

/** What one looks like. */
export const RANDOM_ID = /^[A-Za-z0-9_-]{22}$/

/** 128 bits in base64url: 22 characters. */
export function randomId(): string {
  return randomBytes(BYTES).toString('base64url')
}
