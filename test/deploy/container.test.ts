// Dockerfile and compose.yaml against the project: what they copy and mount is there, what they set are options, and
// what they promise (ports, times, versions) is what the relay does. No container engine is needed.

import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import packageJson from '../../package.json' with { type: 'json' }
import { type LoadedConfig, loadConfig } from '../../src/config/load.ts'
import { findWarnings } from '../../src/config/warnings.ts'

const ROOT = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

type Instruction = Readonly<{ name: string; words: string }>

/** Lines of the Dockerfile without comments, continued ones joined. */
const instructions: readonly Instruction[] = read('Dockerfile')
  .replace(/^#.*\n/gm, '')
  .replace(/\\\n\s*/g, ' ')
  .split('\n')
  .filter(line => line !== '')
  .map(line => ({ name: line.split(' ', 1)[0]!, words: line.slice(line.indexOf(' ') + 1) }))

const all = (name: string) => instructions.filter(one => one.name === name).map(({ words }) => words)
const last = (name: string) => all(name).at(-1)!

const compose = parse(read('compose.yaml'))
const services: Record<string, any> = compose.services

/** The environment of the image. */
function imageEnvironment(): Record<string, string> {
  const pairs = all('ENV').flatMap(words => words.split(/\s+/))
  return Object.fromEntries(pairs.map(pair => pair.split('=', 2) as [string, string]))
}

/** What the relay gets from compose.yaml; `values` stand for the variables of the operator. */
function composeEnvironment(values: Record<string, string>): Record<string, string> {
  const given: Record<string, string> = services.relay.environment
  return Object.fromEntries(
    Object.entries(given).map(([name, text]) => [
      name,
      text.replace(/\$\{(\w+)[^}]*\}/g, (_, key) => values[key] ?? ''),
    ]),
  )
}

function loadAsComposed(values: Record<string, string>): LoadedConfig {
  const env = { ...imageEnvironment(), ...composeEnvironment(values) }
  const mounted = mountsOf('relay').find(({ to }) => to === env.FANWIRE_CONFIG)!
  return loadConfig({ argv: [], env, readFile: path => read(path === mounted.to ? mounted.from : path) })
}

const SECRETS = { FANWIRE_CLIENT_TOKEN_HMAC_SECRET_KEY: 'one', FANWIRE_HTTP_API_KEY: 'other' }

function mountsOf(service: string): { from: string; to: string; mode: string | undefined }[] {
  const volumes: string[] = services[service].volumes ?? []
  return volumes
    .map(volume => volume.split(':'))
    .map(([from, to, mode]) => ({ from: from!, to: to!, mode }))
    .filter(({ from }) => from.startsWith('.'))
}

function secondsOf(text: string): number {
  return Number(/^(\d+)s$/.exec(text)![1])
}

describe('Dockerfile', () => {
  test('has the Node of package.json in each stage', () => {
    const images = all('FROM').map(words => words.split(' ')[0])
    expect(images).toHaveLength(2)
    for (const image of images) expect(image).toBe(`node:${packageJson.dependencies.node}-bookworm-slim`)
  })

  test('copies what is there and what .dockerignore lets through', () => {
    const sources = all('COPY')
      .filter(words => !words.startsWith('--from'))
      .flatMap(words => words.split(' ').slice(0, -1))
    const allowed = read('.dockerignore')
      .split('\n')
      .filter(line => line.startsWith('!'))
      .map(line => line.slice(1))
    expect(sources.filter(source => !existsSync(join(ROOT, source)))).toEqual([])
    expect([...new Set(sources)].sort()).toEqual(allowed.sort())
  })

  test('starts and asks for health by commands that exist, in the form that passes signals on', async () => {
    const [entry, file] = JSON.parse(last('ENTRYPOINT'))
    expect(entry).toBe('node')
    expect(existsSync(join(ROOT, file))).toBe(true)
    expect(JSON.parse(last('CMD'))).toEqual(['serve'])
    const [node, start, command] = JSON.parse(last('HEALTHCHECK').replace(/^.*?CMD /, ''))
    expect([node, start, command]).toEqual([entry, file, 'health'])
    const { chooseCommand } = await import('../../src/cli/command.ts')
    for (const name of ['serve', command]) expect((await chooseCommand([name])).rest).toEqual([])
    expect(last('STOPSIGNAL')).toBe('SIGTERM')
  })

  test('is not run by root, and names its user by number', () => {
    expect(last('USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/)
  })

  test('exposes the ports that the relay listens on', () => {
    const { config } = loadAsComposed(SECRETS)
    const { port, internal_port } = config.http_server
    expect(last('EXPOSE').split(' ').map(Number)).toEqual([port, config.tcp.port, internal_port])
  })

  test('without a configuration the relay refuses to be open to the network', () => {
    expect(() => loadConfig({ argv: [], env: imageEnvironment() })).toThrow(
      /http_server\.address: "0\.0\.0\.0" is not allowed/,
    )
  })
})

describe('compose.yaml', () => {
  test('gives the relay a configuration that it accepts, closed to those without a token or key', () => {
    const { config, profile } = loadAsComposed(SECRETS)
    expect(profile).toBe('configured')
    expect(config.client.token.hmac_secret_key).toBe('one')
    expect(config.http_api).toMatchObject({ key: 'other', insecure: false })
    expect(config.client).toMatchObject({ insecure: false, allow_anonymous_connect_without_token: false })
    expect(config.http_server.address).toBe('0.0.0.0')
  })

  test('with no key of tokens it is closed, and not open', () => {
    const { config, profile } = loadAsComposed({ FANWIRE_HTTP_API_KEY: 'other' })
    expect(profile).toBe('configured')
    expect(config.client).toMatchObject({ insecure: false, allow_anonymous_connect_without_token: false })
    expect(findWarnings(config, profile).join()).toMatch(/no client can connect/)
  })

  test('passes on the origins of the operator', () => {
    const { config } = loadAsComposed({
      ...SECRETS,
      FANWIRE_CLIENT_ALLOWED_ORIGINS: 'https://a.example https://b.example',
    })
    expect(config.client.allowed_origins).toEqual(['https://a.example', 'https://b.example'])
  })

  test('with the messenger clients need no token of a back end, and its data outlasts the container', () => {
    const { config } = loadAsComposed({
      FANWIRE_HTTP_API_KEY: 'other',
      FANWIRE_MESSENGER_ENABLED: 'true',
      FANWIRE_HTTP_SERVER_TRUSTED_PROXIES: '172.18.0.1',
    })
    expect(config.messenger.enabled).toBe(true)
    expect(config.http_server.trusted_proxies).toEqual(['172.18.0.1'])
    const kept = services.relay.volumes.map((volume: string) => volume.split(':')[1])
    for (const path of [config.messenger.path, config.shutdown.history_path]) {
      expect(kept).toContain(dirname(path))
    }
    expect(loadAsComposed(SECRETS).config.messenger.enabled).toBe(false)
  })

  test('has no secret of its own, and stops where one is missing', () => {
    const example = read('deploy/env.example')
    const needed = read('compose.yaml').match(/\$\{\w*(?:SECRET|KEY|PASSWORD)\w*[^}]*\}/g) ?? []
    expect(needed).toHaveLength(3)
    for (const text of needed) {
      // The key of tokens is empty with the messenger, so only its line has to be there: nobody can connect without it.
      expect(text).toMatch(text.includes('TOKEN') ? /^\$\{\w+\?/ : /^\$\{\w+:\?/)
      expect(example).toMatch(new RegExp(`^${/\w+/.exec(text)![0]}=$`, 'm'))
    }
  })

  test('mounts what is there, and only to be read', () => {
    const mounts = Object.keys(services).flatMap(mountsOf)
    expect(mounts.length).toBeGreaterThan(3)
    expect(mounts.filter(({ from }) => !existsSync(join(ROOT, from)))).toEqual([])
    expect(mounts.filter(({ mode }) => mode !== 'ro')).toEqual([])
  })

  test('starts Prometheus with a configuration that is mounted, and that scrapes the relay', () => {
    const [mount] = mountsOf('prometheus')
    const flag: string = services.prometheus.command.find((word: string) => word.startsWith('--config.file='))
    const file = flag.replace('--config.file=', '').replace(mount!.to, mount!.from)
    const prometheus = parse(read(file))
    expect(JSON.stringify(prometheus.scrape_configs)).toContain(
      `relay:${loadAsComposed(SECRETS).config.http_server.internal_port}`,
    )
    for (const rules of prometheus.rule_files) expect(existsSync(join(ROOT, mount!.from, rules))).toBe(true)
  })

  test('shows Grafana where its dashboards and its data source are', () => {
    const mounts = mountsOf('grafana')
    const { providers } = parse(read('deploy/grafana/provisioning/dashboards/fanwire.yaml'))
    const dashboards = mounts.find(({ to }) => to === providers[0].options.path)!
    expect(existsSync(join(ROOT, dashboards.from, 'overview.json'))).toBe(true)
    const { datasources } = parse(read('deploy/grafana/provisioning/datasources/prometheus.yaml'))
    expect(datasources[0]).toMatchObject({ type: 'prometheus', url: 'http://prometheus:9090' })
    expect(Object.keys(services)).toContain('prometheus')
    const provisioning = mounts.find(({ to }) => to === '/etc/grafana/provisioning')!
    expect(statSync(join(ROOT, provisioning.from)).isDirectory()).toBe(true)
  })

  test('publishes on loopback only, and never the internal port', () => {
    const { config } = loadAsComposed(SECRETS)
    const published: string[] = Object.values(services).flatMap(service => service.ports ?? [])
    expect(published).toContain(`127.0.0.1:${config.http_server.port}:${config.http_server.port}`)
    for (const port of published) expect(port).toMatch(/^127\.0\.0\.1:/)
    expect(published.filter(port => port.endsWith(`:${config.http_server.internal_port}`))).toEqual([])
    expect(config.tcp.enabled || published.every(port => !port.endsWith(`:${config.tcp.port}`))).toBe(true)
  })

  test('leaves the relay time to stop in order', () => {
    const { config } = loadAsComposed(SECRETS)
    expect(secondsOf(services.relay.stop_grace_period) * 1_000).toBeGreaterThan(
      config.shutdown.termination_timeout,
    )
  })

  test('names images by tag, and its own by the version of the package', () => {
    for (const { image } of Object.values(services)) expect(image).toMatch(/:v?\d+\.\d+\.\d+$/)
    expect(services.relay.image).toBe(`fanwire:${packageJson.version}`)
  })

  test('takes from each service what it does not need', () => {
    for (const service of Object.values(services)) {
      expect(service).toMatchObject({ cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] })
    }
    expect(services.relay.read_only).toBe(true)
  })
})
