// Programs of peers as child processes: started, waited for until they accept, stopped by their pid. Main thread.
// Invariant: none outlives this process, however it ends.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants, readFileSync } from 'node:fs'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { findPackageJSON } from 'node:module'
import { createServer, connect as openSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { LoadError, reasonOf } from '../errors.ts'

export type Program = Readonly<{
  pid: number
  port: number
  /** Rejects when it ends without having been told to; else stays pending. */
  failed: Promise<never>
  /** Resolves when it is gone, and its files. */
  stop: () => Promise<void>
}>

const HOST = '127.0.0.1'
/** A server that doesn't accept after so long won't. */
const START_TIMEOUT_MS = 15_000
const POLL_MS = 20
/** Of what a program says: enough for its last error. */
const OUTPUT_CHARACTERS_MAX = 4000
/** Someone else takes a port that was free a moment ago so seldom that this is plenty. */
const PORT_ATTEMPTS_MAX = 5
const LEASH = new URL('../target/leash.ts', import.meta.url).href
/** Where system packages put daemons; not always in a user's PATH. */
const DAEMON_FOLDERS = ['/usr/sbin', '/usr/local/sbin']

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...DAEMON_FOLDERS]) {
    if (folder === '') continue
    const path = join(folder, name)
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found) return path
  }
  return undefined
}

/** The first version number in what the program prints; undefined where there is no such program. */
export async function versionOf(name: string, args: readonly string[]): Promise<string | undefined> {
  const path = await findProgram(name)
  if (path === undefined) return undefined
  // Some programs end with an error code when they only print their help.
  const printed = await promisify(execFile)(path, args).catch((error: { stdout?: string }) => error)
  return /\d+\.\d+(\.\d+)?/.exec(printed.stdout ?? '')?.[0] ?? 'unknown'
}

/** Of a package that this project depends on. Read from its folder, since not all export it. */
export function packageVersion(name: string): string {
  const file = findPackageJSON(name, import.meta.url)
  return file === undefined ? 'unknown' : JSON.parse(readFileSync(file, 'utf8')).version
}

/** Starts a program whose configuration file has to name its port; `spare` is another free one, should it need two. */
export async function startProgram(
  name: string,
  configOf: (port: number, spare: number) => string,
  argsOf: (configFile: string) => readonly string[],
): Promise<Program> {
  const path = await findProgram(name)
  if (path === undefined) throw new LoadError(`${name} is not installed`)
  const folder = await mkdtemp(join(tmpdir(), 'fanwire-peer-'))
  const configFile = join(folder, 'config')
  const cleanUp = () => rm(folder, { recursive: true, force: true })
  for (let attempt = 1; ; attempt++) {
    const [port, spare] = await freePorts()
    await writeFile(configFile, configOf(port, spare))
    // A group of its own: ^C is for the run, which ends it.
    const child = watch(
      name,
      spawn(path, argsOf(configFile), { stdio: ['ignore', 'pipe', 'pipe'], detached: true }),
    )
    try {
      await untilAccepting(child, port)
      const leash = leashTo(child.process.pid!, folder)
      return programOf(child, port, async () => {
        leash.kill('SIGKILL')
        await cleanUp()
      })
    } catch (error) {
      await child.stop()
      if (attempt < PORT_ATTEMPTS_MAX) continue
      await cleanUp()
      throw new LoadError(`${name} did not start: ${reasonOf(error)}`)
    }
  }
}

/** Starts a server of ours (servers/), which listens on a free port and prints `{"port":N}`. */
export async function startScript(name: string): Promise<Program> {
  const file = fileURLToPath(new URL(`./servers/${name}.ts`, import.meta.url))
  const child = watch(
    name,
    spawn(process.execPath, ['--import', LEASH, file], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    }),
  )
  try {
    return programOf(child, await portPrinted(child))
  } catch (error) {
    await child.stop()
    throw new LoadError(`the ${name} server did not start: ${reasonOf(error)}`)
  }
}

/** What leash.ts is to a Node program: when this process is killed, its end of the pipe closes. */
function leashTo(pid: number, folder: string): ChildProcess {
  const leash = spawn('sh', ['-c', 'read _; kill -9 "$0"; rm -rf "$1"', String(pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  leash.unref()
  return leash
}

type Watched = Readonly<{
  process: ChildProcess
  output: () => string
  ended: () => boolean
  failed: Promise<never>
  stop: () => Promise<void>
}>

function programOf(child: Watched, port: number, cleanUp = async () => {}): Program {
  const stop = async () => {
    await child.stop()
    await cleanUp()
  }
  return { pid: child.process.pid!, port, failed: child.failed, stop }
}

function watch(name: string, child: ChildProcess): Watched {
  running.add(child)
  let output = ''
  let ended = false
  let expectsEnd = false
  const take = (text: string) => {
    output = (output + text).slice(-OUTPUT_CHARACTERS_MAX)
  }
  child.stdout!.setEncoding('utf8').on('data', take)
  child.stderr!.setEncoding('utf8').on('data', take)
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => {})
  const gone = once(child, 'exit')
    .catch(error => take(String(error)))
    .then(() => {
      ended = true
      running.delete(child)
      if (!expectsEnd) failed.reject(new LoadError(`${name} ended in the middle: ${lastWords(output)}`))
    })
  return {
    process: child,
    output: () => output,
    ended: () => ended,
    failed: failed.promise,
    async stop() {
      expectsEnd = true
      // Clients may still be there; a goodbye to each would only take time.
      child.kill('SIGKILL')
      await gone
    },
  }
}

function lastWords(output: string): string {
  return output.trim() || 'without a word'
}

/** Two, both held until both are known, so that they differ. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer().listen(0, HOST), createServer().listen(0, HOST)]
  await Promise.all(servers.map(server => once(server, 'listening')))
  const [first, second] = servers.map(server => (server.address() as { port: number }).port)
  await Promise.all(servers.map(server => once(server.close(), 'close')))
  return [first!, second!]
}

async function untilAccepting(child: Watched, port: number): Promise<void> {
  await poll(child, async () => {
    const socket = openSocket(port, HOST)
    try {
      await once(socket, 'connect')
      return true
    } catch {
      return undefined
    } finally {
      socket.destroy()
    }
  })
}

function portPrinted(child: Watched): Promise<number> {
  return poll(child, async () => {
    const port = /\{"port":(\d+)\}/.exec(child.output())?.[1]
    return port === undefined ? undefined : Number(port)
  })
}

/** Asks again and again while the program runs. */
async function poll<T>(child: Watched, ask: () => Promise<T | undefined>): Promise<T> {
  const deadlineMs = performance.now() + START_TIMEOUT_MS
  for (;;) {
    const answer = await ask()
    if (child.ended()) throw new Error(`it ended: ${lastWords(child.output())}`)
    if (answer !== undefined) return answer
    if (performance.now() > deadlineMs) {
      throw new Error(`nothing within ${START_TIMEOUT_MS} ms: ${lastWords(child.output())}`)
    }
    await pause(POLL_MS)
  }
}
