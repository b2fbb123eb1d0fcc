// How the own relay is set up for a scenario: as it comes, but open to anonymous clients. Pure, but for the key.

import { randomBytes } from 'node:crypto'
import type { Load } from '../model.ts'
import type { Scenario } from '../scenario.ts'
import { lastingPorts } from './ports.ts'
import { knowsOption, OWN_ROOT, type RelayOptions, startRelay } from './relay.ts'
import type { RunningTarget } from './target.ts'
import { temporaryFolder } from './temporary.ts'

/** Namespace of the channels of a run. */
const NAMESPACE = 'load'
export const OWN_PREFIX = `${NAMESPACE}:`

/** A channel keeps what is published in so long: more than a relay and its clients need to come back. */
const OUTAGE_S = 60
const HISTORY_MIN = 100
/** What the relay takes for recovery_max_publication_limit. */
const HISTORY_MAX = 100_000

export async function startOwnRelay(
  scenario: Scenario,
  load: Load,
  { shards, root = OWN_ROOT }: Readonly<{ shards: number; root?: URL }>,
): Promise<RunningTarget> {
  const options = {
    root,
    sections: relaySections(scenario, load, shards),
    apiKey: randomBytes(16).toString('hex'),
  }
  if (!scenario.ownRelayOnly) return startRelay(options)
  const [http, tcp, internal] = await lastingPorts(3)
  return startToBeRestarted({ ...options, ports: { http: http!, tcp: tcp!, internal: internal! } })
}

async function startToBeRestarted(options: RelayOptions): Promise<RunningTarget> {
  if (!(await knowsOption(options.root, 'history_path'))) return startRelay(options)
  const { path, remove } = temporaryFolder('load-histories')
  try {
    const target = await startRelay({ ...options, historyFolder: path })
    return { ...target, stop: () => target.stop().finally(remove) }
  } catch (error) {
    remove()
    throw error
  }
}

/** The configuration file's sections; what a scenario wants on top comes last. */
export function relaySections(
  { recoverable, relay }: Scenario,
  load: Load,
  shards: number,
): Readonly<Record<string, unknown>> {
  const kept = Math.ceil((load.rate / load.channels) * OUTAGE_S)
  const history = Math.min(HISTORY_MAX, Math.max(HISTORY_MIN, kept))
  const namespace = {
    name: NAMESPACE,
    allow_subscribe_for_client: true,
    allow_subscribe_for_anonymous: true,
    allow_publish_for_client: true,
    allow_publish_for_anonymous: true,
    ...(recoverable ? { history_size: history, history_ttl: '10m', force_recovery: true } : {}),
  }
  const sections: Record<string, object> = {
    client: {
      allow_anonymous_connect_without_token: true,
      ...(recoverable ? { recovery_max_publication_limit: history } : {}),
    },
    channel: { namespaces: [namespace] },
  }
  for (const [name, section] of Object.entries(relay?.(load) ?? {})) {
    sections[name] = { ...sections[name], ...(section as object) }
  }
  return { shards, ...sections }
}
