// The unit for systemd against the project, and by systemd's own checks where they are installed.

import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { missing } from './proxy.ts'

const ROOT = join(import.meta.dirname, '../..')
const UNIT = join(ROOT, 'deploy/fanwire.service')
const text = readFileSync(UNIT, 'utf8')

/** All values of a key, in order. */
function valuesOf(key: string): string[] {
  return [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value!)
}

const only = (key: string) => {
  expect(valuesOf(key)).toHaveLength(1)
  return valuesOf(key)[0]!
}

const folder = only('WorkingDirectory')

/** Variables of the unit, and of the file of secrets as it is filled in. */
function environment(): Record<string, string> {
  const secrets = readFileSync(join(ROOT, 'deploy/env.example'), 'utf8')
    .split('\n')
    .filter(line => /^\w+=$/.test(line))
    .map(line => `${line}${/SECRET|KEY|PASSWORD/.test(line) ? 'secret' : ''}`)
  return Object.fromEntries(
    [...valuesOf('Environment'), ...secrets].map(pair => pair.split('=', 2) as [string, string]),
  )
}

function shippedConfiguration(path: string): string {
  expect(path).toBe('/etc/fanwire/fanwire.yaml')
  return readFileSync(join(ROOT, 'deploy/fanwire.yaml'), 'utf8')
}

test('starts the program of this project by the Node that it brings', () => {
  const [node, program, command] = only('ExecStart').split(' ')
  expect(node!.startsWith(`${folder}/`)).toBe(true)
  expect(existsSync(join(ROOT, node!.slice(folder.length)))).toBe(true)
  expect(existsSync(join(ROOT, program!))).toBe(true)
  expect(command).toBe('serve')
})

test('with the shipped configuration and secrets the relay starts: its variables are options', () => {
  const env = environment()
  const { config, profile } = loadConfig({ argv: [], env, readFile: shippedConfiguration })
  expect(profile).toBe('configured')
  // Behind a proxy on the same machine.
  expect(config.http_server).toMatchObject({ address: '127.0.0.1', internal_address: '127.0.0.1' })
  expect(config.client.token.hmac_secret_key).toBe('secret')
  expect(config.messenger.enabled).toBe(false)
  const timeoutMs = Number(/^(\d+)s$/.exec(only('TimeoutStopSec'))![1]) * 1_000
  expect(timeoutMs).toBeGreaterThan(config.shutdown.termination_timeout)
})

test('with the messenger it keeps its data in the directory that the unit gives it', () => {
  const env: Record<string, string> = {
    ...environment(),
    FANWIRE_CLIENT_TOKEN_HMAC_SECRET_KEY: '',
    FANWIRE_MESSENGER_ENABLED: 'true',
  }
  const { config } = loadConfig({ argv: [], env, readFile: shippedConfiguration })
  expect(config.messenger.enabled).toBe(true)
  expect(dirname(config.messenger.path)).toBe(`/var/lib/${only('StateDirectory')}`)
  expect(dirname(config.shutdown.history_path)).toBe(`/var/lib/${only('StateDirectory')}`)
})

test('a wrong configuration is not tried again and again', () => {
  expect(only('Restart')).toBe('always')
  expect(only('RestartPreventExitStatus')).toBe('2')
  expect(only('StartLimitBurst')).toMatch(/^\d+$/)
})

const why = missing('systemd-analyze')
describe.skipIf(why !== undefined)(`systemd-analyze${why === undefined ? '' : ` (left out: ${why})`}`, () => {
  /** The unit with its folder in a place where the program is. */
  function installed(): string {
    const place = mkdtempSync(join(tmpdir(), 'fanwire-unit-'))
    onTestFinished(() => rmSync(place, { recursive: true }))
    const node = join(place, only('ExecStart').split(' ')[0]!.slice(folder.length))
    mkdirSync(dirname(node), { recursive: true })
    writeFileSync(node, '')
    chmodSync(node, 0o755)
    const unit = join(place, 'fanwire.service')
    writeFileSync(unit, text.replaceAll(folder, place))
    return unit
  }

  test('verify finds nothing wrong', () => {
    const unit = installed()
    // What it has to say about keys it does not know goes to stderr, with exit code 0.
    const said = execFileSync('sh', ['-c', `systemd-analyze verify --man=no "$1" 2>&1`, 'sh', unit], {
      encoding: 'utf8',
    })
    expect(said).toBe('')
  })

  test('security: what the process may do is little', () => {
    // In tenths: 10 is a unit without any hardening at 9.6. Above the threshold it ends with an error.
    const run = () =>
      execFileSync('systemd-analyze', ['security', '--offline=true', '--threshold=15', UNIT], {
        stdio: 'pipe',
      })
    expect(run).not.toThrow()
  })
})
