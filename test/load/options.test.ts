import { describe, expect, test } from 'vitest'
import { OptionError } from '../../load/errors.ts'
import { flags } from '../../load/flags.ts'
import { helpText } from '../../load/help.ts'
import { type Options, parseOptions } from '../../load/options.ts'
import { scenarios } from '../../load/scenarios/list.ts'

function parse(line: string, env: Record<string, string> = {}): Options {
  return parseOptions(line === '' ? [] : line.split(' '), env, scenarios)
}

describe('a command line', () => {
  test('without anything is the fan-out with its defaults against the own relay', () => {
    const options = parse('')
    expect(options.scenario.name).toBe('fanout')
    expect(options.load).toEqual(options.scenario.defaults)
    expect(options.target).toEqual({ kind: 'own', shards: 0 })
    expect(options.repeat).toBe(1)
    expect(options.command).toBe('npm run load')
  })

  test('overrides the defaults of the scenario', () => {
    const { load, scenario } = parse(
      '--scenario rooms --subscribers 500 --channels 20 --rate 300 --size 1024 --duration 2m --transport tcp ' +
        '--publish client --publishers 7 --receivers 3 --sources 127.0.0.2-127.0.0.4 --seed 42',
    )
    expect(scenario.name).toBe('rooms')
    expect(load).toEqual({
      subscribers: 500,
      channels: 20,
      rate: 300,
      size: 1024,
      durationS: 120,
      transport: 'tcp',
      publish: 'client',
      publishers: 7,
      receivers: 3,
      sources: ['127.0.0.2', '127.0.0.3', '127.0.0.4'],
      seed: 42,
    })
  })

  test('may be small, and still say how small', () => {
    const { load, scenario } = parse('--smoke --rate 10')
    expect(load).toEqual({ ...scenario.defaults, ...scenario.smoke, rate: 10 })
  })

  test.each([
    ['20', 20],
    ['20s', 20],
    ['5m', 300],
    ['1h', 3600],
  ])('takes %s for a duration', (text, durationS) => {
    expect(parse(`--duration ${text}`).load.durationS).toBe(durationS)
  })

  test('names a deployed relay, whose addresses are completed', () => {
    const { target } = parse(
      '--url ws://relay:8000 --tcp [::1]:8001 --api http://relay:8000 --metrics http://relay:9000/metrics --transport mixed',
    )
    expect(target).toEqual({
      kind: 'deployed',
      websocket: 'ws://relay:8000/connection/websocket',
      tcp: { host: '::1', port: 8001 },
      api: 'http://relay:8000/api',
      metricsUrl: 'http://relay:9000/metrics',
    })
    expect(parse('--url wss://relay/live --publish client').target).toMatchObject({
      websocket: 'wss://relay/live',
    })
  })

  test('takes secrets from the environment, and never repeats those of the command line', () => {
    const line = '--url ws://relay:8000 --api http://relay:8000/api'
    const fromEnv = parse(line, { FANWIRE_LOAD_API_KEY: 'key', FANWIRE_LOAD_TOKEN: 'token' })
    expect(fromEnv.target).toMatchObject({ apiKey: 'key', token: 'token' })
    const given = parse(`${line} --api-key=secret1 --token secret2`)
    expect(given.target).toMatchObject({ apiKey: 'secret1', token: 'secret2' })
    expect(given.command).toBe(`npm run load -- ${line} --api-key=… --token …`)
    const inUrl = parse('--url ws://relay/live?token=secret --publish client')
    expect(inUrl.target).toMatchObject({ websocket: 'ws://relay/live?token=secret' })
    expect(inUrl.command).toBe("npm run load -- --url 'ws://relay/live?…' --publish client")
    const others = parse('--url=ws://relay --metrics https://me:secret@relay/metrics --publish client')
    expect(others.command).toBe(
      'npm run load -- --url=ws://relay --metrics https://…@relay/metrics --publish client',
    )
  })

  test('quotes what a shell would not leave alone', () => {
    expect(parseOptions(['--out', "it's *"], {}, scenarios).command).toBe(
      "npm run load -- --out 'it'\\''s *'",
    )
  })
})

describe('a wrong command line', () => {
  test.each([
    ['--subscriber 4', 'unknown flag --subscriber; the nearest known one is --subscribers (see --help)'],
    ['-s', 'unknown flag -s'],
    ['fanout', '"fanout" is not a command or flag'],
    ['comapre a b', 'the nearest known one is compare'],
    ['--scenario fanuot', '--scenario: "fanuot" is not allowed; it must be one of fanout, rooms'],
    ['--scenario fanuot', 'the nearest is fanout'],
    ['--rate', '--rate needs a value: --rate N'],
    ['--rate --size 200', '--rate needs a value: --rate N'],
    ['--rate=', '--rate: "" is not allowed; it must be a whole number from 1'],
    ['--rate -5', '--rate: "-5" is not allowed'],
    ['--rate 1e3', '--rate: "1e3" is not allowed'],
    ['--rate 1 --rate 2', '--rate is given twice'],
    ['--json=yes', '--json takes no value, got "yes"'],
    ['--size 12', '--size: "12" is not allowed; it must be a whole number from 39 to 500000 bytes'],
    ['--size 70000 --publish client', 'from 39 to 60000 bytes'],
    ['--duration 5d', '--duration: "5d" is not allowed; it must be a time'],
    ['--duration 0', '--duration: "0" is not allowed'],
    ['--transport udp', '--transport: "udp" is not allowed; it must be ws or tcp or mixed'],
    ['--sources 127.0.0.9-127.0.0.2', '--sources: "127.0.0.9-127.0.0.2" is not allowed'],
    ['--sources 127.0.0.2-::1', '--sources'],
    ['--scenario idle --rate 5', '--rate has no effect in the scenario idle'],
    ['--scenario idle --publishers 5', '--publishers has no effect in the scenario idle'],
    [
      '--url http://relay',
      '--url: "http://relay" is not allowed; it must be a URL that begins with ws:// or wss://',
    ],
    ['--url ws://me:secret@relay', '--url: ws://…@relay has a user or a password in it'],
    ['--url ws://relay --metrics ftp://me:secret@relay/x?y', '--metrics: "ftp://…@relay/x?…" is not allowed'],
    ['--url ws://relay', 'publishing by the server API needs --api URL'],
    ['--url ws://relay --publish client --transport tcp', '--transport tcp needs --tcp'],
    ['--tcp relay:8001 --publish client', '--transport ws needs --url'],
    ['--tcp relay', '--tcp: "relay" is not allowed; it must be HOST:PORT'],
    ['--api http://relay/api', '--api is for a deployed relay'],
    ['--url ws://relay --publish client --shards 2', '--shards is for the own relay'],
    ['--prefix chat:', '--prefix is for a deployed relay'],
    ['--against main --url ws://relay', '--against starts the relays itself: --url is for a deployed one'],
    ['--against main --find-knee', '--against and --find-knee are two questions'],
    ['--knee-p99 5', '--knee-p99 has no effect without --find-knee'],
  ])('%s says what is wrong and what is allowed', (line, text) => {
    expect(() => parse(line)).toThrow(OptionError)
    expect(() => parse(line)).toThrow(text)
  })
})

test('the help has every flag, every scenario and every exit code', () => {
  const help = helpText(scenarios)
  for (const { name } of flags) expect(help).toContain(`  --${name} `)
  for (const { name, question } of scenarios) {
    expect(help).toContain(`  ${name} `)
    expect(help).toContain(question)
  }
  for (const line of help.split('\n')) expect(line.length, line).toBeLessThanOrEqual(120)
})
