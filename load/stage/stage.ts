// A run as a scenario sees it: the steps that it may take. Main thread.

import type { Reconnections } from '../generator/requests.ts'
import type { Chosen, Reconnected, Stage } from '../scenario.ts'
import { sumOf } from '../target/prometheus.ts'
import type { Run } from './run.ts'

export function createStage(run: Run): Stage {
  const { fleet, load } = run
  return {
    load,
    random: run.random,
    connect: subscribers => run.connect(subscribers),
    quiet: (phase, seconds, options) => run.quiet(phase, seconds, options),
    wait: seconds => run.pause(seconds * 1000),
    publish: ({ rate = load.rate, channels = fleet.channels } = {}) => run.publish(rate, channels),
    stopPublishing: () => run.stopPublishing(),
    measure: (phase, seconds, options) => run.measure(phase, seconds, options),
    drain: () => run.drain(),
    async pause(chosen) {
      const numbers = fleet.choose(chosen)
      await run.wait(fleet.tell('pause', numbers))
      return numbers.length
    },
    resume: chosen => run.wait(fleet.tell('resume', fleet.choose(chosen))),
    async cut(chosen) {
      const numbers = fleet.choose(chosen)
      run.cutOff = true
      await run.wait(fleet.tell('cut', numbers))
      return numbers.length
    },
    reconnect: chosen => reconnect(run, chosen),
    churn: ({ chosen, connectionsPerSecond, subscriptionsPerSecond }) =>
      run.wait(fleet.churn(fleet.choose(chosen), connectionsPerSecond, subscriptionsPerSecond)),
    async stopChurn() {
      const all = await run.wait(fleet.stopChurn())
      return {
        reconnects: total(all, one => one.reconnects),
        resubscriptions: total(all, one => one.resubscriptions),
        failed: total(all, one => one.failed),
      }
    },
    async reconnectWhenEnded(on) {
      run.clientsReturn = on
      return summaryOf(await run.wait(fleet.askReceivers({ kind: 'reconnectWhenEnded', on })))
    },
    async metrics() {
      const page = await run.wait(run.target.metrics())
      return page === undefined ? undefined : (name, label) => sumOf(page, name, label)
    },
    relay: run.target.relay,
    find: finding => void run.findings.push(finding),
    fault: text => void run.faults.push(text),
    remark: text => void run.remarks.push(text),
    series: () => run.series.rows,
  }
}

async function reconnect(run: Run, chosen: Chosen): Promise<Reconnected> {
  const { fleet } = run
  const all = await run.wait(fleet.reconnect(fleet.choose(chosen)))
  run.cutOff = false
  return summaryOf(all)
}

function summaryOf(all: readonly Reconnections[]): Reconnected {
  const backMs = all.flatMap(one => [...one.backMs]).sort((a, b) => a - b)
  return {
    count: backMs.length,
    recovered: total(all, one => one.recovered),
    notRecovered: total(all, one => one.notRecovered),
    failed: total(all, one => one.failed),
    p50Ms: share(backMs, 0.5),
    p99Ms: share(backMs, 0.99),
    allMs: share(backMs, 1),
  }
}

function total<T>(all: readonly T[], figure: (one: T) => number): number {
  return all.reduce((sum, one) => sum + figure(one), 0)
}

/** The least value that this share of them does not exceed; 0 where there are none. */
function share(ascending: readonly number[], part: number): number {
  return ascending[Math.max(0, Math.ceil(part * ascending.length) - 1)] ?? 0
}
