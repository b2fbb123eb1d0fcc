// The ports of the relay, had alone for a moment before anybody listens, so that a port that can't be had is named
// with its reason. Main thread.
// Shards listen on the same port with SO_REUSEPORT, which a second relay could do as well without anybody noticing.

import { createServer } from 'node:net'
import { reasonOf, StartError } from '../base/errors.ts'
import type { Config } from '../config/schema.ts'

/**
 * The configuration with numbers in place of port 0: several threads may listen on the same one, and the library gives
 * up a port that it chose itself only a minute after its last connections (it sets no SO_REUSEADDR then), so that a
 * relay could not start again on it.
 */
export async function withFreePorts(config: Config): Promise<Config> {
  const { http_server: http, tcp } = config
  const httpPort = await freePort('http_server.port', http.address, http.port)
  const tcpPort = tcp.enabled ? await freePort('tcp.port', tcp.address, tcp.port) : tcp.port
  await freePort('http_server.internal_port', http.internal_address, http.internal_port)
  return {
    ...config,
    http_server: { ...http, port: httpPort },
    tcp: { ...tcp, port: tcpPort },
  }
}

function freePort(key: string, address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', error => reject(new StartError(`${key} ${address}:${port}: ${whyOf(error)}`)))
    server.listen({ host: address, port, exclusive: true }, () => {
      const bound = server.address()
      const taken = bound !== null && typeof bound === 'object' ? bound.port : port
      server.close(() => resolve(taken))
    })
  })
}

function whyOf(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return 'the port is taken'
    case 'EADDRNOTAVAIL':
      return 'this machine does not have the address'
    case 'EACCES':
      return 'not permitted to listen on this port'
    default:
      return reasonOf(error)
  }
}
