// How many files, and so sockets, the process may have open. Main thread, at start.

import { readFileSync } from 'node:fs'

/** The soft limit; undefined where the system does not say (anything but Linux). */
export function openFilesMax(): number | undefined {
  try {
    const line = readFileSync('/proc/self/limits', 'utf8').match(/^Max open files\s+(\d+)/m)
    return line === null ? undefined : Number(line[1])
  } catch {
    return undefined
  }
}
