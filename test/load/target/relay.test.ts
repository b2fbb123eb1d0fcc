import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { LoadError } from '../../../load/errors.ts'
import { fanout } from '../../../load/scenarios/fanout.ts'
import { relaySections, startOwnRelay } from '../../../load/target/own.ts'
import { shardUtilizations } from '../../../load/target/prometheus.ts'
import { OWN_ROOT, startRelay } from '../../../load/target/relay.ts'
import type { RunningTarget } from '../../../load/target/target.ts'
import { cpuUsOf } from '../../../load/target/usage.ts'

// Relays start slowly where other tests have the cores.
vi.setConfig({ testTimeout: 90_000 })

const started: RunningTarget[] = []

async function start(): Promise<RunningTarget> {
  // On ports that nobody else gets while it is down.
  const target = await startOwnRelay({ ...fanout, ownRelayOnly: true }, fanout.defaults, { shards: 2 })
  started.push(target)
  return target
}

afterEach(async () => {
  await Promise.all(started.splice(0).map(target => target.stop()))
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 10))
}

describe('the own relay', () => {
  test('can be stopped and started again on the same ports', async () => {
    const { relay, endpoint, use, metrics, described } = await start()
    const before = relay!.pid
    expect(described).toMatchObject({ kind: 'own', name: 'fanwire', url: endpoint.websocket })
    expect((await relay!.terminate()).code).toBe(0)
    expect(isRunning(before)).toBe(false)
    await relay!.start()
    expect(relay!.pid).not.toBe(before)
    const info = await fetch(`${endpoint.api}/info`, {
      method: 'POST',
      headers: { 'X-API-Key': endpoint.apiKey! },
      body: '{}',
    })
    expect(info.status).toBe(200)
    expect(shardUtilizations((await metrics())!)).toHaveLength(2)
    const { cpuUs, bytes } = await use()
    expect(cpuUs).toBeGreaterThan(0)
    expect(bytes).toBeGreaterThan(1_000_000)
  })

  test('is missed when it ends by itself, but not when it is stopped', async () => {
    const stopped = await start()
    const killed = await start()
    let missed = false
    stopped.failed.catch(() => {
      missed = true
    })
    await stopped.stop()
    process.kill(killed.relay!.pid, 'SIGKILL')
    await expect(killed.failed).rejects.toThrow('the relay ended in the middle (killed by a signal)')
    expect(missed).toBe(false)
  })

  test('that is stopped while it starts again leaves nothing behind, and is not started once more', async () => {
    const { relay, stop } = await start()
    await relay!.terminate()
    const starting = relay!.start()
    await stop()
    await expect(starting).rejects.toThrow('the relay')
    await expect(relay!.start()).rejects.toThrow('the relay has been stopped')
    expect(isRunning(relay!.pid)).toBe(false)
  })

  test('that does not start says why', async () => {
    const sections = { client: { ping_intervall: '5s' } }
    const starting = startRelay({ root: OWN_ROOT, sections, apiKey: 'key' })
    await expect(starting).rejects.toThrow(LoadError)
    await expect(starting).rejects.toThrow('ping_intervall')
  })

  test('dies with the process that started it, however that ends', async () => {
    const program = `
      import { startOwnRelay } from ${JSON.stringify(new URL('../../../load/target/own.ts', import.meta.url).href)}
      import { fanout } from ${JSON.stringify(new URL('../../../load/scenarios/fanout.ts', import.meta.url).href)}
      const target = await startOwnRelay(fanout, fanout.defaults, { shards: 1 })
      console.log(target.relay.pid)
    `
    const args = ['--input-type=module', '--eval', program]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    expect(isRunning(Number(line))).toBe(true)
    child.kill('SIGKILL')
    await until(() => !isRunning(Number(line)))
  })
})

describe('its configuration', () => {
  const load = { ...fanout.defaults, rate: 1000, channels: 10 }

  test('keeps as much as is published in an outage, where the scenario recovers', () => {
    const sections = relaySections({ ...fanout, recoverable: true }, load, 0)
    expect(sections).toMatchObject({
      client: { recovery_max_publication_limit: 6000 },
      channel: { namespaces: [{ name: 'load', history_size: 6000, force_recovery: true }] },
    })
    expect(JSON.stringify(relaySections(fanout, load, 0))).not.toContain('history')
  })

  test('has what the scenario wants on top, beside what all have', () => {
    const relay = () => ({ client: { ping_interval: '5s' }, shutdown: { drain_time: '1s' } })
    expect(relaySections({ ...fanout, relay }, load, 3)).toMatchObject({
      shards: 3,
      client: { allow_anonymous_connect_without_token: true, ping_interval: '5s' },
      shutdown: { drain_time: '1s' },
    })
  })
})

test.skipIf(!existsSync('/proc/self/stat'))(
  'tells what a process used; of one that is gone it knows nothing',
  () => {
    expect(cpuUsOf(process.pid)).toBeGreaterThan(0)
    expect(cpuUsOf(2 ** 30)).toBeUndefined()
  },
)
