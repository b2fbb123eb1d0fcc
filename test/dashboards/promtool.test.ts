// What Prometheus' own tool says of the rules, their unit tests and the configuration.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { PROMETHEUS } from './expressions.ts'
import { isInstalled } from './programs.ts'

const file = (name: string) => join(PROMETHEUS, name)

describe.skipIf(!isInstalled('promtool'))('promtool (needs the Debian package prometheus)', () => {
  test.each([
    ['check', 'config', file('prometheus.yml')],
    ['check', 'rules', file('recording.rules.yml'), file('alerts.rules.yml')],
    ['test', 'rules', file('alerts.test.yml')],
  ])('%s %s finds nothing wrong', (...args) => {
    const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8' })
    expect(status, `${stdout}${stderr}`).toBe(0)
    expect(`${stdout}${stderr}`).not.toMatch(/FAILED|duplicate/)
  })
})
