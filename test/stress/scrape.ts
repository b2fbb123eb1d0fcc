// The relay from outside, in numbers: its gauges and its memory. Test process.

import { readFile } from 'node:fs/promises'
import type { TestRelay } from '../support/relay.ts'

export type Samples = ReadonlyMap<string, number>

/** All series of /metrics by their full names. */
export async function scrape({ ports }: TestRelay): Promise<Samples> {
  const text = await (await fetch(`http://127.0.0.1:${ports.internal}/metrics`)).text()
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    const at = line.lastIndexOf(' ')
    if (at > 0 && !line.startsWith('#')) samples.set(line.slice(0, at), Number(line.slice(at + 1)))
  }
  return samples
}

/** The sum of all series of one metric. */
export function total(samples: Samples, metric: string): number {
  let sum = 0
  for (const [series, value] of samples) {
    if (series === metric || series.startsWith(`${metric}{`)) sum += value
  }
  return sum
}

export async function residentMegabytes({ process }: TestRelay): Promise<number> {
  const status = await readFile(`/proc/${process.pid}/status`, 'utf8')
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024)
}

/** Looks again and again until nothing is wrong any more. Undefined: it came right; otherwise what is still wrong. */
export async function eventually(look: () => Promise<string | undefined>): Promise<string | undefined> {
  const untilMs = performance.now() + PATIENCE_MS
  for (;;) {
    const wrong = await look()
    if (wrong === undefined || performance.now() > untilMs) return wrong
    await new Promise(resolve => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

/** Far longer than anything takes on the slowest machine: what is not right by then is stuck. */
const PATIENCE_MS = 60_000
const LOOK_EVERY_MS = 50
