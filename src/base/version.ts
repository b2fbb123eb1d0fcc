// The version of this program, from package.json. Main thread.

import { readFileSync } from 'node:fs'

/** Version of the program; a client sees it in the reply to connect. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
