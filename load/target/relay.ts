// The project's own relay as a child process, as users run it. Main thread.
// Invariant: it never outlives this process (leash.ts), and nothing of it is left when it has ended.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { LoadError } from '../errors.ts'
import { fetchMetrics, usedFrom } from './prometheus.ts'
import type { RunningTarget, Used } from './target.ts'
import { temporaryFolder } from './temporary.ts'
import { cpuUsOf, residentBytesOf } from './usage.ts'

export type RelayOptions = Readonly<{
  /** Checkout whose relay it is; ends in `/`. */
  root: URL
  /** Sections of its configuration, without ports. */
  sections: Readonly<Record<string, unknown>>
  apiKey: string
  /** Absent: free ones, that another program may get while it is down. */
  ports?: Ports
  /** Where its histories outlast a restart; absent: they don't. */
  historyFolder?: string
}>

export const OWN_ROOT = new URL('../../', import.meta.url)

const LEASH = new URL('./leash.ts', import.meta.url).href
export const FANWIRE_DIALECT = new URL('../generator/fanwire.ts', import.meta.url).href
/** A relay that isn't ready after so long won't be. */
const READY_TIMEOUT_MS = 30_000
/** Above the relay's own termination_timeout: it ends by itself. */
const TERMINATE_TIMEOUT_MS = 45_000
/** Of what it said last; enough for an error and what led to it. */
const SAID_LINES_MAX = 12
const WARNING_LEVEL = 40

export type Ports = Readonly<{ http: number; tcp: number; internal: number }>
const ANY_PORTS: Ports = { http: 0, tcp: 0, internal: 0 }

/** One run of the relay's process. */
type Run = Readonly<{
  child: ChildProcess
  ports: Ports
  /** With its exit code, null after a signal. */
  exited: Promise<number | null>
  /** Warnings, errors and what is no log line, newest last. */
  said: readonly string[]
}>

export async function startRelay(options: RelayOptions): Promise<RunningTarget> {
  const described = await describe(options.root)
  const stopped = new AbortController()
  let starting = startOnce(options, options.ports ?? ANY_PORTS, stopped.signal)
  let run = await starting
  const { ports } = run
  let expectsEnd = false
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => {})
  const watch = ({ exited, said }: Run) =>
    exited.then(code => {
      if (!expectsEnd)
        failed.reject(new LoadError(`the relay ended in the middle (${ending(code)})${tail(said)}`))
    })
  void watch(run)
  const metricsUrl = `http://127.0.0.1:${ports.internal}/metrics`
  const websocket = `ws://127.0.0.1:${ports.http}/connection/websocket`
  return {
    described: { ...described, url: websocket },
    endpoint: {
      dialect: FANWIRE_DIALECT,
      websocket,
      tcp: { host: '127.0.0.1', port: ports.tcp },
      api: `http://127.0.0.1:${ports.http}/api`,
      apiKey: options.apiKey,
    },
    use: () => useOf(run.child, metricsUrl),
    metrics: () => fetchMetrics(metricsUrl),
    relay: {
      get pid() {
        return run.child.pid!
      },
      keepsHistories: options.historyFolder !== undefined,
      async terminate() {
        expectsEnd = true
        const fromMs = performance.now()
        const { child, exited } = run
        child.kill('SIGTERM')
        const timer = setTimeout(() => child.kill('SIGKILL'), TERMINATE_TIMEOUT_MS)
        const code = await exited
        clearTimeout(timer)
        return { code, tookMs: performance.now() - fromMs }
      },
      async start() {
        starting = startOnce(options, ports, stopped.signal)
        run = await starting
        expectsEnd = false
        void watch(run)
      },
    },
    failed: failed.promise,
    async stop() {
      expectsEnd = true
      // Clients that are still there would be told to reconnect, one after another.
      run.child.kill('SIGKILL')
      // A scenario that was interrupted may be about to start it again.
      stopped.abort()
      await Promise.allSettled([run.exited, starting])
    },
  }
}

/** @param stopped ends it before it is ready */
async function startOnce(options: RelayOptions, ports: Ports, stopped: AbortSignal): Promise<Run> {
  const { path, remove } = temporaryFolder('load')
  try {
    const file = join(path, 'config.json')
    await writeFile(file, JSON.stringify(configOf(options, ports)), { mode: 0o600 })
    const main = fileURLToPath(new URL('src/main.ts', options.root))
    if (stopped.aborted) throw new LoadError('the relay has been stopped')
    const child = spawn(process.execPath, ['--import', LEASH, main, '--config', file], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: environment(),
      // A group of its own: ^C is for the run, which ends it when the books are closed.
      detached: true,
    })
    return await untilReady(child, stopped)
  } finally {
    // It reads its configuration once, at start.
    remove()
  }
}

function configOf({ sections, apiKey, historyFolder }: RelayOptions, ports: Ports): object {
  return {
    ...sections,
    ...(historyFolder === undefined
      ? {}
      : { shutdown: { ...section(sections.shutdown), history_path: historyFolder } }),
    http_server: { ...section(sections.http_server), port: ports.http, internal_port: ports.internal },
    tcp: { ...section(sections.tcp), port: ports.tcp },
    http_api: { ...section(sections.http_api), key: apiKey },
  }
}

function section(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {}
}

/** Without the options of another relay, and without what the run itself is told there. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('FANWIRE_')))
}

async function untilReady(child: ChildProcess, stopped: AbortSignal): Promise<Run> {
  const said: string[] = []
  const say = (line: string) => {
    said.push(line)
    if (said.length > SAID_LINES_MAX) said.shift()
  }
  const exited = once(child, 'exit').then(
    ([code]) => code as number | null,
    error => {
      say(String(error))
      return null
    },
  )
  createInterface({ input: child.stderr! }).on('line', say)
  const ready = Promise.withResolvers<Record<string, unknown>>()
  createInterface({ input: child.stdout! }).on('line', line => {
    const entry = logLine(line)
    if (entry?.msg === 'relay is ready') ready.resolve(entry)
    if (entry === undefined || Number(entry.level) >= WARNING_LEVEL) say(line)
  })
  const kill = () => void child.kill('SIGKILL')
  stopped.addEventListener('abort', kill)
  const timer = setTimeout(kill, READY_TIMEOUT_MS)
  const entry = await Promise.race([ready.promise, exited])
  clearTimeout(timer)
  stopped.removeEventListener('abort', kill)
  if (entry === null || typeof entry === 'number') {
    throw new LoadError(`the relay did not start (${ending(entry)})${tail(said)}`)
  }
  const portOf = (key: string) => Number(/:(\d+)(\/|$)/.exec(String(entry[key]))?.[1])
  const ports = { http: portOf('websocket'), tcp: portOf('tcp'), internal: portOf('internal') }
  return { child, ports, exited, said }
}

function logLine(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

function ending(code: number | null): string {
  return code === null ? 'killed by a signal' : `exit code ${code}`
}

function tail(said: readonly string[]): string {
  return said.length === 0 ? '' : `; it said last:\n  ${said.join('\n  ')}`
}

async function useOf({ pid, exitCode, signalCode }: ChildProcess, metricsUrl: string): Promise<Used> {
  // Between its end and its next start there is nothing that uses anything.
  if (pid === undefined || exitCode !== null || signalCode !== null) return { cpuUs: 0, bytes: 0 }
  const cpuUs = cpuUsOf(pid)
  const bytes = residentBytesOf(pid)
  if (cpuUs !== undefined && bytes !== undefined) return { cpuUs, bytes }
  // Where the system has no /proc the relay knows itself.
  const page = await fetchMetrics(metricsUrl)
  return page === undefined ? { cpuUs, bytes } : usedFrom(page)
}

async function describe(root: URL): Promise<Omit<RunningTarget['described'], 'url'>> {
  const { version } = JSON.parse(await readFile(new URL('package.json', root), 'utf8'))
  const revision = await revisionOf(root)
  return {
    kind: 'own',
    name: 'fanwire',
    version,
    ...(revision === undefined ? {} : { revision }),
  }
}

/** Whether a checkout's relay has this option: other revisions may know fewer. */
export async function knowsOption(root: URL, name: string): Promise<boolean> {
  const main = fileURLToPath(new URL('src/main.ts', root))
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, [main, 'print-config'], { env: environment() })
  return stdout.includes(` ${name}:`)
}

/** Short hash, with a mark where files differ from it; undefined where git can't tell. */
async function revisionOf(root: URL): Promise<string | undefined> {
  try {
    const run = promisify(execFile)
    const { stdout } = await run('git', ['describe', '--always', '--dirty', '--exclude', '*'], { cwd: root })
    return stdout.trim()
  } catch {
    return undefined
  }
}
