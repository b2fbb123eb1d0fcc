// The whole harness against relays with faults: what was dropped, swapped, repeated or held up is reported exactly. And
// a generator that is held up itself is caught. The machine may be slow: then latencies may be invalid, never the ledger.

import type { ChildProcess } from 'node:child_process'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { RunResult } from '../../load/model.ts'
import { type Fault, type FaultyRelay, startFaultyRelay } from '../support/faulty.ts'
import { type LoadOutcome, runLoadProgram } from '../support/load.ts'
import { killRelays, startTestRelay, type TestRelay } from '../support/relay.ts'

const RUN_TIMEOUT_MS = 120_000
const SUBSCRIBERS = 100
const RATE = 400
const CHANNELS = 2
/** Of the measured phase; as long a warm-up goes before it. */
const DURATION_S = 1
/** So that one stall a second lies wholly within it, whenever the first one comes. */
const STALLED_DURATION_S = 2
const DELIVERIES_PER_SECOND = (SUBSCRIBERS / CHANNELS) * RATE

let relay: TestRelay

beforeAll(async () => {
  relay = await startTestRelay()
})

afterAll(async () => {
  await relay.stop()
  killRelays()
})

/** Half by WebSocket, half by TCP; published past the proxy. */
function load(
  { http, tcp }: { http: number; tcp: number },
  { duration = DURATION_S, started }: { duration?: number; started?: (child: ChildProcess) => void } = {},
): Promise<LoadOutcome> {
  const flags = {
    url: `ws://127.0.0.1:${http}`,
    tcp: `127.0.0.1:${tcp}`,
    api: `http://127.0.0.1:${relay.ports.http}`,
    scenario: 'fanout',
    transport: 'mixed',
    subscribers: SUBSCRIBERS,
    channels: CHANNELS,
    rate: RATE,
    duration,
    receivers: 2,
  }
  return runLoadProgram(
    Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]),
    { env: { FANWIRE_LOAD_API_KEY: 'test-key' }, ...(started === undefined ? {} : { started }) },
  )
}

async function loadThrough(
  fault: Fault,
  options: { duration?: number } = {},
): Promise<LoadOutcome & { proxy: FaultyRelay }> {
  const proxy = await startFaultyRelay(relay, fault)
  onTestFinished(proxy.close)
  return { ...(await load(proxy.ports, options)), proxy }
}

/** What a run without a fault has in its ledger; how much it was depends on the rate alone. */
function cleanLedger({ ledger }: RunResult) {
  const expected = ledger.acknowledged * (SUBSCRIBERS / CHANNELS)
  return {
    sent: ledger.acknowledged,
    acknowledged: ledger.acknowledged,
    refused: 0,
    unknown: 0,
    expected,
    delivered: expected,
    lost: 0,
    toldLost: 0,
    duplicated: 0,
    outOfOrder: 0,
    recovered: 0,
    overflowed: 0,
    unreadable: 0,
  }
}

/** The share of the measured deliveries that took at least so long. */
function shareSlowerThan({ latency }: RunResult, us: number): number {
  const [percentile] = latency.all.distribution.find(([, atMostUs]) => atMostUs >= us) ?? [100]
  return 1 - percentile / 100
}

test('without a fault nothing is reported', { timeout: RUN_TIMEOUT_MS }, async () => {
  const { code, result, proxy } = await loadThrough({ kind: 'none' })
  expect(result.ledger).toEqual(cleanLedger(result))
  expect(result.ledger.delivered).toBe(proxy.counts.publications)
  expect(result.verdict.faults).toEqual([])
  expect(code).toBe(result.verdict.latencyValid ? 0 : 3)
})

test('one of 10,000 dropped: so many are lost', { timeout: RUN_TIMEOUT_MS }, async () => {
  const { code, result, shown, proxy } = await loadThrough({ kind: 'drop', every: 10_000 })
  const { dropped } = proxy.counts
  expect(dropped).toBeGreaterThan(0)
  const clean = cleanLedger(result)
  expect(result.ledger).toEqual({ ...clean, lost: dropped, delivered: clean.expected - dropped })
  expect(proxy.counts.publications).toBe(clean.expected)
  expect(code).toBe(1)
  expect(shown).toContain(`LOST ${dropped} of`)
})

test('neighbours swapped: so many are out of order', { timeout: RUN_TIMEOUT_MS }, async () => {
  const { code, result, shown, proxy } = await loadThrough({ kind: 'swap', every: 10_000 })
  const { swapped } = proxy.counts
  expect(swapped).toBeGreaterThan(0)
  expect(result.ledger).toEqual({ ...cleanLedger(result), outOfOrder: swapped })
  expect(code).toBe(1)
  expect(shown).toContain(`OUT OF ORDER ${swapped} of`)
})

test('one of 10,000 delivered twice: so many are repeats', { timeout: RUN_TIMEOUT_MS }, async () => {
  const { code, result, shown, proxy } = await loadThrough({ kind: 'repeat', every: 10_000 })
  const { repeated } = proxy.counts
  expect(repeated).toBeGreaterThan(0)
  expect(result.ledger).toEqual({ ...cleanLedger(result), duplicated: repeated })
  expect(code).toBe(1)
  expect(shown).toContain(`DELIVERED TWICE ${repeated} of`)
})

test('stalls of 200 ms show in the latencies, and lose nothing', { timeout: RUN_TIMEOUT_MS }, async () => {
  const ms = 200
  const fault: Fault = { kind: 'stall', every: DELIVERIES_PER_SECOND, ms }
  const { code, result, proxy } = await loadThrough(fault, { duration: STALLED_DURATION_S })
  expect(proxy.counts.stalls).toBeGreaterThan(1)
  expect(result.ledger).toEqual(cleanLedger(result))
  expect(result.verdict.faults).toEqual([])
  expect(code).toBe(result.verdict.latencyValid ? 0 : 3)
  expect(result.latency.all.maxUs).toBeGreaterThanOrEqual(ms * 1000)
  expect(result.latency.last.maxUs).toBeGreaterThanOrEqual(ms * 1000)
  // What was due in the first half of a stall took at least the other half. Due, not sent: nothing is left out.
  const ofOneStall = ms / 1000 / 2 / STALLED_DURATION_S
  expect(shareSlowerThan(result, (ms / 2) * 1000)).toBeGreaterThanOrEqual(ofOneStall * 0.9)
})

test('a generator that stands still half of the time is caught', { timeout: RUN_TIMEOUT_MS }, async () => {
  const stopMs = 100
  const { code, result, shown } = await load(relay.ports, { started: child => throttle(child, stopMs) })
  expect(result.ledger).toEqual(cleanLedger(result))
  // It is seen for what it is, and not for another reason, such as a machine that is busy with something else: half of
  // all looks at the clock and of all publications fall into a stop, the latest hundredth of them into its beginning.
  const receivers = result.generator.threads.filter(({ name }) => name.startsWith('receiver'))
  expect(receivers.length).toBeGreaterThan(0)
  for (const { delayP99Us } of receivers) expect(delayP99Us).toBeGreaterThan((stopMs * 1000) / 2)
  expect(result.offered.latenessP99Us).toBeGreaterThan((stopMs * 1000) / 2)
  // Which of the limits is named first depends on how long the machine takes for what was left lying meanwhile.
  expect(result.verdict.generatorLimits).not.toEqual([])
  expect(result.verdict.latencyValid).toBe(false)
  expect(shown.replaceAll(/\s+/g, ' ')).toMatch(
    /^ The generator was the limit: .*? Latency figures are not valid\. /,
  )
  expect(code).toBe(3)
})

/** Stops the process for so long, lets it run for so long, and so on until it ends. */
function throttle(child: ChildProcess, ms: number): void {
  let stopped = false
  const pulse = setInterval(() => {
    stopped = !stopped
    child.kill(stopped ? 'SIGSTOP' : 'SIGCONT')
  }, ms)
  child.on('close', () => clearInterval(pulse))
  onTestFinished(() => clearInterval(pulse))
}
