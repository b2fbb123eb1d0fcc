// Starts what is measured, each in a process of its own: the relay as users run it, and the raw server.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startChild } from './child.ts'
import type { Variant } from './scenarios.ts'

export type Server = Readonly<{
  pid: number
  websocketPort: number
  tcpPort: number
  stop: () => Promise<void>
}>

export function startServer(variant: Variant): Promise<Server> {
  return variant.target === 'raw' ? startRaw() : startRelay(variant)
}

async function startRaw(): Promise<Server> {
  const child = startChild('./raw-server.ts')
  const { port } = await child.ask({})
  return { pid: child.pid, websocketPort: port, tcpPort: 0, stop: child.stop }
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** All as it is by default, metrics included, but for what anonymous clients need and for the history. */
function configOf({ shards, history }: Extract<Variant, { target: 'relay' }>): object {
  const options = {
    allow_subscribe_for_client: true,
    allow_subscribe_for_anonymous: true,
    allow_publish_for_client: true,
    allow_publish_for_anonymous: true,
    ...(history ? { history_size: 100, history_ttl: '60s', force_recovery: true } : {}),
  }
  return {
    shards,
    http_server: { port: 0, internal_port: 0 },
    tcp: { port: 0 },
    // The receivers answer no pings.
    client: { allow_anonymous_connect_without_token: true, ping_interval: '10m' },
    channel: { without_namespace: options },
  }
}

async function startRelay(variant: Extract<Variant, { target: 'relay' }>): Promise<Server> {
  const directory = await mkdtemp(join(tmpdir(), 'fanwire-speed-'))
  const file = join(directory, 'config.json')
  await writeFile(file, JSON.stringify(configOf(variant)))
  const args = [...NODE_ARGS, MAIN, '--config', file]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  void exited.then(() => rm(directory, { recursive: true, force: true }))
  const ready = await readyLine(createInterface({ input: child.stdout }))
  const portOf = (address: unknown) => Number(/:(\d+)(\/|$)/.exec(String(address))?.[1])
  return {
    pid: child.pid!,
    websocketPort: portOf(ready.websocket),
    tcpPort: portOf(ready.tcp),
    async stop() {
      // Clients that are still there would be told to reconnect, one after another.
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** For profiles: SPEED_NODE_ARGS="--cpu-prof …". */
const NODE_ARGS = (process.env.SPEED_NODE_ARGS ?? '').split(' ').filter(arg => arg !== '')

async function readyLine(lines: AsyncIterable<string>): Promise<Record<string, unknown>> {
  for await (const line of lines) if (line.includes('relay is ready')) return JSON.parse(line)
  throw new Error('the relay did not start')
}
