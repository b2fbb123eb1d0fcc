// Reads the few figures that a run wants from a Prometheus page. Main thread.
// Invariant: a page that can't be had or lacks a figure gives undefined: a run does not fail for its metrics.

import type { Used } from './target.ts'

const TIMEOUT_MS = 2000
/** A relay's page has some 100 KiB; that of a whole machine with many processes is within this. */
export const PAGE_BYTES_MAX = 16 * 1024 * 1024

/** @param address may have a user and a password in it */
export async function fetchMetrics(address: string): Promise<string | undefined> {
  try {
    const { url, headers } = requestOf(address)
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) })
    return response.ok ? await textOf(response) : undefined
  } catch {
    return undefined
  }
}

/** fetch() takes no URL with a user in it. */
function requestOf(address: string): { url: URL; headers: Record<string, string> } {
  const url = new URL(address)
  if (url.username === '' && url.password === '') return { url, headers: {} }
  const credentials = [url.username, url.password].map(decodeURIComponent).join(':')
  url.username = ''
  url.password = ''
  return { url, headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` } }
}

async function textOf({ body }: Response): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body ?? []) {
    bytes += chunk.length
    // Leaving the loop ends the connection.
    if (bytes > PAGE_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** CPU and memory as prom-client and all official Prometheus libraries name them. */
export function usedFrom(page: string): Used {
  const seconds = samplesOf(page, 'process_cpu_seconds_total')[0]
  return {
    cpuUs: seconds === undefined ? undefined : seconds * 1e6,
    bytes: samplesOf(page, 'process_resident_memory_bytes')[0],
  }
}

/** How busy each shard's loop is, 0–1, in the order of the page; empty where the page has no such figure. */
export function shardUtilizations(page: string): readonly number[] {
  return samplesOf(page, 'fanwire_event_loop_utilization')
}

/** Sum of a metric's samples, of those with this label (as on the page: `code="3008"`) or of all; 0 where there is none. */
export function sumOf(page: string, name: string, label = ''): number {
  return samplesOf(page, name, label).reduce((sum, value) => sum + value, 0)
}

/** Values of all samples of a metric that have the label, or whatever their labels are. */
export function samplesOf(page: string, name: string, label = ''): readonly number[] {
  const values: number[] = []
  for (const line of page.split('\n')) {
    if (!line.startsWith(name)) continue
    const sample = /^(\{[^}]*\})? (\S+)/.exec(line.slice(name.length))
    const value = Number(sample?.[2])
    if (Number.isFinite(value) && (sample?.[1] ?? '').includes(label)) values.push(value)
  }
  return values
}
