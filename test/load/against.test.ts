// `--against REF` as a user runs it, in a clone of this repository: its own git state stays as it is. The clone has
// the load harness as it lies here, and the relays of both sides are started for real.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openWorktree } from '../../load/target/worktree.ts'
import { takeTurns } from '../../load/turns.ts'
import { sampleResult } from './sample-results.ts'

const PROJECT = join(import.meta.dirname, '..', '..')
const FINISH_TIMEOUT_MS = 120_000

describe('turns', () => {
  test('alternate, and every other round goes the other way round', async () => {
    const order: string[] = []
    const side = (name: string) => async () => {
      order.push(name)
      return sampleResult()
    }
    const runs = await takeTurns([side('A'), side('B')], 3, new AbortController().signal)
    expect(order.join('')).toBe('ABBAAB')
    expect(runs.map(({ length }) => length)).toEqual([3, 3])
  })

  test('end with an interrupted run, which counts for nothing', async () => {
    const interrupted = new AbortController()
    let calls = 0
    const side = async () => {
      if (++calls < 4) return sampleResult()
      interrupted.abort()
      return { ...sampleResult(), interrupted: true as const }
    }
    const runs = await takeTurns([side, side], 5, interrupted.signal)
    expect(calls).toBe(4)
    expect(runs.map(({ length }) => length)).toEqual([1, 2])
  })
})

describe.skipIf(!existsSync(join(PROJECT, '.git')))('in a clone (skipped without git history)', () => {
  let folder: string
  let clone: string
  let temporary: string
  const children: ChildProcess[] = []

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fanwire-against-test-'))
    clone = join(folder, 'clone')
    temporary = join(folder, 'tmp')
    await mkdir(temporary)
    execFileSync('git', ['clone', '--quiet', '--no-tags', PROJECT, clone])
    await cp(join(PROJECT, 'load'), join(clone, 'load'), {
      recursive: true,
      filter: path => !path.startsWith(join(PROJECT, 'load', 'results')),
    })
    await symlink(join(PROJECT, 'node_modules'), join(clone, 'node_modules'))
  })

  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })

  function git(...args: string[]): string {
    const author = ['-c', 'user.name=Test', '-c', 'user.email=test@example.com']
    return execFileSync('git', [...author, ...args], { cwd: clone, encoding: 'utf8' }).trim()
  }

  /** Neither files nor git's entry of a worktree. */
  async function expectNothingLeft(): Promise<void> {
    expect(git('worktree', 'list').split('\n')).toHaveLength(1)
    // npm and Node keep caches there.
    expect((await readdir(temporary)).filter(name => name.startsWith('fanwire-'))).toEqual([])
  }

  type Run = Readonly<{
    text: () => string
    interrupt: () => void
    ended: Promise<number | null>
  }>

  function load(...args: string[]): Run {
    const child = spawn(process.execPath, ['load/run.ts', '--smoke', '--out', 'results', ...args], {
      cwd: clone,
      env: { ...process.env, TMPDIR: temporary },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    children.push(child)
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (text += chunk))
    return {
      text: () => text,
      interrupt: () => child.kill('SIGINT'),
      ended: once(child, 'close').then(([code]) => code as number | null),
    }
  }

  test(
    'compares a revision with this checkout, keeps the runs of both and removes the worktree',
    async () => {
      const run = load('--against', 'HEAD', '--repeat', '1')
      const code = await run.ended
      expect([0, code === 0 ? '' : run.text()]).toEqual([code, ''])
      const revision = git('rev-parse', '--short', 'HEAD')
      expect(run.text()).toContain(`A  HEAD: 1 run of fanwire`)
      expect(run.text()).toContain(`(${revision})`)
      expect(run.text()).toContain('B  this checkout: 1 run of fanwire')
      expect(run.text()).toMatch(/deliveries\/s .* too few runs\n/)
      const written = (await readdir(join(clone, 'results'))).sort()
      expect(written).toHaveLength(2)
      for (const name of written) {
        expect(name).toMatch(/-fanout-(reference|own)\.json$/)
        const { runs } = JSON.parse(await readFile(join(clone, 'results', name), 'utf8'))
        expect(runs.map((one: { ledger: { lost: number } }) => one.ledger.lost)).toEqual([0])
      }
      await expectNothingLeft()
    },
    FINISH_TIMEOUT_MS,
  )

  test.each([1, 2])(
    'leaves nothing behind when it is interrupted (%i times)',
    async times => {
      const run = load('--against', 'HEAD', '--repeat', '2')
      await expect.poll(run.text, { timeout: FINISH_TIMEOUT_MS / 2 }).toContain(' pub/s')
      for (let count = 0; count < times; count++) run.interrupt()
      expect(await run.ended).toBe(130)
      await expectNothingLeft()
    },
    FINISH_TIMEOUT_MS,
  )

  test('says what is no revision, and refuses what does not fit', async () => {
    const unknown = load('--against', 'no-such-branch')
    expect(await unknown.ended).toBe(2)
    expect(unknown.text()).toContain('"no-such-branch" is no revision of this repository')
    const option = load('--against=--help')
    expect(await option.ended).toBe(2)
    const deployed = load('--against', 'HEAD', '--url', 'ws://127.0.0.1:9', '--publish', 'client')
    expect(await deployed.ended).toBe(2)
    expect(deployed.text()).toContain('--against starts the relays itself')
    await expectNothingLeft()
  })

  /** A branch with another package.json. */
  async function commit(branch: string, manifest: string): Promise<void> {
    git('checkout', '--quiet', '-b', branch)
    await writeFile(join(clone, 'package.json'), manifest)
    await rm(join(clone, 'package-lock.json'))
    await mkdir(join(clone, 'part'), { recursive: true })
    await writeFile(join(clone, 'part', 'package.json'), '{"name":"part","version":"1.0.0"}')
    git('add', 'part')
    git('commit', '--quiet', '-m', branch, '--', 'package.json', 'package-lock.json', 'part')
    git('checkout', '--quiet', '-')
  }

  test(
    'installs the dependencies of a revision that has others than this one, or says why it can not',
    async () => {
      const before = process.env.TMPDIR
      process.env.TMPDIR = temporary
      try {
        // A folder as the only dependency: no registry is asked.
        await commit('other', '{"name":"other","dependencies":{"part":"file:./part"}}')
        const worktree = await openWorktree(pathToFileURL(`${clone}/`), 'other')
        expect(await readdir(new URL('node_modules/', worktree.root))).toContain('part')
        worktree.remove()
        await commit('broken', '{')
        await expect(openWorktree(pathToFileURL(`${clone}/`), 'broken')).rejects.toThrow(
          'the dependencies of the other revision could not be installed',
        )
      } finally {
        if (before === undefined) delete process.env.TMPDIR
        else process.env.TMPDIR = before
      }
      await expectNothingLeft()
    },
    FINISH_TIMEOUT_MS,
  )
})
