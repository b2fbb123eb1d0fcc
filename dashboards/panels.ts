// What a Grafana dashboard is made of: panels, rows of panels and the variables above them, as Grafana 10 reads them.
// Runs at build time. Invariant: ids are unique and panels don't overlap, since both are given out here.

import type { Query } from './queries.ts'

/** A variable, so that a dashboard can be imported anywhere without an edit. */
export const DATASOURCE = { type: 'prometheus', uid: '$' + '{datasource}' } as const

type Threshold = Readonly<{ from: number; color: 'orange' | 'red' }>

export type Panel = Readonly<{
  kind: 'stat' | 'lines' | 'stacked' | 'heatmap' | 'table'
  title: string
  /** What it means, and what to do about it. */
  description: string
  /** An id of Grafana's table of units. */
  unit: string
  queries: readonly Query[]
  /** Of GRID_COLUMNS. */
  width?: number
  thresholds?: readonly Threshold[]
  /** The top of the axis: for shares, that full is always at the same height. */
  max?: number
}>

export type Row = Readonly<{ title: string; collapsed: boolean; panels: readonly Panel[] }>

export type Variable = Readonly<{ name: string; type: string } & Record<string, unknown>>

export type Dashboard = Readonly<{
  uid: string
  title: string
  description: string
  refresh: string
  from: string
  variables: readonly Variable[]
  annotations: readonly object[]
  top: readonly Panel[]
  rows: readonly Row[]
  /** The least step between points: at most the scrape interval that the dashboard is meant for. */
  intervalMin?: string
}>

const GRID_COLUMNS = 24
const STAT_ROWS = 5
const PANEL_ROWS = 8
const ROW_ROWS = 1
/** The schema of Grafana 10; newer ones migrate it when they load it. */
const SCHEMA_VERSION = 39

export function dashboardJson(dashboard: Dashboard): object {
  const { uid, title, description, refresh, from, variables, annotations, intervalMin } = dashboard
  let id = 0
  const nextId = () => {
    id += 1
    return id
  }
  const top = placed(dashboard.top, 0, nextId, intervalMin)
  const panels: object[] = [...top.panels]
  let { y } = top
  for (const row of dashboard.rows) {
    const head = { id: nextId(), type: 'row', title: row.title, collapsed: row.collapsed }
    const gridPos = { h: ROW_ROWS, w: GRID_COLUMNS, x: 0, y }
    const body = placed(row.panels, y + ROW_ROWS, nextId, intervalMin)
    // A collapsed row holds its panels; those of an open one stand behind it.
    if (row.collapsed) panels.push({ ...head, gridPos, panels: body.panels })
    else panels.push({ ...head, gridPos, panels: [] }, ...body.panels)
    y = row.collapsed ? y + ROW_ROWS : body.y
  }
  return {
    annotations: { list: annotations },
    description,
    editable: true,
    fiscalYearStartMonth: 0,
    // A crosshair over all panels: what happened at the same moment.
    graphTooltip: 1,
    id: null,
    links: [dashboardsLink],
    panels,
    refresh,
    schemaVersion: SCHEMA_VERSION,
    tags: ['fanwire'],
    templating: { list: variables },
    time: { from, to: 'now' },
    timepicker: {},
    timezone: '',
    title,
    uid,
    version: 1,
    weekStart: '',
  }
}

const dashboardsLink = {
  title: 'fanwire',
  type: 'dashboards',
  tags: ['fanwire'],
  asDropdown: false,
  includeVars: true,
  keepTime: true,
  targetBlank: false,
  icon: 'external link',
  tooltip: '',
  url: '',
}

/** From left to right, in lines as high as their highest panel. Returns the first free line, too. */
function placed(
  panels: readonly Panel[],
  fromY: number,
  nextId: () => number,
  intervalMin: string | undefined,
): { panels: object[]; y: number } {
  let x = 0
  let y = fromY
  let lineRows = 0
  const all = panels.map(panel => {
    const w = panel.width ?? GRID_COLUMNS / 3
    const h = panel.kind === 'stat' ? STAT_ROWS : PANEL_ROWS
    if (x + w > GRID_COLUMNS) {
      x = 0
      y += lineRows
      lineRows = 0
    }
    const gridPos = { h, w, x, y }
    x += w
    lineRows = Math.max(lineRows, h)
    return { id: nextId(), gridPos, ...panelJson(panel), ...(intervalMin ? { interval: intervalMin } : {}) }
  })
  return { panels: all, y: y + lineRows }
}

function panelJson(panel: Panel): object {
  const { kind, title, description, unit } = panel
  const thresholds = thresholdsOf(panel)
  const base = { title, description, datasource: DATASOURCE, targets: targetsOf(panel) }
  switch (kind) {
    case 'stat':
      return {
        ...base,
        type: 'stat',
        fieldConfig: { defaults: { unit, thresholds, color: { mode: 'thresholds' }, min: 0 }, overrides: [] },
        options: statOptions,
      }
    case 'table':
      return {
        ...base,
        type: 'table',
        fieldConfig: { defaults: { unit, thresholds }, overrides: [] },
        options: { showHeader: true, cellHeight: 'sm' },
        transformations: [
          { id: 'organize', options: { excludeByName: { Time: true, Value: true, __name__: true } } },
        ],
      }
    case 'heatmap':
      return {
        ...base,
        type: 'heatmap',
        fieldConfig: { defaults: { custom: { scaleDistribution: { type: 'linear' } } }, overrides: [] },
        options: { ...heatmapOptions, yAxis: { axisPlacement: 'left', reverse: false, unit } },
      }
    case 'lines':
    case 'stacked':
      return {
        ...base,
        type: 'timeseries',
        fieldConfig: {
          defaults: {
            unit,
            thresholds,
            color: { mode: 'palette-classic' },
            min: 0,
            ...(panel.max === undefined ? {} : { max: panel.max }),
            custom: lineStyle(kind === 'stacked', panel.thresholds !== undefined),
          },
          overrides: [],
        },
        options: linesOptions,
      }
  }
}

function targetsOf({ kind, queries }: Panel): object[] {
  return queries.map(([expr, legend], index) => ({
    datasource: DATASOURCE,
    editorMode: 'code',
    expr,
    format: kind === 'heatmap' ? 'heatmap' : kind === 'table' ? 'table' : 'time_series',
    instant: kind === 'table',
    legendFormat: kind === 'heatmap' ? '{{le}}' : legend,
    range: kind !== 'table',
    refId: String.fromCharCode('A'.charCodeAt(0) + index),
  }))
}

function thresholdsOf({ thresholds = [] }: Panel): object {
  const steps = thresholds.map(({ from, color }) => ({ color, value: from }))
  // Names of Grafana's own colors: it has a shade of each for light and for dark.
  return { mode: 'absolute', steps: [{ color: 'green', value: null }, ...steps] }
}

const statOptions = {
  colorMode: 'value',
  graphMode: 'area',
  justifyMode: 'auto',
  orientation: 'auto',
  reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
  textMode: 'auto',
}

const heatmapOptions = {
  calculate: false,
  cellGap: 1,
  color: {
    exponent: 0.5,
    fill: 'dark-orange',
    mode: 'scheme',
    reverse: false,
    scale: 'exponential',
    scheme: 'Oranges',
    steps: 64,
  },
  exemplars: { color: 'rgba(255,0,255,0.7)' },
  filterValues: { le: 1e-9 },
  legend: { show: true },
  rowsFrame: { layout: 'auto' },
  // 'show' is how Grafana before 10.3 says it, 'mode' how later ones do.
  tooltip: { show: true, mode: 'single', showColorScale: false, yHistogram: false },
}

const linesOptions = {
  // The largest on top: where a label has many values, most of them are zero.
  legend: {
    calcs: ['lastNotNull', 'max'],
    displayMode: 'table',
    placement: 'bottom',
    showLegend: true,
    sortBy: 'Max',
    sortDesc: true,
  },
  tooltip: { mode: 'multi', sort: 'desc' },
}

function lineStyle(isStacked: boolean, hasThresholds: boolean): object {
  return {
    drawStyle: 'line',
    lineInterpolation: 'linear',
    lineWidth: 1,
    fillOpacity: isStacked ? 30 : 8,
    gradientMode: 'none',
    showPoints: 'never',
    spanNulls: false,
    stacking: { group: 'A', mode: isStacked ? 'normal' : 'none' },
    thresholdsStyle: { mode: hasThresholds ? 'dashed' : 'off' },
    axisPlacement: 'auto',
    scaleDistribution: { type: 'linear' },
  }
}
