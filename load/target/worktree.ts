// Another revision of this repository in a temporary worktree, ready to start its relay from. Main thread.
// Invariant: nothing of it is left when the process ends, however it ends (but by SIGKILL): neither files nor git's entry.

import { execFile, spawnSync } from 'node:child_process'
import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { LoadError, OptionError, reasonOf } from '../errors.ts'
import { temporaryFolder } from './temporary.ts'

export type Worktree = Readonly<{
  /** Ends in `/`. */
  root: URL
  /** Short hash. */
  revision: string
  remove: () => void
}>

const run = promisify(execFile)
/** Of what a failed installation said. */
const SAID_CHARACTERS_MAX = 1000

/**
 * @param repository a checkout with its dependencies installed; ends in `/`
 * @param signal ends an installation early
 * @throws OptionError for a revision that isn't there, LoadError when it can't be made ready
 */
export async function openWorktree(repository: URL, ref: string, signal?: AbortSignal): Promise<Worktree> {
  const revision = await revisionOf(repository, ref)
  const { path: parent, remove } = temporaryFolder('against', () => {
    // Twice forced: an entry that git has not finished is locked.
    spawnSync('git', ['worktree', 'remove', '--force', '--force', path], { cwd: repository })
  })
  const path = join(parent, 'checkout')
  try {
    await git(repository, ['worktree', 'add', '--detach', path, revision])
    const root = pathToFileURL(`${path}/`)
    await provideDependencies(repository, root, signal)
    return { root, revision, remove }
  } catch (error) {
    remove()
    throw error
  }
}

async function revisionOf(repository: URL, ref: string): Promise<string> {
  try {
    return await git(repository, ['rev-parse', '--verify', '--short', '--end-of-options', `${ref}^{commit}`])
  } catch (error) {
    throw new OptionError(
      `--against: ${JSON.stringify(ref)} is no revision of this repository: ${reasonOf(error)}`,
    )
  }
}

/**
 * With the same lock file both revisions have the same dependencies, and the worktree borrows ours: no registry is
 * needed. With another one they are installed there.
 */
async function provideDependencies(
  repository: URL,
  root: URL,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (await sameText(new URL('package-lock.json', repository), new URL('package-lock.json', root))) {
    await symlink(fileURLToPath(new URL('node_modules', repository)), new URL('node_modules', root))
    return
  }
  try {
    const options = ['--omit=dev', '--no-audit', '--no-fund', '--no-progress']
    await run('npm', ['install', ...options], { cwd: root, ...(signal !== undefined && { signal }) })
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? '').trim() || reasonOf(error)
    throw new LoadError(
      `the dependencies of the other revision could not be installed: ${said.slice(-SAID_CHARACTERS_MAX)}`,
    )
  }
}

async function sameText(one: URL, other: URL): Promise<boolean> {
  const [left, right] = await Promise.all(
    [one, other].map(file => readFile(file, 'utf8').catch(() => undefined)),
  )
  return left !== undefined && left === right
}

/** What it wrote to standard output. */
async function git(repository: URL, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run('git', [...args], { cwd: repository })
    return stdout.trim()
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? '').trim()
    throw new LoadError(`git ${args[0]}: ${said || reasonOf(error)}`)
  }
}
