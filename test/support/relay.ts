// A real relay in a process of its own, on free ports, for tests that use it as its users do.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export type LogLine = Readonly<Record<string, unknown> & { msg: string; level: number }>

export type TestRelay = Readonly<{
  process: ChildProcess
  ports: Readonly<{ http: number; tcp: number; internal: number }>
  websocketUrl: string
  /** All log lines so far. */
  log: readonly LogLine[]
  /** Calls the server API; the key of the configuration is sent along. */
  api(method: string, body: unknown, headers?: Record<string, string>): Promise<{ status: number; body: any }>
  /** Replaces a shard by the way an operator would; resolves when the new one is there. */
  quarantine(shard: number): Promise<void>
  /** One sample of /metrics by its exact beginning, e.g. `fanwire_quarantines_total`; undefined: not there. */
  metric(series: string): Promise<number | undefined>
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>
}>

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const API_KEY = 'test-key'

/** An open relay: anonymous clients may do everything in channels without a namespace and in the given namespaces. */
export const OPEN_CHANNELS = {
  presence: true,
  join_leave: true,
  allow_subscribe_for_client: true,
  allow_subscribe_for_anonymous: true,
  allow_publish_for_client: true,
  allow_publish_for_anonymous: true,
  allow_history_for_client: true,
  allow_history_for_anonymous: true,
  allow_presence_for_client: true,
  allow_presence_for_anonymous: true,
}

const running = new Set<ChildProcess>()

/** Ends the relays of tests that failed before they stopped theirs. */
export function killRelays(): void {
  for (const child of running) child.kill('SIGKILL')
}

/**
 * @param config sections of the configuration file; ports are free ones, the API key is set, two shards
 * @param env added to the environment of the process
 */
export async function startTestRelay(
  config: Record<string, any> = {},
  env: Record<string, string> = {},
): Promise<TestRelay> {
  const directory = await mkdtemp(join(tmpdir(), 'fanwire-test-'))
  const file = join(directory, 'config.json')
  const whole = {
    shards: 2,
    ...config,
    http_server: { port: 0, internal_port: 0, ...config.http_server },
    tcp: { port: 0, ...config.tcp },
    http_api: { key: API_KEY, ...config.http_api },
    client: { allow_anonymous_connect_without_token: !config.messenger?.enabled, ...config.client },
    channel: { without_namespace: OPEN_CHANNELS, ...config.channel },
  }
  await writeFile(file, JSON.stringify(whole))
  const child = spawn(process.execPath, [MAIN, '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  const exited = once(child, 'exit').then(([code]) => code as number | null)
  running.add(child)
  void exited.then(() => running.delete(child))
  const log: LogLine[] = []
  const waiting = new Set<() => void>()
  createInterface({ input: child.stdout }).on('line', line => {
    log.push(line.startsWith('{') ? JSON.parse(line) : { msg: line, level: 30 })
    for (const check of waiting) check()
  })
  /** Resolves with the first log line after `from` with this text (and about this shard). */
  const logged = (msg: string, from = 0, shard?: number) =>
    new Promise<LogLine>((resolve, reject) => {
      const check = () => {
        const found = log
          .slice(from)
          .find(line => line.msg === msg && (shard === undefined || line.shard === shard))
        if (found === undefined) return
        waiting.delete(check)
        resolve(found)
      }
      waiting.add(check)
      void exited.then(code =>
        reject(new Error(`the relay ended with ${code}: ${JSON.stringify(log.slice(-3))}`)),
      )
      check()
    })
  // It reads its configuration once, at start.
  const ready = await logged('relay is ready').finally(() => rm(directory, { recursive: true, force: true }))
  const portOf = (key: string) => Number(String(ready[key]).match(/:(\d+)(\/|$)/)?.[1] ?? 0)
  const ports = { http: portOf('websocket'), tcp: portOf('tcp'), internal: portOf('internal') }
  const internal = `http://127.0.0.1:${ports.internal}`
  return {
    process: child,
    ports,
    websocketUrl: String(ready.websocket),
    log,
    async api(method, body, headers = {}) {
      const response = await fetch(`http://127.0.0.1:${ports.http}/api/${method}`, {
        method: 'POST',
        headers: { 'X-API-Key': whole.http_api.key, 'Content-Type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      })
      return { status: response.status, body: JSON.parse(await response.text()) }
    },
    async quarantine(shard) {
      const from = log.length
      const response = await fetch(`${internal}/admin/shards/${shard}/quarantine`, {
        method: 'POST',
        headers: { 'X-API-Key': whole.http_api.key },
      })
      if (!response.ok) throw new Error(`quarantine: ${response.status} ${await response.text()}`)
      await logged('shard replaced', from, shard)
    },
    async metric(series) {
      const text = await (await fetch(`${internal}/metrics`)).text()
      const line = text.split('\n').find(entry => entry.startsWith(`${series} `))
      return line === undefined ? undefined : Number(line.slice(series.length + 1))
    },
    async stop() {
      if (child.exitCode === null) child.kill('SIGTERM')
      return exited
    },
  }
}
