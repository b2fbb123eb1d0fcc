// What stands above the panels: which data source, relays and shards are shown, and the moments that are marked.
// Runs at build time. Invariant: everything but the data source is asked of Prometheus, so that nothing is to be edited.

import { DATASOURCE, type Variable } from './panels.ts'
import { HERE } from './queries.ts'

const datasource = {
  name: 'datasource',
  label: 'Data source',
  type: 'datasource',
  query: 'prometheus',
  regex: '',
  refresh: 1,
  hide: 0,
  includeAll: false,
  multi: false,
  options: [],
  skipUrlSync: false,
}

/** All values of a label that the metric has; all are chosen at first. */
function labelVariable(name: string, label: string, metric: string): Variable {
  const query = `label_values(${metric}, ${name})`
  return {
    name,
    label,
    type: 'query',
    datasource: DATASOURCE,
    definition: query,
    query: { qryType: 1, query, refId: 'PrometheusVariableQueryEditor-VariableQuery' },
    regex: '',
    // When the time range changes: relays come and go.
    refresh: 2,
    sort: 3,
    hide: 0,
    includeAll: true,
    multi: true,
    options: [],
    current: { selected: true, text: ['All'], value: ['$__all'] },
    skipUrlSync: false,
  }
}

export const variables: readonly Variable[] = [
  datasource,
  labelVariable('instance', 'Relay', 'fanwire_uptime_seconds'),
  labelVariable('shard', 'Shard', `fanwire_event_loop_utilization{${HERE}}`),
]

/** A choice of time windows for rates. The first is the one that a dashboard starts with. */
export function windowVariable(windows: readonly string[]): Variable {
  const options = windows.map((window, index) => ({ selected: index === 0, text: window, value: window }))
  return {
    name: 'window',
    label: 'Rates over',
    description: 'At least four scrapes long.',
    type: 'custom',
    query: windows.join(','),
    hide: 0,
    includeAll: false,
    multi: false,
    options,
    current: options[0]!,
    skipUrlSync: false,
  }
}

/** Moments that explain what the lines do; `expr` gives a value while there is something to mark. */
function annotation(name: string, expr: string, titleFormat: string, iconColor: string): object {
  return {
    name,
    datasource: DATASOURCE,
    enable: true,
    hide: false,
    iconColor,
    expr,
    step: '15s',
    titleFormat,
  }
}

export const annotations: readonly object[] = [
  annotation(
    'Start',
    `fanwire_uptime_seconds{${HERE}} < 30`,
    'The relay {{instance}} has just started',
    'blue',
  ),
  annotation(
    'Quarantine',
    `increase(fanwire_quarantines_total{${HERE}}[1m]) > 0`,
    'A shard of {{instance}} was replaced',
    'red',
  ),
]
