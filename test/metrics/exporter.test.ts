// The page of the exporter, read line by line by a strict parser.

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { catalog, mainGauges } from '../../src/metrics/catalog.ts'
import { createExporter, type ExporterOptions } from '../../src/metrics/exporter.ts'
import type { Metric } from '../../src/metrics/metric.ts'
import { labelledSlots, observe, slotCount, slots } from '../../src/metrics/slots.ts'
import { createCounterMemory, rowOf } from '../../src/shared/counters.ts'
import { parseExposition, sampleOf } from './exposition.ts'
import { runShard } from './workers/run-shard.ts'

const extraGauges: ExporterOptions['extraGauges'] = {
  tableUsed: () => [
    { labels: { table: 'route' }, value: 12 },
    { labels: { table: 'presence' }, value: 3 },
  ],
  tableCapacity: () => [
    { labels: { table: 'route' }, value: 1024 },
    { labels: { table: 'presence' }, value: 512 },
  ],
  shards: () => 2,
  ready: () => 1,
  clockSeconds: () => 20,
  connectionLimit: () => 1000,
  historyLimitBytes: () => 2 ** 20,
  messengerStorageLimitBytes: () => 2 ** 30,
  uptimeSeconds: () => 1.5,
  buildInfo: () => [{ labels: { version: '0.1.0', node: 'v22 "quoted" \\ \n' }, value: 1 }],
}

const memoryOf = (shards: number) => createCounterMemory({ shards, slots: slotCount })

describe('the page', () => {
  test('has every metric of the catalog, with its kind and help, before anything was counted', async () => {
    const families = parseExposition(await createExporter({ memory: memoryOf(2), extraGauges }).scrape())
    for (const metric of Object.values<Metric>(catalog)) {
      expect(families.get(metric.name)).toMatchObject({ type: metric.kind, help: metric.help })
      expect(families.get(metric.name)?.series.every(({ value }) => value === 0)).toBe(true)
    }
    for (const gauge of Object.values(mainGauges)) expect(families.get(gauge.name)?.type).toBe('gauge')
  })

  test('has a series for every combination of labels, and the shard only where it is kept', async () => {
    const families = parseExposition(await createExporter({ memory: memoryOf(3), extraGauges }).scrape())
    for (const [key, metric] of Object.entries<Metric>(catalog)) {
      const series = families.get(metric.name)?.series ?? []
      if (metric.kind === 'histogram') {
        expect(series).toHaveLength(metric.bounds.length + 3)
        continue
      }
      const combinations = labelledSlots(slots[key as keyof typeof slots], metric.labels ?? []).length
      expect(series).toHaveLength(combinations * (metric.perShard ? 3 : 1))
      expect(series.every(({ labels }) => 'shard' in labels === (metric.perShard ?? false))).toBe(true)
    }
  })

  test('has the numbers of the process and of main', async () => {
    const families = parseExposition(await createExporter({ memory: memoryOf(1), extraGauges }).scrape())
    expect(sampleOf(families, 'process_resident_memory_bytes')).toBeGreaterThan(0)
    expect(sampleOf(families, 'fanwire_table_used', { table: 'route' })).toBe(12)
    expect(sampleOf(families, 'fanwire_uptime_seconds')).toBe(1.5)
    expect(families.get('fanwire_build_info')?.series[0]?.labels).toEqual({
      version: '0.1.0',
      node: 'v22 \\"quoted\\" \\\\ \\n',
    })
  })

  test('sums the rows, those of other threads with them, and keeps shards apart where asked', async () => {
    const memory = memoryOf(2)
    const mainRow = new Float64Array(slotCount)
    const rows = [rowOf(memory, 0), rowOf(memory, 1), mainRow]
    for (const [index, row] of rows.entries()) {
      row[slots.drops.latest_only]! += 10 ** index
      observe(row, slots.lastRecipientSeconds, 0.003)
    }
    rows[1]![slots.connections.tcp] = 5
    const exporter = createExporter({ memory, otherRows: [mainRow], extraGauges })
    const families = parseExposition(await exporter.scrape())
    expect(sampleOf(families, 'fanwire_drops_total', { reason: 'latest_only' })).toBe(111)
    expect(sampleOf(families, 'fanwire_connections', { transport: 'tcp', shard: '0' })).toBe(0)
    expect(sampleOf(families, 'fanwire_connections', { transport: 'tcp', shard: '1' })).toBe(5)
    const name = 'fanwire_last_recipient_seconds'
    expect(sampleOf(families, name, { le: '0.0025' }, `${name}_bucket`)).toBe(0)
    expect(sampleOf(families, name, { le: '0.005' }, `${name}_bucket`)).toBe(3)
    expect(sampleOf(families, name, {}, `${name}_count`)).toBe(3)
    expect(sampleOf(families, name, {}, `${name}_sum`)).toBeCloseTo(0.009)
  })

  test('shows any numbers of any shards as they are', async () => {
    const leaf = fc.constantFrom(...labelledSlots(slots.commands, catalog.commands.labels))
    const memory = memoryOf(4)
    const { scrape } = createExporter({ memory, extraGauges })
    const writes = fc.array(fc.tuple(fc.nat(3), leaf, fc.nat(2 ** 40)), { maxLength: 50 })
    await fc.assert(
      fc.asyncProperty(writes, async list => {
        const expected = new Map<number, number>()
        for (let shard = 0; shard < 4; shard += 1) rowOf(memory, shard).fill(0)
        for (const [shard, { slot }, value] of list) {
          rowOf(memory, shard)[slot]! += value
          expected.set(slot, (expected.get(slot) ?? 0) + value)
        }
        const families = parseExposition(await scrape())
        for (const { slot, labels } of labelledSlots(slots.commands, catalog.commands.labels)) {
          expect(sampleOf(families, 'fanwire_commands_total', labels)).toBe(expected.get(slot) ?? 0)
        }
      }),
      { numRuns: 20 },
    )
  })

  test('shows what a shard on another thread counted', async () => {
    const memory = memoryOf(1)
    const { scrape } = createExporter({ memory, extraGauges })
    await runShard({ memory, shard: 0, job: { kind: 'count', rounds: 700 } })
    const families = parseExposition(await scrape())
    expect(sampleOf(families, 'fanwire_publications_total', { source: 'client' })).toBe(700)
    expect(sampleOf(families, 'fanwire_connections', { transport: 'websocket', shard: '0' })).toBe(700)
    expect(sampleOf(families, 'fanwire_fanout_size', {}, 'fanwire_fanout_size_sum')).toBe(2_100)
    expect(sampleOf(families, 'fanwire_fanout_size', { le: '2' }, 'fanwire_fanout_size_bucket')).toBe(300)
  })
})

test('a memory made for another catalog is refused', () => {
  const memory = createCounterMemory({ shards: 1, slots: slotCount - 1 })
  expect(() => createExporter({ memory, extraGauges })).toThrow('the counter memory has')
})

test('the content type is that of the text format', () => {
  const { contentType } = createExporter({ memory: memoryOf(1), extraGauges })
  expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
})
