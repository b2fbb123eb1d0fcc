// A relay that runs somewhere: known by its addresses, seen by its Prometheus page if there is one. Main thread.

import { shownUrl } from '../shown-url.ts'
import { fetchMetrics, usedFrom } from './prometheus.ts'
import { FANWIRE_DIALECT } from './relay.ts'
import type { Reached, RunningTarget } from './target.ts'

export type Addresses = Omit<Reached, 'dialect'> & Readonly<{ metricsUrl?: string }>

export function deployedRelay({ metricsUrl, ...addresses }: Addresses): RunningTarget {
  const page = async () => (metricsUrl === undefined ? undefined : await fetchMetrics(metricsUrl))
  const { websocket, tcp } = addresses
  return {
    described: {
      kind: 'deployed',
      name: 'fanwire',
      url: websocket === undefined ? `tcp://${tcp!.host}:${tcp!.port}` : shownUrl(websocket),
    },
    endpoint: { dialect: FANWIRE_DIALECT, ...addresses },
    async use() {
      const text = await page()
      return text === undefined ? { cpuUs: undefined, bytes: undefined } : usedFrom(text)
    },
    metrics: page,
    relay: undefined,
    // Its process can't be seen: a run notices by its connections.
    failed: new Promise(() => {}),
    stop: async () => {},
  }
}
