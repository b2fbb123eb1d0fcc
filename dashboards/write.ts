// Writes the dashboards as JSON to grafana/, which Grafana imports: node dashboards/write.ts
// Runs at build time. Invariant: what stands in grafana/ comes from here; a test says so when it does not.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { loadTest } from './load-test.ts'
import { overview } from './overview.ts'
import { dashboardJson } from './panels.ts'

for (const [name, dashboard] of [
  ['overview', overview],
  ['load-test', loadTest],
] as const) {
  const path = fileURLToPath(new URL(`grafana/${name}.json`, import.meta.url))
  writeFileSync(path, JSON.stringify(dashboardJson(dashboard), null, 2))
  // In the format that the linter of the project asks for.
  execFileSync('biome', ['format', '--write', path], { stdio: 'inherit' })
}
