// The machine that makes the load: what it is, and whether a load fits on it. Main thread.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism, cpus, release, type as systemName, totalmem } from 'node:os'
import { openFilesMax } from '../src/base/open-files.ts'
import { OptionError, reasonOf } from './errors.ts'
import type { Load, Machine } from './model.ts'
import { formatCount } from './report/units.ts'

/** For the program itself, its files and pipes. */
const OWN_FILES = 128
/** The relay refuses connections that many before the last file. */
const RELAY_FILES_LEFT = 256
/** What Linux gives by default; other systems are near it. */
const PORTS = { from: 32_768, to: 60_999 }

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${systemName()} ${release()}`,
    node: process.version,
  }
}

/** @throws OptionError where the system would refuse the connections in the middle */
export function checkFits(
  { subscribers, publishers, rate, transport, sources }: Load,
  isOwnRelay: boolean,
): void {
  const sockets = subscribers + (rate > 0 ? publishers : 0)
  const files = openFilesMax() ?? Number.POSITIVE_INFINITY
  const bearable = files - (isOwnRelay ? RELAY_FILES_LEFT : 0) - OWN_FILES
  if (sockets > bearable) {
    throw new OptionError(
      `--subscribers: ${formatCount(subscribers)} is more than this machine bears: a process may open ${formatCount(files)} ` +
        `files, which is enough for ${formatCount(bearable)} connections; raise it by \`ulimit -n\``,
    )
  }
  const { from, to } = portRange()
  const ports = to - from + 1
  // The two transports have ports of their own at the relay, so each has all the ports of a source.
  const largest = transport === 'mixed' ? Math.ceil(subscribers / 2) : subscribers
  const addresses = Math.max(1, sources.length)
  if (largest > ports * addresses) {
    throw new OptionError(
      `--subscribers: an address has ${formatCount(ports)} ports to connect from, enough for ` +
        `${formatCount(ports * addresses)} connections by ${formatCount(addresses)} of them; give more by --sources`,
    )
  }
}

/** @throws OptionError for an address that this machine can't connect from, where every connection would fail by it */
export async function checkSources(sources: readonly string[]): Promise<void> {
  for (const host of sources) {
    const server = createServer()
    try {
      server.listen({ host, port: 0 })
      await once(server, 'listening')
    } catch (error) {
      throw new OptionError(`--sources: ${host} is no address of this machine: ${reasonOf(error)}`)
    } finally {
      server.close()
    }
  }
}

/** Of the ports that the system deals out to who asks for none in particular. */
export function portRange(): { from: number; to: number } {
  try {
    const [from, to] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'latin1')
      .split(/\s+/)
      .map(Number)
    return { from: from!, to: to! }
  } catch {
    return PORTS
  }
}
