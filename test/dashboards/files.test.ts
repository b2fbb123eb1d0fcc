// The files in dashboards/ agree with the catalog of metrics, with each other and with the runbook.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadTest } from '../../dashboards/load-test.ts'
import { overview } from '../../dashboards/overview.ts'
import { dashboardJson } from '../../dashboards/panels.ts'
import { mainGauges, seriesNames } from '../../src/metrics/catalog.ts'
import { createExporter, type GaugeReader } from '../../src/metrics/exporter.ts'
import { slotCount } from '../../src/metrics/slots.ts'
import { createCounterMemory } from '../../src/shared/counters.ts'
import { parseExposition } from '../metrics/exposition.ts'
import {
  alerts,
  DASHBOARD_NAMES,
  DASHBOARDS,
  dashboardExpressions,
  metricNamesOf,
  panelsOf,
  readDashboard,
  readYaml,
  recordings,
  ruleExpressions,
} from './expressions.ts'

const DATASOURCE = { type: 'prometheus', uid: '$' + '{datasource}' }
/** Of Grafana's table of units. */
const UNITS = ['short', 'cps', 'reqps', 's', 'percentunit', 'bytes', 'Bps', 'dtdurations']
const runbook = readFileSync(join(DASHBOARDS, '..', 'docs', 'monitoring.md'), 'utf8')

/** process_* and nodejs_*, as the relay's own page has them. */
async function defaultMetrics(): Promise<string[]> {
  const memory = createCounterMemory({ shards: 1, slots: slotCount })
  const extraGauges = Object.fromEntries(Object.keys(mainGauges).map(key => [key, () => 0]))
  const { scrape } = createExporter({
    memory,
    extraGauges: extraGauges as Record<keyof typeof mainGauges, GaugeReader>,
  })
  return [...parseExposition(await scrape()).keys()].filter(name => !name.startsWith('fanwire_'))
}

describe('expressions', () => {
  test('name metrics that exist', async () => {
    const known = new Set([
      ...seriesNames,
      ...(await defaultMetrics()),
      ...recordings.map(({ record }) => record),
      'up',
    ])
    const all = [...dashboardExpressions(), ...ruleExpressions()]
    expect(all.length).toBeGreaterThan(100)
    const unknown = all.flatMap(({ where, expr }) =>
      metricNamesOf(expr)
        .filter(name => !known.has(name))
        .map(name => `${where}: ${name}`),
    )
    expect(unknown).toEqual([])
    expect(all.filter(({ expr }) => metricNamesOf(expr).length === 0)).toEqual([])
  })

  test('of dashboards need no recording rules, and keep to the chosen relays', () => {
    for (const { where, expr } of dashboardExpressions()) {
      const names = metricNamesOf(expr)
      expect(
        names.filter(name => name.includes(':')),
        where,
      ).toEqual([])
      if (where.endsWith('variable instance')) continue
      // As many selectors as metrics: none is forgotten.
      const selectors = expr.match(/\{[^}]*instance=~"\$instance"[^}]*\}/g) ?? []
      expect(selectors.length, where).toBeGreaterThanOrEqual(names.length)
      expect(expr.match(/\{/g), where).toHaveLength(selectors.length)
    }
  })

  test('use each metric of the catalog somewhere', () => {
    const used = new Set(dashboardExpressions().flatMap(({ expr }) => metricNamesOf(expr)))
    const families = [...new Set(seriesNames.map(name => name.replace(/_(?:bucket|sum|count)$/, '')))]
    const unused = families.filter(
      family => ![family, `${family}_bucket`, `${family}_sum`].some(name => used.has(name)),
    )
    expect(unused).toEqual([])
  })
})

describe.each(DASHBOARD_NAMES)('the dashboard %s', name => {
  const dashboard = readDashboard(name)
  const panels = panelsOf(dashboard)
  const rows = dashboard.panels.filter(({ type }: any) => type === 'row')

  test('is what dashboards/write.ts writes', () => {
    const built = { overview, 'load-test': loadTest }[name]
    expect(JSON.parse(JSON.stringify(dashboardJson(built)))).toEqual(dashboard)
  })

  test('can be imported without edits', () => {
    expect(dashboard).toMatchObject({ id: null, schemaVersion: 39, uid: `fanwire-${name}` })
    expect(dashboard.title).toMatch(/^fanwire \/ /)
    expect(dashboard).not.toHaveProperty('__inputs')
    expect(dashboard).not.toHaveProperty('__requires')
    expect(dashboard.templating.list[0]).toMatchObject({ type: 'datasource', query: 'prometheus' })
    const variables = dashboard.templating.list.map((variable: any) => variable.name)
    expect(variables.slice(0, 3)).toEqual(['datasource', 'instance', 'shard'])
    for (const variable of dashboard.templating.list.filter(({ type }: any) => type === 'query')) {
      expect(variable.datasource).toEqual(DATASOURCE)
    }
    // A variable that is used and not defined would be sent to Prometheus as it stands.
    const known = [...variables, '__rate_interval']
    const used = [...JSON.stringify(dashboard).matchAll(/\$\{?(\w+)\}?/g)].map(([, variable]) => variable)
    expect(used.filter(variable => !known.includes(variable) && variable !== '__all')).toEqual([])
  })

  test('has panels with ids of their own', () => {
    const ids = [...rows, ...panels].map(({ id }) => id)
    expect(ids.every(Number.isInteger)).toBe(true)
    expect(new Set(ids).size).toBe(ids.length)
    const titles = panels.map(({ title }) => title)
    expect(new Set(titles).size).toBe(titles.length)
  })

  test('has no overlapping panels', () => {
    const open = dashboard.panels
    const groups = [open, ...rows.map(({ panels: inside }: any) => inside)]
    for (const group of groups) {
      const taken = new Map<string, string>()
      for (const { title, gridPos } of group) {
        const { x, y, w, h } = gridPos
        expect(x + w, title).toBeLessThanOrEqual(24)
        for (let column = x; column < x + w; column++) {
          for (let line = y; line < y + h; line++) {
            const cell = `${column} ${line}`
            expect(taken.get(cell), `${title} lies over it`).toBeUndefined()
            taken.set(cell, title)
          }
        }
      }
    }
  })

  test('has five numbers on top', () => {
    const top = dashboard.panels.filter(({ gridPos }: any) => gridPos.y === 0)
    expect(top.map(({ type }: any) => type)).toEqual(['stat', 'stat', 'stat', 'stat', 'stat'])
    expect(top.reduce((sum: number, { gridPos }: any) => sum + gridPos.w, 0)).toBe(24)
  })

  test.each(panels.map(panel => [panel.title, panel]))('%s says what it shows, in a unit', (_, panel) => {
    expect(panel.datasource).toEqual(DATASOURCE)
    expect(panel.description).toMatch(/^[A-Z0-9].{40,}\.$/)
    const { unit } = panel.fieldConfig.defaults
    expect(UNITS).toContain(panel.type === 'heatmap' ? panel.options.yAxis.unit : unit)
    expect(panel.targets.length).toBeGreaterThan(0)
    const refIds = panel.targets.map(({ refId }: any) => refId)
    expect(new Set(refIds).size).toBe(refIds.length)
    for (const target of panel.targets) {
      expect(target.datasource).toEqual(DATASOURCE)
      if (panel.type === 'timeseries') expect(target.legendFormat).not.toBe('')
    }
  })
})

describe('alerts', () => {
  test('have names of their own', () => {
    expect(alerts.length).toBeGreaterThan(15)
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length)
  })

  test.each(alerts.map(alert => [alert.alert, alert]))('%s tells what to do', (name, alert) => {
    expect(name).toMatch(/^Fanwire[A-Z]\w+$/)
    expect(['critical', 'warning']).toContain(alert.labels.severity)
    expect(alert.annotations.summary).toMatch(/\$labels\.instance.*\.$/)
    expect(alert.annotations.description).toMatch(/^\S.{40,}\.$/)
    // The anchor that renderers of Markdown give to a heading of one word.
    expect(alert.annotations.runbook).toBe(`docs/monitoring.md#${name.toLowerCase()}`)
    const section = runbook.split(/^#{2,4} /m).find(part => part.startsWith(`${name}\n`))
    expect(section, `a section in docs/monitoring.md`).toBeDefined()
    for (const part of ['**Means:**', '**Check:**', '**Do:**']) expect(section).toContain(part)
  })

  test('are all in the runbook, which has no others', () => {
    const sections = [...runbook.matchAll(/^#{2,4} (Fanwire\w+)$/gm)].map(([, name]) => name)
    expect(sections.sort()).toEqual(alerts.map(({ alert }) => alert).sort())
  })

  test('each have a case in which they fire and one in which they do not', () => {
    const { tests } = readYaml('alerts.test.yml')
    for (const { alert } of alerts) {
      const cases = tests
        .filter(({ name }: any) => name === alert)
        .flatMap((one: any) => one.promql_expr_test)
        .filter(({ expr }: any) => expr.includes(`"${alert}"`))
      expect(
        cases.some(({ exp_samples }: any) => exp_samples.length > 0),
        alert,
      ).toBe(true)
      expect(
        cases.some(({ exp_samples }: any) => exp_samples.length === 0),
        alert,
      ).toBe(true)
    }
  })
})
