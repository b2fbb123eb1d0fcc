// Passwords as argon2id hashes with a pepper. A thread of the pool: both functions block it. Invariants: a hash names its
// parameters and its pepper; a check takes the same work whether there is such a user or not.

import { createHash, randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, linkSync, openSync, readFileSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { type Algorithm, hashSync, parseOptions, verifySync } from '@node-rs/argon2'
import { syncFolder } from '../../base/durable-files.ts'
import { StartError } from '../../base/errors.ts'
import type { Tasks } from '../tasks.ts'

/** OWASP, Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane. */
export const ARGON2 = { memoryCost: 19 * 1_024, timeCost: 2, parallelism: 1, outputLen: 32 } as const
/** `Algorithm.Argon2id`; the package declares it as a const enum, which is gone when types are stripped. */
const ARGON2ID = 2 as Algorithm.Argon2id

/** Beside the database: whoever gets the database alone can't even begin to guess. */
export const PEPPER_FILE = 'password.key'
const PEPPER_BYTES = 32
const PEPPER_ID_LENGTH = 8

type Pepper = Readonly<{ id: string; secret: Buffer }>

/** A hash as it is stored: `<id of the pepper>:<PHC string>`. `dataPath`: the data directory. */
export function hashPassword(
  { password }: Tasks['hashPassword']['input'],
  dataPath: string,
): Tasks['hashPassword']['output'] {
  const pepper = readPepper(dataPath) ?? makePepper(dataPath)
  const hash = hashSync(password, { ...ARGON2, algorithm: ARGON2ID, secret: pepper.secret })
  return `${pepper.id}:${hash}`
}

/** Throws when the pepper is not the one that the hash was made with: then no password at all can be right. */
export function verifyPassword(
  { password, hash }: Tasks['verifyPassword']['input'],
  dataPath: string,
): Tasks['verifyPassword']['output'] {
  const pepper = readPepper(dataPath)
  if (hash === '') {
    verifySync(nobodysHash, password, { secret: pepper?.secret ?? Buffer.alloc(PEPPER_BYTES) })
    return { matches: false, stale: false }
  }
  const [pepperId, phc = ''] = hash.split(':', 2)
  if (pepper === undefined || pepper.id !== pepperId) {
    const file = join(dataPath, PEPPER_FILE)
    throw new StartError(`${file} is not the key that passwords were stored with; put the right one back`)
  }
  const matches = verifySync(phc, password, { secret: pepper.secret })
  return { matches, stale: matches && isStale(phc) }
}

function isStale(phc: string): boolean {
  const made = parseOptions(phc)
  return (
    made.algorithm !== ARGON2ID ||
    made.memoryCost !== ARGON2.memoryCost ||
    made.timeCost !== ARGON2.timeCost ||
    made.parallelism !== ARGON2.parallelism
  )
}

/** No password has this hash, but to find that out takes as long as for any other. */
const nobodysHash = (() => {
  const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
  const { memoryCost, timeCost, parallelism, outputLen } = ARGON2
  const parameters = `m=${memoryCost},t=${timeCost},p=${parallelism}`
  return `$argon2id$v=19$${parameters}$${base64(randomBytes(16))}$${base64(randomBytes(outputLen))}`
})()

/** Read each time: a few microseconds beside a hash, and no thread can hold an old one. */
function readPepper(dataPath: string): Pepper | undefined {
  let secret: Buffer
  try {
    secret = readFileSync(join(dataPath, PEPPER_FILE))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  if (secret.length !== PEPPER_BYTES) {
    throw new StartError(
      `${join(dataPath, PEPPER_FILE)} has ${secret.length} bytes; ${PEPPER_BYTES} are needed`,
    )
  }
  const id = createHash('sha256').update('pepper').update(secret).digest('hex').slice(0, PEPPER_ID_LENGTH)
  return { id, secret }
}

/** Two threads may do this at once: the file appears whole, and the first one stays. */
function makePepper(dataPath: string): Pepper {
  const path = join(dataPath, PEPPER_FILE)
  const temporary = `${path}.${randomBytes(8).toString('hex')}`
  const file = openSync(temporary, 'wx', 0o600)
  try {
    writeSync(file, randomBytes(PEPPER_BYTES))
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  try {
    linkSync(temporary, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    unlinkSync(temporary)
  }
  syncFolder(dataPath)
  const pepper = readPepper(dataPath)
  if (pepper === undefined) throw new StartError(`${path} could not be made`)
  return pepper
}
