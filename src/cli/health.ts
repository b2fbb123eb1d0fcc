// `health`: asks the relay on this machine whether it does its work, for whoever watches over it. Main thread.
// Invariant: it reads the same configuration as `serve`, so that it asks where that one listens.

import { ConfigError, reasonOf } from '../base/errors.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'

/** A relay that works answers within milliseconds; one on a machine that is busy may take a second. */
const ANSWER_TIMEOUT_MS = 3_000

/** 0: it does its work; 1: it does not, or there is none. */
export async function health(argv: readonly string[], print: (text: string) => void): Promise<number> {
  const { config } = loadConfig({ argv })
  const url = healthUrl(config.http_server)
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) })
    print(`${url}: ${response.status} ${(await response.text()).trim()}\n`)
    return response.ok ? 0 : 1
  } catch (error) {
    // What the network says is in the cause; fetch itself only says that it failed.
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
    print(`${url}: no answer (${reasonOf(cause)})\n`)
    return 1
  }
}

/** Who listens on all addresses is asked on loopback. */
export function healthUrl(
  listener: Pick<Config['http_server'], 'internal_address' | 'internal_port'>,
): string {
  const { internal_address: address, internal_port: port } = listener
  if (port === 0) {
    throw new ConfigError('http_server.internal_port: 0 is any free port, and health has to know which one')
  }
  const asked = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
  return `http://${asked.includes(':') ? `[${asked}]` : asked}:${port}/health`
}
