// Whether a data directory is whole: the database by itself, the full-text indexes against it, and each file against its
// hash. Main thread of a process of its own; it changes nothing, and a relay may be at work on the directory.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { reasonOf, StartError } from '../base/errors.ts'
import { contentPath } from './files/paths.ts'
import { PEPPER_FILE } from './pool/passwords.ts'
import { words } from './search/fold.ts'
import { matchParts, matchWords } from './search/match.ts'
import { parseQuery, QUERY_LENGTH_MAX } from './search/query.ts'
import { breakers, damages, rules, type Sample, sampleMessages } from './store/consistency.ts'
import { allBlobs } from './store/content.ts'
import { Database } from './store/database.ts'
import { versionOf } from './store/migrate.ts'
import { DATABASE_FILE, migrations } from './store/schema.ts'
import { matchingIds } from './store/search.ts'

export type CheckReport = Readonly<{
  /** Empty: all is right. */
  problems: readonly string[]
  messages: number
  files: number
}>

/** Of each kind so many are named. */
const NAMED_MAX = 10
/** Messages that are looked for by their own words. */
const SAMPLES = 500
const SAMPLE_WORDS = 3

/** Throws StartError when there is nothing that could be checked. */
export async function checkData(dataPath: string): Promise<CheckReport> {
  const path = join(dataPath, DATABASE_FILE)
  const db = open(path)
  try {
    mustBeKnown(path, db)
    // All is seen as of one moment, whoever writes meanwhile.
    db.exec('BEGIN')
    const problems = [...databaseProblems(db), ...searchProblems(db), ...(await keyProblems(db, dataPath))]
    const { n: messages } = db.get<{ n: number }>('SELECT count(*) AS n FROM messages')!
    const blobs = [...allBlobs(db)]
    db.exec('COMMIT')
    for (const blob of blobs) {
      const problem = await blobProblem(db, dataPath, blob)
      if (problem !== undefined) problems.push(problem)
    }
    return { problems, messages, files: blobs.length }
  } catch (error) {
    if (error instanceof StartError) throw error
    // A page that can't be read ends the whole check.
    return { problems: [`${path}: ${reasonOf(error)}`], messages: 0, files: 0 }
  } finally {
    db.close()
  }
}

function open(path: string): Database {
  try {
    return Database.openReader(path)
  } catch (error) {
    throw new StartError(`${path}: ${reasonOf(error)}`)
  }
}

function mustBeKnown(path: string, db: Database): void {
  const version = versionOf(db)
  if (version === migrations.length) return
  const remedy = version > migrations.length ? 'a newer program has written it' : 'start the relay on it once'
  throw new StartError(
    `${path} has version ${version}, and this program checks ${migrations.length}: ${remedy}`,
  )
}

function databaseProblems(db: Database): string[] {
  const broken = rules.flatMap(rule =>
    breakers(db, rule, NAMED_MAX).map(who => `${who}: ${rule.name} — not so`),
  )
  return [...damages(db, NAMED_MAX), ...broken]
}

/** Messages are found by their own words, where they are. */
function searchProblems(db: Database): string[] {
  const lost = sampleMessages(db, SAMPLES).filter(sample => !isFound(db, sample))
  return lost
    .slice(0, NAMED_MAX)
    .map(({ id }) => `message ${id}: a search for its own words does not find it`)
}

function isFound(db: Database, { id, conversation, author, text }: Sample): boolean {
  // Of plain letters: what a letter is, beyond them, the index and this program know from different editions of Unicode.
  const own = words(text)
    .filter(({ folded }) => /^[a-z\d]+$/.test(folded))
    .slice(0, SAMPLE_WORDS)
  const query = own.map(({ start, end }) => text.slice(start, end)).join(' ')
  if (query === '' || query.length > QUERY_LENGTH_MAX) return true
  const { terms } = parseQuery(query)
  const scope = [
    [{ kind: 'conversation', id: conversation } as const],
    [{ kind: 'author', id: author } as const],
  ]
  const bounds = { top: id, bottom: id }
  const asked = [
    ['words', matchWords(scope, terms)],
    ['parts', matchParts(scope, terms)],
  ] as const
  return asked.every(
    ([index, match]) => match === undefined || matchingIds(db, index, match, bounds, 1)[0] === id,
  )
}

/** Passwords were hashed with it: without it nobody can log in. */
async function keyProblems(db: Database, dataPath: string): Promise<string[]> {
  const isNeeded = db.get("SELECT 1 FROM users WHERE password_hash <> '' LIMIT 1") !== undefined
  if (!isNeeded || (await lstat(join(dataPath, PEPPER_FILE)).catch(() => undefined))?.isFile()) return []
  return [`${PEPPER_FILE} is missing: no password can be checked without it`]
}

async function blobProblem(
  db: Database,
  dataPath: string,
  { sha256, size }: { sha256: string; size: number },
): Promise<string | undefined> {
  const path = contentPath(dataPath, sha256, 'original')
  try {
    const stat = await lstat(path)
    if (!stat.isFile() || stat.size !== size) return `${path}: ${stat.size} bytes, and not ${size}`
    const hash = createHash('sha256')
    await pipeline(createReadStream(path), hash)
    return hash.digest('hex') === sha256 ? undefined : `${path}: the content is not what its name says`
  } catch (error) {
    // A relay that is at work may have deleted it since.
    const isThere = db.get('SELECT 1 FROM blobs WHERE sha256 = ?', sha256) !== undefined
    return isThere ? `${path}: ${reasonOf(error)}` : undefined
  }
}
