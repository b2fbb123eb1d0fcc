// Programs that a test needs and that npm can't bring; and a Prometheus of this test alone.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { stringify } from 'yaml'
import { until } from '../support/serving.ts'
import { PROMETHEUS, readYaml } from './expressions.ts'

export function isInstalled(program: string): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined
}

export type Sample = Readonly<{ metric: Record<string, string>; value: number }>

export type TestPrometheus = Readonly<{
  /** Asks for the value of an expression now; throws if Prometheus does not understand it. */
  query(expr: string): Promise<readonly Sample[]>
  /** Names and health of all rules. */
  rules(): Promise<readonly { name: string; health: string; lastError?: string }[]>
  stop(): Promise<void>
}>

/**
 * The configuration and rules as they are in dashboards/, but for the addresses of relays and for the intervals, which
 * are short here so that a test need not wait.
 */
export async function startPrometheus(...targets: string[]): Promise<TestPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-prometheus-'))
  const config = readYaml('prometheus.yml')
  config.global = { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '1s' }
  config.rule_files = config.rule_files.map((name: string) => join(PROMETHEUS, name))
  config.scrape_configs[0].static_configs[0].targets = targets
  writeFileSync(join(folder, 'prometheus.yml'), stringify(config))
  const child = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      '--web.listen-address=127.0.0.1:0',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const exited = once(child, 'exit')
  const kill = () => child.kill('SIGKILL')
  // Where a test ends without asking for the stop.
  process.once('exit', kill)
  const stop = async () => {
    process.off('exit', kill)
    kill()
    await exited
    rmSync(folder, { recursive: true })
  }
  const address = await listeningAddress(child.stderr).catch(async error => {
    await stop()
    throw error
  })
  // It listens before it has opened its database, and answers 503 meanwhile.
  await until(async () => (await fetch(`http://${address}/-/ready`)).ok)
  const ask = async (path: string) => {
    const response = await fetch(`http://${address}/api/v1/${path}`)
    const answer: any = await response.json()
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error}`)
    return answer.data
  }
  return {
    stop,
    async query(expr) {
      const { result } = await ask(`query?query=${encodeURIComponent(expr)}`)
      return result.map(({ metric, value }: any) => ({ metric, value: Number(value[1]) }))
    },
    async rules() {
      return (await ask('rules')).groups.flatMap(({ rules }: any) => rules)
    },
  }
}

/** Prometheus logs the port that it was given. */
function listeningAddress(log: NodeJS.ReadableStream): Promise<string> {
  const lines: string[] = []
  return new Promise((resolve, reject) => {
    const reader = createInterface({ input: log })
    reader.on('line', line => {
      lines.push(line)
      const address = /msg="Listening on" address=(\S+)/.exec(line)?.[1]
      if (address !== undefined) resolve(address)
    })
    reader.on('close', () => reject(new Error(`prometheus ended: ${lines.slice(-3).join('\n')}`)))
  })
}
