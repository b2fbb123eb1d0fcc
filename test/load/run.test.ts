// The command line as its users know it: a child process, its output, its files and its exit code.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Interval, RunResult } from '../../load/model.ts'
import { runOn } from '../../load/run-load.ts'
import { drain } from '../../load/scenarios/drain.ts'
import { fanout } from '../../load/scenarios/fanout.ts'
import { deployedRelay } from '../../load/target/deployed.ts'
import { startOwnRelay } from '../../load/target/own.ts'
import { startTestRelay, type TestRelay } from '../support/relay.ts'

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

const RUN = fileURLToPath(new URL('../../load/run.ts', import.meta.url))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fanwire-load-test-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** `out`: the folder with what it wrote. */
type Ended = Readonly<{ code: number | null; stdout: string; stderr: string; out: string }>

/** @param onOutput told what has been written to stderr so far; may end the program */
async function load(
  args: readonly string[],
  env: Record<string, string> = {},
  onOutput: (stderr: string, kill: (signal: NodeJS.Signals) => void) => void = () => {},
): Promise<Ended> {
  const out = await mkdtemp(join(folder, 'run-'))
  const child = spawn(process.execPath, [RUN, ...args, '--out', out], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
    onOutput(stderr, signal => child.kill(signal))
  })
  const [code] = await once(child, 'close')
  return { code, stdout, stderr, out }
}

// Together: they wait for most of their time.
describe.concurrent('npm run load', () => {
  test('runs against a relay of its own, tells what came out and keeps it', async () => {
    const { code, stdout, stderr, out } = await load(['--smoke'])
    expect([0, 3], stderr).toContain(code)
    for (const text of ['fanout: ', 'Ledger', 'every recipient', 'receiver 0', 'publisher', 'Written: ']) {
      expect(stdout).toContain(text)
    }
    expect(stdout.split('\n').filter(line => line.length > 100)).toEqual([])
    expect(stderr).toContain('connections')
    expect(stdout).not.toContain('\x1b')
    const files = await readdir(out)
    const result = files.find(file => file.endsWith('-fanout.json'))!
    expect(files).toContain(result.replace('.json', '.html'))
    expect(JSON.parse(await readFile(join(out, result), 'utf8'))).toMatchObject({
      scenario: 'fanout',
      target: { kind: 'own' },
    })
  })

  test('gives the result as JSON, and nothing else, on standard output', async () => {
    const { stdout, stderr } = await load(['--smoke', '--json', '--quiet', '--no-report'])
    const result: RunResult = JSON.parse(stdout)
    expect(result.ledger).toMatchObject({ lost: 0, duplicated: 0, outOfOrder: 0 })
    expect(stderr).toContain('Ledger')
    expect(stderr).not.toMatch(/^ +\d+ s /m)
  })

  test('goes on and is kept when nobody reads its output any more', async () => {
    const out = join(folder, 'unread')
    const child = spawn(process.execPath, [RUN, '--smoke', '--no-report', '--out', out], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.destroy()
    child.stderr.once('data', () => child.stderr.destroy())
    const [code] = await once(child, 'close')
    expect([0, 3]).toContain(code)
    expect(await readdir(out)).toEqual([expect.stringMatching(/-fanout\.json$/)])
  })

  test('keeps all of several runs, and counts the worst of them', async () => {
    const { code, stdout } = await load(['--smoke', '--repeat', '2', '--json', '--no-report', '--quiet'])
    const { runs }: { runs: RunResult[] } = JSON.parse(stdout)
    expect(runs).toHaveLength(2)
    expect(code).toBe(Math.max(...runs.map(({ verdict }) => verdict.exitCode)))
  })

  test('ends at ^C with what there is until then', async () => {
    const args = ['--smoke', '--duration', '10m', '--json', '--no-report']
    let interrupted = false
    const { code, stdout, stderr } = await load(args, {}, (text, kill) => {
      if (interrupted || !text.includes(' s  load ')) return
      interrupted = true
      kill('SIGINT')
    })
    expect(code, stderr).toBe(130)
    const result: RunResult = JSON.parse(stdout)
    expect(result.interrupted).toBe(true)
    expect(result.ledger).toMatchObject({ lost: 0, delivered: result.ledger.expected })
    expect(result.latency.all.count).toBeGreaterThan(0)
    expect(stderr).toContain('INTERRUPTED')
  })

  test.each([
    [['--rate', 'fast'], 2, '--rate: "fast" is not allowed'],
    [['compare', 'a.json'], 2, 'compare takes no flag'],
    [
      ['--subscribers', '900000', '--sources', '127.0.0.2-127.0.0.99'],
      2,
      '--subscribers: 900,000 is more than this machine bears',
    ],
    [['--smoke', '--sources', '203.0.113.7'], 2, '--sources: 203.0.113.7 is no address of this machine'],
    [
      ['--smoke', '--url', 'ws://127.0.0.1:1', '--publish', 'client', '--metrics', 'http://127.0.0.1:1'],
      4,
      '--metrics: http://127.0.0.1:1/ gives no Prometheus page',
    ],
    [['--smoke', '--url', 'ws://127.0.0.1:1', '--publish', 'client'], 4, 'ECONNREFUSED'],
    [['--smoke', '--url', 'ws://127.0.0.1:1', '--api', 'http://127.0.0.1:1'], 4, 'ECONNREFUSED'],
  ])('%j ends with exit code %i', async (args, expected, text) => {
    const { code, stderr } = await load(args)
    expect(stderr).toContain(text)
    expect(code).toBe(expected)
  })
})

describe('a deployed relay', () => {
  let relay: TestRelay
  beforeAll(async () => {
    relay = await startTestRelay()
  })
  afterAll(() => relay.stop())

  const addresses = () => [
    ...['--url', `ws://127.0.0.1:${relay.ports.http}`],
    ...['--api', `http://127.0.0.1:${relay.ports.http}`],
  ]

  test('is loaded by its addresses, its key comes from the environment, its metrics are read', async () => {
    const metrics = `http://127.0.0.1:${relay.ports.internal}/metrics`
    const tcp = ['--tcp', `127.0.0.1:${relay.ports.tcp}`, '--transport', 'mixed']
    const { code, stdout, stderr } = await load(
      [...addresses(), ...tcp, '--metrics', metrics, '--smoke', '--json', '--no-report'],
      { FANWIRE_LOAD_API_KEY: 'test-key' },
    )
    expect([0, 3], stderr).toContain(code)
    const result: RunResult = JSON.parse(stdout)
    expect(result.target).toMatchObject({ kind: 'deployed' })
    expect(result.server?.bytesAfter).toBeGreaterThan(1_000_000)
    expect(result.ledger).toMatchObject({ lost: 0, delivered: result.ledger.expected })
    expect(JSON.stringify(result)).not.toContain('test-key')
  })

  test('that does not know the key is told at once', async () => {
    const { code, stderr } = await load([...addresses(), '--smoke', '--api-key', 'wrong'])
    expect(stderr).toContain('401')
    expect(code).toBe(4)
  })

  test('that refuses the channels is told at once', async () => {
    const { code, stderr } = await load([...addresses(), '--smoke', '--prefix', 'nowhere:'], {
      FANWIRE_LOAD_API_KEY: 'test-key',
    })
    expect(stderr).toContain('could not connect')
    expect(stderr).toContain('unknown channel')
    expect(code).toBe(4)
  })
})

test.concurrent('a relay that dies in the middle ends the run, with what it said', async () => {
  const target = await startOwnRelay(fanout, fanout.defaults, { shards: 1 })
  try {
    const load = { ...fanout.defaults, ...fanout.smoke, durationS: 600 }
    const watch = ({ phase }: Interval) => {
      if (phase === 'load') process.kill(target.relay!.pid, 'SIGKILL')
    }
    const plan = { scenario: fanout, load, prefix: 'load:', command: 'test' }
    await expect(runOn(target, plan, { watch })).rejects.toThrow('the relay ended in the middle')
  } finally {
    await target.stop()
  }
})

test.concurrent('what is interrupted while the relay restarts leaves no relay and no folder', async () => {
  const folders = async () =>
    (await readdir(tmpdir())).filter(name => name.startsWith('fanwire-load-histories-'))
  const before = await folders()
  const load = { ...drain.defaults, ...drain.smoke }
  const target = await startOwnRelay(drain, load, { shards: 1 })
  const pids = [target.relay!.pid]
  const interruption = new AbortController()
  const watch = ({ phase }: Interval) => {
    if (phase === 'restart') interruption.abort()
  }
  const plan = { scenario: drain, load, prefix: 'load:', command: 'test' }
  try {
    const result = await runOn(target, plan, { watch, signal: interruption.signal })
    expect(result.interrupted).toBe(true)
    expect(result.ledger).toMatchObject({ lost: 0, duplicated: 0, outOfOrder: 0 })
  } finally {
    pids.push(target.relay!.pid)
    await target.stop()
  }
  pids.push(target.relay!.pid)
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  expect((await folders()).filter(name => !before.includes(name))).toEqual([])
})

test.concurrent('a deployed relay that is gone for good ends the run, once nobody is connected any more', async () => {
  const relay = await startTestRelay()
  const target = deployedRelay({
    websocket: relay.websocketUrl,
    api: `http://127.0.0.1:${relay.ports.http}/api`,
    apiKey: 'test-key',
  })
  const load = { ...fanout.defaults, ...fanout.smoke, durationS: 600 }
  const watch = ({ phase }: Interval) => {
    if (phase === 'load') relay.process.kill('SIGKILL')
  }
  const run = runOn(target, { scenario: fanout, load, prefix: '', command: 'test' }, { watch })
  await expect(run).rejects.toThrow(`all ${load.subscribers} connections are gone`)
})
