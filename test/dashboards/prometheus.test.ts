// A real Prometheus scrapes a real relay under traffic of every kind, and one with a messenger; it is asked for every
// expression of the dashboards and rules, as Grafana would put it: each has to give data.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RawClient } from '../support/raw-client.ts'
import { OPEN_CHANNELS, startTestRelay, type TestRelay } from '../support/relay.ts'
import { until } from '../support/serving.ts'
import { TcpClient } from '../support/tcp-client.ts'
import { alerts, alwaysAnswering, dashboardExpressions, recordings, ruleExpressions } from './expressions.ts'
import { isInstalled, startPrometheus, type TestPrometheus } from './programs.ts'

/** How long an answer may take: Prometheus needs two scrapes for a rate, on whatever machine this is. */
const PATIENTLY = { timeout: 30_000, interval: 100 }
/** Two programs start, a shard is replaced, and 19 MB go to a slow reader. */
const START_TIMEOUT_MS = 60_000
/** Of steady traffic; a pause between publications, that it does not take the processor from the others. */
const PAUSE_MS = 10
/** Each; so many of them are more than the kernel buffers for a reader that has stopped. */
const BIG = 'x'.repeat(48_000)
const BIG_COUNT = 400

let relay: TestRelay
let messenger: TestRelay
const data = mkdtempSync(join(tmpdir(), 'fanwire-messenger-'))
let prometheus: TestPrometheus
let traffic: Promise<unknown> = Promise.resolve()
let ending = false

function targetOf({ ports }: TestRelay): string {
  return `127.0.0.1:${ports.internal}`
}

/** What Grafana puts in the place of variables. */
function substituted(expr: string): string {
  const values: Record<string, string> = {
    __rate_interval: '5s',
    window: '5s',
    instance: `(${targetOf(relay)}|${targetOf(messenger)})`,
    shard: '(0|1)',
  }
  return expr.replace(/\$(\w+)/g, (_, name: string) => values[name] ?? `unknown variable ${name}`)
}

/** Publications by clients and by the API, to subscribers on both transports, until the end. */
async function steadyTraffic(): Promise<void> {
  const [websocket, tcp] = await Promise.all([
    RawClient.connect(relay, 'websocket'),
    RawClient.connect(relay, 'tcp'),
  ])
  for (const client of [websocket, tcp]) {
    client.answersPings = true
    await client.subscribe(2, 'kept:live')
  }
  const published = (async () => {
    for (let id = 10; !ending; id++) {
      await relay.api('publish', { channel: 'kept:live', data: id })
      await tcp.call({ id, publish: { channel: 'kept:live', data: id } })
      // Whoever asks for a channel of no namespace gets error 102.
      await websocket.call({ id, publish: { channel: 'nowhere:x', data: id } })
      await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
    }
    websocket.close()
    tcp.close()
  })()
  traffic = Promise.all([traffic, published])
}

/** Somebody who writes to everyone until the end. */
async function messages(): Promise<void> {
  const client = await TcpClient.open(messenger.ports.tcp)
  const call = async (id: number, method: string, data: object) => {
    const { rpc } = await client.call({ id, rpc: { method, data } })
    if (rpc === undefined) throw new Error(`${method}: ${JSON.stringify(client.lines.at(-1))}`)
  }
  await call(1, 'auth.signup', { nickname: 'ann', password: 'a password of the tests 7' })
  await client.call({ id: 2, connect: {} })
  const sent = (async () => {
    for (let id = 10; !ending; id++) {
      await call(id, 'message.send', { everyone: true, client_id: String(id), text: 'hello' })
      await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
    }
    client.close()
  })()
  traffic = Promise.all([traffic, sent])
}

/** A reader that stops: what has no history is dropped, and the history is too short to catch up. */
async function slowReader(): Promise<void> {
  const slow = await RawClient.connect(relay, 'tcp')
  await slow.subscribe(2, 'oldest:slow')
  await slow.subscribe(3, 'kept:slow')
  slow.pause()
  for (let n = 0; n < BIG_COUNT; n++) {
    await relay.api('publish', { channel: 'oldest:slow', data: BIG })
    if (n > BIG_COUNT - 50) await relay.api('publish', { channel: 'kept:slow', data: n })
  }
  slow.resume()
  await slow.next(({ push }) => push?.unsubscribe?.code === 2500)
  slow.close()
}

/** What clients and back ends do wrong. */
async function mistakes(): Promise<void> {
  const wrong = await RawClient.open(relay, 'tcp')
  wrong.text('no JSON')
  await wrong.ended
  await relay.api('publish', { channel: 'nowhere:x', data: 1 })
  await relay.api('publish', { channel: 'kept:x', data: 1 }, { 'X-API-Key': 'wrong' })
}

describe.skipIf(!isInstalled('prometheus'))('a real Prometheus (needs the Debian package prometheus)', () => {
  beforeAll(async () => {
    relay = await startTestRelay({
      channel: {
        without_namespace: OPEN_CHANNELS,
        namespaces: [
          { name: 'kept', ...OPEN_CHANNELS, force_recovery: true, history_size: 10, history_ttl: '1m' },
          { name: 'oldest', ...OPEN_CHANNELS, slow_client: 'drop_oldest' },
        ],
      },
    })
    messenger = await startTestRelay({ messenger: { enabled: true, path: data, message_rate: 1_000 } })
    prometheus = await startPrometheus(targetOf(relay), targetOf(messenger))
    // An increase is seen only from a number that was seen before.
    const calm = `fanwire_quarantines_total{instance="${targetOf(relay)}"} == 0`
    await until(async () => (await prometheus.query(calm)).length === 1)
    await relay.quarantine(1)
    await Promise.all([steadyTraffic(), slowReader(), mistakes(), messages()])
  }, START_TIMEOUT_MS)

  afterAll(async () => {
    ending = true
    await traffic
    await prometheus?.stop()
    await relay?.stop()
    await messenger?.stop()
    rmSync(data, { recursive: true })
  })

  test.each([
    'fanwire_quarantines_total == 1',
    'fanwire_drops_total{reason="drop_oldest"} > 0',
    'fanwire_catch_ups_total{outcome="insufficient"} > 0',
    'fanwire_unsubscribes_total{code="2500"} > 0',
    'fanwire_errors_total{code="102"} > 0',
    'fanwire_disconnects_total{code="3501"} > 0',
    'fanwire_api_requests_total{method="publish", outcome="error"} > 0',
    'fanwire_api_requests_total{method="publish", outcome="unauthorized"} > 0',
    'fanwire_publications_total{source="client"} > 0',
    'fanwire_publications_total{source="api"} > 0',
    'fanwire_publications_total{source="messenger"} > 0',
    'fanwire_messenger_messages_total > 0',
    'fanwire_deliveries_total{transport="websocket"} > 0',
    'sum(fanwire_deliveries_total{transport="tcp"}) > 0',
  ])('has seen that there was traffic: %s', async expr => {
    await expect.poll(async () => (await prometheus.query(expr)).length, PATIENTLY).toBe(1)
  })

  test.each([...dashboardExpressions(), ...ruleExpressions()].map(({ where, expr }) => [where, expr]))(
    '%s gives data',
    async (_, expr) => {
      const asked = substituted(alwaysAnswering(expr!))
      const numbers = async () => {
        const samples = await prometheus.query(asked)
        return samples.filter(({ value }) => Number.isFinite(value)).length
      }
      await expect.poll(numbers, PATIENTLY).toBeGreaterThan(0)
    },
  )

  test('evaluates all rules without errors', async () => {
    const names = [...alerts.map(({ alert }) => alert), ...recordings.map(({ record }) => record)].sort()
    const healthy = async () => {
      const rules = await prometheus.rules()
      return rules.filter(({ health }) => health === 'ok').map(({ name }) => name)
    }
    await expect.poll(async () => (await healthy()).sort(), PATIENTLY).toEqual(names)
  })

  test('fires the alert of what happened here, and no alert of a relay that is down', async () => {
    const firing = async (alert: string) =>
      (await prometheus.query(`ALERTS{alertname="${alert}", alertstate="firing"}`)).length
    await expect.poll(() => firing('FanwireShardQuarantined'), PATIENTLY).toBe(1)
    expect(await firing('FanwireRelayDown')).toBe(0)
    expect(await firing('FanwireNotReady')).toBe(0)
  })
})
