import { expect, test } from 'vitest'
import {
  fetchMetrics,
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
