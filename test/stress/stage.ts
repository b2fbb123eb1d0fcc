// What all actors of a stress run share: channels, the judge, chance and the relay under test. Test process.

import { OPEN_CHANNELS, type TestRelay } from '../support/relay.ts'
import type { ChannelRules, Ledger } from './ledger.ts'

export type Stage = Readonly<{
  relay: TestRelay
  ledger: Ledger
  /** A whole number in [0, limit), from the seed of the run. */
  random: (limit: number) => number
  /** What happened how often: close codes, errors, actions. */
  count: (what: string) => void
}>

type Kind = Readonly<{ name: string; channels: number; historySize: number; recoveryMax: number }>

/** As client.recovery_max_publication_limit has it. */
const RECOVERY_MAX = 300
/** Publications of a flood are so large (in characters) that a reader who pauses is soon behind the kernel's buffers. */
export const FLOOD_CHARACTERS = 30_000
/** A recovery carries at most 512 KiB, a publication of a flood has up to 120 KB. */
const FLOOD_RECOVERY_MAX = 4

export const KINDS: readonly Kind[] = [
  { name: 'wide', channels: 24, historySize: 300, recoveryMax: RECOVERY_MAX },
  { name: 'narrow', channels: 8, historySize: 5, recoveryMax: RECOVERY_MAX },
  { name: 'live', channels: 8, historySize: 0, recoveryMax: RECOVERY_MAX },
  { name: 'flood', channels: 2, historySize: 160, recoveryMax: FLOOD_RECOVERY_MAX },
  { name: 'brief', channels: 1, historySize: 40, recoveryMax: FLOOD_RECOVERY_MAX },
]

function channelsOf(...names: string[]): string[] {
  return KINDS.filter(({ name }) => names.includes(name)).flatMap(({ name, channels }) =>
    Array.from({ length: channels }, (_, i) => `${name}:${i}`),
  )
}

/** What everybody publishes to and subscribes to, and what only floods go to. */
export const COMMON_CHANNELS: readonly string[] = channelsOf('wide', 'narrow', 'live')
export const FLOOD_CHANNELS: readonly string[] = channelsOf('flood', 'brief')

export function rulesOf(channel: string): ChannelRules {
  const kind = KINDS.find(({ name }) => channel.startsWith(`${name}:`))
  if (kind === undefined) throw new Error(`no such kind of channel: ${channel}`)
  return kind
}

export function relayConfig(shards: number): Record<string, unknown> {
  const namespaces = KINDS.map(({ name, historySize }) => ({
    ...OPEN_CHANNELS,
    name,
    history_size: historySize,
    history_ttl: historySize > 0 ? '1h' : '0s',
    force_recovery: historySize > 0,
  }))
  return { shards, channel: { namespaces } }
}

export function pick<T>(stage: Stage, among: readonly T[]): T {
  return among[stage.random(among.length)]!
}
