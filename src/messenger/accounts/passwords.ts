// Which passwords are taken: ASVS 6.2. The messenger's thread.
// Invariant: a password is taken as it is, with any characters, neither cut nor folded; what it says gets into no text.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CallError } from '../failures.ts'
import { foldName } from './names.ts'

const PASSWORD_LENGTH_MIN = 8
const PASSWORD_LENGTH_MAX = 256
/** Looked at before anything is hashed: 256 characters have at most 1 KiB. */
const PASSWORD_BYTES_MAX = 4 * 1_024

let refused: ReadonlySet<string> | undefined

/**
 * The 3,000 most common passwords of at least 8 characters, in lower case, of the list that zxcvbn counted in public leaks
 * (data/passwords.txt of dropbox/zxcvbn, MIT licence).
 */
function commonPasswords(): ReadonlySet<string> {
  if (refused === undefined) {
    const list = readFileSync(join(import.meta.dirname, 'common-passwords.txt'), 'utf8')
    refused = new Set(list.trimEnd().split('\n'))
  }
  return refused
}

/** Of any password that comes in. Throws `too_large`, or `bad_request` for what is no text. */
export function checkPasswordSize(password: string): void {
  if (Buffer.byteLength(password) > PASSWORD_BYTES_MAX) {
    throw new CallError('too_large', `a password has at most ${PASSWORD_BYTES_MAX} bytes`)
  }
  if (!password.isWellFormed()) throw new CallError('bad_request', 'the password is no valid Unicode')
}

/** Of one that is to be set. `names`: of the user; they are no passwords. Throws `weak_password`. */
export function checkNewPassword(password: string, names: readonly string[]): void {
  checkPasswordSize(password)
  const length = [...password].length
  if (length < PASSWORD_LENGTH_MIN || length > PASSWORD_LENGTH_MAX) {
    const allowed = `${PASSWORD_LENGTH_MIN} to ${PASSWORD_LENGTH_MAX} are allowed, 15 and more are good`
    throw new CallError('weak_password', `it has ${length} characters; ${allowed}`)
  }
  if (commonPasswords().has(password.toLowerCase())) {
    throw new CallError('weak_password', 'it is one of the 3,000 most common ones')
  }
  if (names.some(name => foldName(name) === foldName(password))) {
    throw new CallError('weak_password', "it is the user's name")
  }
}
