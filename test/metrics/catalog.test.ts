// The catalog keeps the rules of Prometheus and its own.

import { describe, expect, test } from 'vitest'
import { catalog, type MainGauge, mainGauges, seriesNames } from '../../src/metrics/catalog.ts'
import type { Metric } from '../../src/metrics/metric.ts'

const metrics = Object.entries<Metric>(catalog)
const all: [string, Metric | MainGauge][] = [...metrics, ...Object.entries(mainGauges)]

function labelNamesOf(metric: Metric | MainGauge): readonly string[] {
  if ('labelNames' in metric) return metric.labelNames ?? []
  return 'labels' in metric ? (metric.labels?.map(([name]) => name) ?? []) : []
}

describe('every metric', () => {
  test('has a name of its own', () => {
    expect(new Set(seriesNames).size).toBe(seriesNames.length)
    expect(new Set(all.map(([, metric]) => metric.name)).size).toBe(all.length)
  })

  test.each(all)('%s has a valid name that its key follows from', (key, metric) => {
    expect(metric.name).toMatch(/^fanwire_[a-z][a-z0-9]*(_[a-z0-9]+)*$/)
    const words = metric.name.replace(/^fanwire_/, '').replace(/_total$/, '')
    expect(key).toBe(words.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()))
  })

  test.each(all)('%s has a name that tells its kind and unit', (_, metric) => {
    const isCounter = 'kind' in metric && metric.kind === 'counter'
    expect(metric.name.endsWith('_total')).toBe(isCounter)
    expect(metric.name).not.toMatch(/_(bucket|sum|count)$/)
    const base = metric.name.replace(/_total$/, '')
    expect(base.endsWith('_seconds')).toBe(metric.unit === 'seconds')
    expect(base.endsWith('_bytes')).toBe(metric.unit === 'bytes')
    expect(base.endsWith('_info')).toBe(metric.unit === 'info')
  })

  test.each(all)('%s has a help of one sentence or more', (_, metric) => {
    expect(metric.help).toMatch(/^[A-Z].*\.$/)
    expect(metric.help).not.toContain('\n')
  })

  test.each(all)('%s has valid labels, none of them reserved', (_, metric) => {
    const names = labelNamesOf(metric)
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) {
      expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
      expect(['le', 'quantile', 'shard', 'job', 'instance']).not.toContain(name)
    }
  })

  test.each(metrics)('%s has label values without repeats, or ascending bounds', (_, metric) => {
    if (metric.kind === 'histogram') {
      const sorted = [...new Set(metric.bounds)].sort((a, b) => a - b)
      expect(metric.bounds).toEqual(sorted)
      expect(metric.bounds[0]).toBeGreaterThan(0)
    } else {
      for (const [, values] of metric.labels ?? []) {
        expect(values.length).toBeGreaterThan(1)
        expect(new Set(values).size).toBe(values.length)
      }
    }
  })
})
