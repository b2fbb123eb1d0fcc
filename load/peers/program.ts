// Programs of peers as child processes: started, waited for until they accept, stopped by their pid. Main thread.
// Invariant: none outlives this process: whoever still runs when it exits is killed.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:fs'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, connect as openSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { PeerServer } from './peer.ts'

const HOST = '127.0.0.1'
/** A server that doesn't accept after so long won't. */
const START_TIMEOUT_MS = 15_000
const POLL_MS = 20
/** Of what a program says before it ends: enough for its error. */
const OUTPUT_CHARACTERS_MAX = 4000
/** A port that was free is taken by someone else in between so seldom that this is plenty. */
const PORT_ATTEMPTS_MAX = 5

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Where system packages put daemons; not always in a user's PATH. */
const DAEMON_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/sbin']

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
  // Some programs that only print their help end with an error code.
  const printed = await promisify(execFile)(path, args).catch((error: { stdout?: string }) => error)
  return /\d+\.\d+(\.\d+)?/.exec(printed.stdout ?? '')?.[0] ?? 'unknown'
}

/** Starts a program with a configuration file that needs to name the port. */
export async function startProgram(
  name: string,
  configOf: (port: number) => string,
  argsOf: (configFile: string) => readonly string[],
): Promise<PeerServer> {
  const path = await findProgram(name)
  if (path === undefined) throw new Error(`${name} is not installed`)
  const folder = await mkdtemp(join(tmpdir(), 'fanwire-peer-'))
  const configFile = join(folder, 'config')
  const cleanUp = () => rm(folder, { recursive: true, force: true })
  for (let attempt = 1; ; attempt++) {
    const port = await freePort()
    await writeFile(configFile, configOf(port))
    const child = watch(spawn(path, argsOf(configFile), { stdio: ['ignore', 'pipe', 'pipe'] }))
    try {
      await untilAccepting(child, port)
      return { pid: child.process.pid!, port, stop: () => child.stop().then(cleanUp) }
    } catch (error) {
      await child.stop()
      if (attempt < PORT_ATTEMPTS_MAX) continue
      await cleanUp()
      throw new Error(`${name} did not start: ${(error as Error).message}`)
    }
  }
}

/** Starts a server of ours (servers/), which listens on a free port and prints `{"port":N}`. */
export async function startScript(name: string): Promise<PeerServer> {
  const file = fileURLToPath(new URL(`./servers/${name}.ts`, import.meta.url))
  const child = watch(spawn(process.execPath, [file], { stdio: 'pipe' }))
  try {
    const port = await portPrinted(child)
    return { pid: child.process.pid!, port, stop: child.stop }
  } catch (error) {
    await child.stop()
    throw new Error(`the ${name} server did not start: ${(error as Error).message}`)
  }
}

type Watched = Readonly<{
  process: ChildProcess
  output: () => string
  ended: () => boolean
  stop: () => Promise<void>
}>

function watch(child: ChildProcess): Watched {
  running.add(child)
  let output = ''
  let ended = false
  const take = (text: string) => {
    output = (output + text).slice(-OUTPUT_CHARACTERS_MAX)
  }
  child.stdout!.setEncoding('utf8').on('data', take)
  child.stderr!.setEncoding('utf8').on('data', take)
  const exit = once(child, 'exit').catch(error => take(String(error)))
  const gone = exit.then(() => {
    ended = true
    running.delete(child)
  })
  return {
    process: child,
    output: () => output,
    ended: () => ended,
    async stop() {
      // Clients may still be there; a goodbye to each would only take time.
      child.kill('SIGKILL')
      await gone
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
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
    if (answer !== undefined) return answer
    if (child.ended()) throw new Error(`it ended: ${child.output().trim() || 'without a word'}`)
    if (performance.now() > deadlineMs)
      throw new Error(`nothing within ${START_TIMEOUT_MS} ms: ${child.output()}`)
    await pause(POLL_MS)
  }
}
