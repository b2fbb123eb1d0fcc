// What stands in the dashboards and rules, read from the very files that Grafana and Prometheus load. For the tests here.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

export const DASHBOARDS = join(import.meta.dirname, '..', '..', 'dashboards')
export const PROMETHEUS = join(DASHBOARDS, 'prometheus')

/** PromQL, and where it is used. */
export type Expression = Readonly<{ where: string; expr: string }>

export type Alert = Readonly<{
  alert: string
  expr: string
  for?: string
  labels: Record<string, string>
  annotations: Record<string, string>
}>
type Recording = Readonly<{ record: string; expr: string }>

export function readYaml(name: string): any {
  return parse(readFileSync(join(PROMETHEUS, name), 'utf8'))
}

export function readDashboard(name: string): any {
  return JSON.parse(readFileSync(join(DASHBOARDS, 'grafana', `${name}.json`), 'utf8'))
}

export const DASHBOARD_NAMES = ['overview', 'load-test'] as const

const rulesOf = (file: string): any[] => readYaml(file).groups.flatMap((group: any) => group.rules)
export const alerts: readonly Alert[] = rulesOf('alerts.rules.yml')
export const recordings: readonly Recording[] = rulesOf('recording.rules.yml')

/** Panels with queries, those of collapsed rows as well. */
export function panelsOf(dashboard: any): any[] {
  return dashboard.panels.flatMap((panel: any) => (panel.type === 'row' ? panel.panels : [panel]))
}

export function dashboardExpressions(): Expression[] {
  return DASHBOARD_NAMES.flatMap(name => {
    const dashboard = readDashboard(name)
    const panels = panelsOf(dashboard).flatMap(({ title, targets }) =>
      targets.map(({ refId, expr }: any) => ({ where: `${name}: ${title} ${refId}`, expr })),
    )
    const annotations = dashboard.annotations.list.map((one: any) => ({
      where: `${name}: annotation ${one.name}`,
      expr: one.expr,
    }))
    const variables = dashboard.templating.list
      .filter(({ type }: any) => type === 'query')
      .map(({ name: variable, definition }: any) => ({
        where: `${name}: variable ${variable}`,
        // label_values(series, label) lists what these series have.
        expr: /^label_values\((.*), \w+\)$/.exec(definition)![1]!,
      }))
    return [...panels, ...annotations, ...variables]
  })
}

export function ruleExpressions(): Expression[] {
  return [
    ...recordings.map(({ record, expr }) => ({ where: `recording ${record}`, expr })),
    ...alerts.map(({ alert, expr }) => ({ where: `alert ${alert}`, expr })),
  ]
}

const KEYWORDS = new Set(['and', 'or', 'unless', 'bool', 'offset'])

/** The names of metrics in an expression: what is neither in quotes or braces nor a function, label or keyword. */
export function metricNamesOf(expr: string): string[] {
  const bare = expr
    .replace(/"[^"]*"/g, '')
    .replace(/\{[^}]*\}/g, '')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '')
  const names = bare.matchAll(/(?<![\w:$.])([a-zA-Z_:][\w:]*)(?!\s*\()(?![\w:])/g)
  return [...new Set([...names].map(([, name]) => name!))].filter(name => !KEYWORDS.has(name))
}

/**
 * An alert has a value only while it fires. Its outermost comparison is made one that always answers, with 0 or 1: then
 * no data means that something in it does not exist. Expressions without an outermost comparison stay as they are.
 */
export function alwaysAnswering(expr: string): string {
  let depth = 0
  for (const { 0: token, index } of expr.matchAll(/"[^"]*"|[([{]|[)\]}]|[=!]=|[<>]=?/g)) {
    if ('([{'.includes(token)) depth += 1
    else if (')]}'.includes(token)) depth -= 1
    else if (depth === 0 && !token.startsWith('"')) {
      const end = index + token.length
      return `${expr.slice(0, end)} bool${expr.slice(end)}`
    }
  }
  return expr
}
