// What a process has used, from /proc: the one measure that is the same for every server. Linux only.

import { readFileSync } from 'node:fs'

/** USER_HZ, which is 100 on every Linux that Node supports. */
const TICKS_PER_SECOND = 100

/** User and system time of a process with all its threads, in microseconds, to 10 ms. */
export function cpuUsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The command's name stands in brackets and may have spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / TICKS_PER_SECOND
}

export function residentBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}
