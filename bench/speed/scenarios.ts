// What is measured: the shapes of load, on which servers, and what the relay has set itself as target.

export type Variant = Readonly<
  { name: string } & ({ target: 'raw' } | { target: 'relay'; shards: number; history: boolean })
>

// Of each scenario the first one is what the others are compared with.
const RAW: Variant = { name: 'raw uWebSockets.js', target: 'raw' }
const RELAY: Variant = { name: 'relay', target: 'relay', shards: 0, history: false }
const RELAY_1: Variant = { name: 'relay, 1 shard', target: 'relay', shards: 1, history: false }
const RELAY_HISTORY: Variant = { name: 'relay, history of 100', target: 'relay', shards: 0, history: true }

export type Scenario = Readonly<{
  name: string
  title: string
  transport: 'websocket' | 'tcp'
  subscribers: number
  channels: number
  publishers: number
  /** Publications a second, over all channels; 0: connections only. */
  perSecond: number
  variants: readonly Variant[]
  /** So long before and after connecting nothing happens, so that V8 gives back what starting and connecting left. */
  idleMs?: number
  /** Memory varies little from round to round. */
  roundsMax?: number
  /** Times the raw server's figure. */
  ratioMax?: number
  connectsPerSecondMin?: number
  bytesPerConnectionMax?: number
}>

const ONE_CHANNEL = { channels: 1, publishers: 1, transport: 'websocket' } as const
const MEMORY = { idleMs: 25_000, roundsMax: 2 }
const ALL = [RAW, RELAY, RELAY_1, RELAY_HISTORY]

export const scenarios: readonly Scenario[] = [
  {
    ...ONE_CHANNEL,
    name: 'wide',
    title: '1,000 subscribers, 100 messages/s',
    subscribers: 1000,
    perSecond: 100,
    variants: ALL,
    ratioMax: 1.2,
  },
  {
    ...ONE_CHANNEL,
    name: 'middle',
    title: '100 subscribers, 1,000 messages/s',
    subscribers: 100,
    perSecond: 1000,
    variants: ALL,
    ratioMax: 1.2,
  },
  {
    ...ONE_CHANNEL,
    name: 'fast',
    title: '100 subscribers, 20,000 messages/s',
    subscribers: 100,
    perSecond: 20_000,
    variants: ALL,
    ratioMax: 1.2,
  },
  {
    ...ONE_CHANNEL,
    name: 'tcp-wide',
    title: '1,000 TCP subscribers, 100 messages/s',
    transport: 'tcp',
    subscribers: 1000,
    perSecond: 100,
    variants: [RAW, RELAY, RELAY_1],
    ratioMax: 1.8,
  },
  {
    ...ONE_CHANNEL,
    name: 'tcp-fast',
    title: '100 TCP subscribers, 20,000 messages/s',
    transport: 'tcp',
    subscribers: 100,
    perSecond: 20_000,
    variants: [RAW, RELAY, RELAY_1],
    ratioMax: 1.8,
  },
  {
    name: 'one-to-one',
    title: '1,000 pairs, 10,000 messages/s, each its own frame',
    transport: 'websocket',
    subscribers: 1000,
    channels: 1000,
    publishers: 1000,
    perSecond: 10_000,
    variants: ALL,
  },
  {
    ...ONE_CHANNEL,
    name: 'connect',
    title: '5,000 clients connect and subscribe',
    subscribers: 5000,
    perSecond: 0,
    variants: [RAW, RELAY, RELAY_1],
    connectsPerSecondMin: 3000,
  },
  {
    ...ONE_CHANNEL,
    ...MEMORY,
    name: 'idle',
    title: '10,000 idle connections, one channel',
    subscribers: 10_000,
    perSecond: 0,
    variants: [RAW, RELAY, RELAY_1],
    bytesPerConnectionMax: 4096,
  },
  {
    ...ONE_CHANNEL,
    ...MEMORY,
    name: 'idle-own',
    title: '10,000 idle connections, a channel each',
    subscribers: 10_000,
    channels: 10_000,
    perSecond: 0,
    variants: [RAW, RELAY, RELAY_1],
  },
]

/** So small that it runs with the tests; its figures mean nothing. */
export function smoke(scenario: Scenario): Scenario {
  return {
    ...scenario,
    idleMs: 0,
    subscribers: 20,
    channels: Math.min(scenario.channels, 20),
    publishers: Math.min(scenario.publishers, 20),
    perSecond: Math.min(scenario.perSecond, 500),
  }
}
