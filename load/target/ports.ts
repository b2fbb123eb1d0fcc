// Ports for a server that is stopped and started again on the same ones. Main thread.
// Invariant: they lie outside of the range from which the system deals out ports, so that nobody gets one of them while
// the server is down: neither another program nor a client of ours that keeps on trying to reach it.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { LoadError } from '../errors.ts'
import { portRange } from '../machine.ts'

/** Below are those of well-known services. */
const PORT_MIN = 10_000
const PORT_MAX = 65_535
const TRIES_MAX = 1000

/** So many, all different, that are free now. */
export async function lastingPorts(count: number): Promise<readonly number[]> {
  const { from, to } = portRange()
  // The larger part of what is left, below or above.
  const [low, high] = from - PORT_MIN >= PORT_MAX - to ? [PORT_MIN, from - 1] : [to + 1, PORT_MAX]
  const ports = new Set<number>()
  for (let tries = 0; tries < TRIES_MAX && low < high; tries++) {
    // Not by the seed: two runs at the same time must not meet.
    const port = low + Math.floor(Math.random() * (high - low + 1))
    if (!ports.has(port) && (await isFree(port))) ports.add(port)
    if (ports.size === count) return [...ports]
  }
  throw new LoadError(`there are no ${count} free ports from ${low} to ${high}`)
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen({ port, host: '127.0.0.1' })
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}
