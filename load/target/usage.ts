// What a process has used, from /proc: the one measure that is the same for every server. Any thread.
// Invariant: where the system has no /proc, or the process is gone, the answer is undefined and never a guess.

import { readFileSync } from 'node:fs'

/** USER_HZ, which is 100 on every Linux that Node supports. */
const TICKS_PER_SECOND = 100

/** User and system time of a process with all its threads, in microseconds, to 10 ms. */
export function cpuUsOf(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`)
  // The command's name stands in brackets and may have spaces; utime and stime are fields 14 and 15.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields === undefined) return undefined
  return finite(((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND)
}

export function residentBytesOf(pid: number): number | undefined {
  const status = read(`/proc/${pid}/status`)
  return status === undefined ? undefined : finite(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return undefined
  }
}

function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined
}
