import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import {
  fetchMetrics,
  PAGE_BYTES_MAX,
  samplesOf,
  shardUtilizations,
  sumOf,
  usedFrom,
} from '../../../load/target/prometheus.ts'

const PAGE = `# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
process_resident_memory_bytes 104857600
fanwire_event_loop_utilization{shard="0"} 0.25
fanwire_event_loop_utilization{shard="1"} 7.5e-1
fanwire_event_loop_utilization_max 9
broken NaN
`

test('finds CPU time, memory and the shards in a Prometheus page', () => {
  expect(usedFrom(PAGE)).toEqual({ cpuUs: 12_500_000, bytes: 104_857_600 })
  expect(shardUtilizations(PAGE)).toEqual([0.25, 0.75])
})

test('adds up the samples of a metric, or of those with a label', () => {
  expect(sumOf(PAGE, 'fanwire_event_loop_utilization')).toBe(1)
  expect(sumOf(PAGE, 'fanwire_event_loop_utilization', 'shard="1"')).toBe(0.75)
  expect(sumOf(PAGE, 'fanwire_event_loop_utilization', 'shard="2"')).toBe(0)
})

test('says that it does not know what is not there', () => {
  expect(usedFrom('')).toEqual({ cpuUs: undefined, bytes: undefined })
  expect(samplesOf(PAGE, 'broken')).toEqual([])
})

test('has no page where nobody answers', async () => {
  expect(await fetchMetrics('http://127.0.0.1:1/metrics')).toBeUndefined()
})

/** What is found at `USER@127.0.0.1:PORT/metrics` of such a server. */
async function fetchFrom(listener: RequestListener, user = ''): Promise<string | undefined> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return await fetchMetrics(`http://${user}127.0.0.1:${(server.address() as AddressInfo).port}/metrics`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test('shows a user and a password where the address has them', async () => {
  const echo: RequestListener = ({ headers }, response) => response.end(headers.authorization ?? 'nobody')
  expect(await fetchFrom(echo, 'me:s%40cret@')).toBe(`Basic ${btoa('me:s@cret')}`)
  expect(await fetchFrom(echo)).toBe('nobody')
})

test('has no page where the server says no, or does not come to an end', async () => {
  expect(await fetchFrom((_, response) => response.writeHead(404).end(PAGE))).toBeUndefined()
  const chunk = Buffer.alloc(PAGE_BYTES_MAX / 4, '# so on\n')
  let sent = 0
  const endless: RequestListener = (_, response) => {
    const send = () => {
      sent += chunk.length
      if (!response.destroyed) response.write(chunk, send)
    }
    send()
  }
  expect(await fetchFrom(endless)).toBeUndefined()
  expect(sent).toBeGreaterThan(PAGE_BYTES_MAX)
})
